"""A batch in the device thread: one bad case takes no other down, and when memory runs out batches become smaller.

What fails is unscored with ENGINE_ERROR, never a number.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from judger.engines.base import Engine, Outcome, Plan
from judger.errors import is_out_of_memory
from judger.types import Case, Probabilities, Reason, Unscored

__all__ = ["Budget", "Isolation", "Ran", "failed", "is_failed", "is_out_of_memory", "judged_tokens", "within"]

logger = logging.getLogger(__name__)

FIRST_ATTEMPT, LAST_ATTEMPT = 8, 1024
"""Good batches before a smaller budget is doubled: twice as many after each time that memory has run out."""
SMALLEST_PART = 64
"""The budget is never less than this part of what was set: what fits not even then fails alone."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one case: an outcome per criterion in order, the seconds it waited, and those of the engine (its
    planning and its batch)."""

    outcomes: list[Outcome]
    queue_seconds: float
    engine_seconds: float


class Budget:
    """The tokens of a batch: halved when memory runs out, doubled again when that has not happened for some batches.

    Memory may run out because of what a neighbour holds for a moment, so that the budget has to come back; or because
    the budget is too large for the device, so that each attempt is made twice as late as the one before.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.tokens = most
        self._good = 0
        """Batches since the last change."""
        self._wanted = FIRST_ATTEMPT

    def shrink(self) -> None:
        """Memory ran out in a batch of several cases."""
        self.tokens = max(1, self.most // SMALLEST_PART, self.tokens // 2)
        self._wanted = min(2 * self._wanted, LAST_ATTEMPT)
        self._good = 0

    def grow(self, tokens: int) -> None:
        """A batch of that many tokens went well. Only one that fills half of the budget says anything of it."""
        if 2 * tokens < self.tokens:
            return
        self._good += 1
        if self._good >= self._wanted:
            if self.tokens == self.most:
                self._wanted = FIRST_ATTEMPT
            self.tokens, self._good = min(2 * self.tokens, self.most), 0


class Isolation:
    """Runs batches, and knows how large they may be by now."""

    def __init__(self, max_batch_tokens: int) -> None:
        self.budget = Budget(max_batch_tokens)

    def run(self, engine: Engine, plans: Sequence[Plan]) -> list[list[Outcome]]:
        """One list per plan. A batch that fails is run once more, case by case, or after memory ran out in halves."""
        tokens = sum(plan.tokens for plan in plans)
        outcomes = self._try(engine, plans)
        if not isinstance(outcomes, Exception):
            self.budget.grow(tokens)
            return outcomes
        if not is_out_of_memory(outcomes):
            # Alone it would fail as it has just done.
            return [failed(outcomes, plans[0].case)] if len(plans) == 1 else self._alone(engine, plans)
        if len(plans) == 1:  # that says how large it is, and nothing of the others
            return self._alone(engine, plans)
        self.budget.shrink()
        logger.warning("out of memory: batches have at most %d tokens for now", self.budget.tokens)
        found = []
        for part in within(plans, tokens // 2):
            again = self._try(engine, part)
            found += self._alone(engine, part) if isinstance(again, Exception) else again
        return found

    def _alone(self, engine: Engine, plans: Sequence[Plan]) -> list[list[Outcome]]:
        """Each by itself; what fails now is unscored."""
        found = []
        for plan in plans:
            outcomes = self._try(engine, [plan])
            found += [failed(outcomes, plan.case)] if isinstance(outcomes, Exception) else outcomes
        return found

    def _try(self, engine: Engine, plans: Sequence[Plan]) -> list[list[Outcome]] | Exception:
        """One run, or what it raised."""
        try:
            outcomes = engine.run(plans)
            if [len(one) for one in outcomes] != [len(plan.case.criteria) for plan in plans]:
                raise RuntimeError("the engine returned another number of outcomes than there are criteria")
            return outcomes
        except Exception as error:
            logger.warning("a batch of %d cases failed: %r", len(plans), error, exc_info=True)
            traceback.clear_frames(error.__traceback__)  # they hold what the failed run had in memory
            return error


def failed(error: Exception, case: Case) -> list[Outcome]:
    """What an engine's exception makes of a case."""
    outcome = Outcome(result=Unscored(Reason.ENGINE_ERROR, f"{type(error).__name__}: {error}"))
    return [outcome] * len(case.criteria)


def is_failed(outcomes: Sequence[Outcome]) -> bool:
    """True where nothing came of a case because of the engine."""
    return all(isinstance(one.result, Unscored) and one.result.reason is Reason.ENGINE_ERROR for one in outcomes)


def judged_tokens(outcomes: Sequence[Outcome], estimate: int) -> int:
    """The tokens that the engine has judged: none where no verdict came of them, however fast it was."""
    return estimate if any(isinstance(one.result, Probabilities) for one in outcomes) else 0


def within(plans: Sequence[Plan], tokens: int) -> list[list[Plan]]:
    """The plans in order, in parts of at most that many tokens or of one plan."""
    parts: list[list[Plan]] = []
    size = 0
    for plan in plans:
        size += plan.tokens
        if not parts or size > tokens:
            parts.append([])
            size = plan.tokens
        parts[-1].append(plan)
    return parts
