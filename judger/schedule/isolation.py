"""A batch in the device thread: one bad case takes no other down, and memory that runs out halves the budget.

What fails is unscored with ENGINE_ERROR, never a number.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from judger.engines.base import Engine, Outcome, Plan
from judger.types import Case, Reason, Unscored

__all__ = ["Isolation", "Ran", "failed", "is_failed", "is_out_of_memory", "within"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one case: an outcome per criterion in order, the seconds it waited, and those of the engine (its
    planning and its batch)."""

    outcomes: list[Outcome]
    queue_seconds: float
    engine_seconds: float


class Isolation:
    """Runs batches. `max_batch_tokens` is halved when memory runs out, and stays so."""

    def __init__(self, max_batch_tokens: int) -> None:
        self.max_batch_tokens = max_batch_tokens

    def run(self, engine: Engine, plans: Sequence[Plan], *, again: bool = False) -> list[list[Outcome]]:
        """One list per plan. A batch that fails is run once more, case by case, or after memory ran out in halves."""
        try:
            outcomes = engine.run(plans)
            if [len(one) for one in outcomes] != [len(plan.case.criteria) for plan in plans]:
                raise RuntimeError("the engine returned another number of outcomes than there are criteria")
            return outcomes
        except Exception as error:
            logger.warning("a batch of %d cases failed: %r", len(plans), error, exc_info=True)
            if is_out_of_memory(error) and not again:
                self.max_batch_tokens = max(1, min(self.max_batch_tokens, sum(plan.tokens for plan in plans)) // 2)
                logger.warning("out of memory: batches have at most %d tokens from now on", self.max_batch_tokens)
                parts = within(plans, self.max_batch_tokens)
                return [result for part in parts for result in self.run(engine, part, again=True)]
            if len(plans) > 1:
                return [self.run(engine, [plan], again=again)[0] for plan in plans]
            return [failed(error, plans[0].case)]


def failed(error: Exception, case: Case) -> list[Outcome]:
    """What an engine's exception makes of a case."""
    outcome = Outcome(result=Unscored(Reason.ENGINE_ERROR, f"{type(error).__name__}: {error}"))
    return [outcome] * len(case.criteria)


def is_failed(outcomes: Sequence[Outcome]) -> bool:
    """True where nothing came of a case because of the engine."""
    return all(isinstance(one.result, Unscored) and one.result.reason is Reason.ENGINE_ERROR for one in outcomes)


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


def is_out_of_memory(error: BaseException) -> bool:
    """By name: torch, which has its own error for it, is not imported here."""
    return isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
