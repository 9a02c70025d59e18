"""A deterministic engine without a model: its verdicts are written into the criteria, or follow from word overlap.

It sits behind the same Protocol as the real engines, so that every hop is tested and measured without one. A
criterion's text may carry a script in double brackets:

    [[fully]] [[partially]] [[not]]      that label, with probability 0.9
    [[p=0.2,0.3,0.5]]                    these probabilities of not, partially, fully
    [[unscored=too_long]]                no verdict, for that reason
    [[crash]]                            the whole batch fails
    [[oom]]                              memory runs out
    [[die]]                              the engine fails from here on, until it is built anew
    [[slow=0.05]]                        the batch takes that many seconds longer

Any other criterion is fully satisfied as far as the report contains its words.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Sequence

from judger.engines.base import Capabilities, Identity, Outcome, Plan, Tier
from judger.engines.code import code_digest
from judger.types import Case, Criterion, Probabilities, Reason, Span, Unscored
from judger.verdict import IDENTITY, Calibration
from judger.version import __version__

SCRIPT = re.compile(r"\[\[(\w+)(?:=([^\[\]]*+))?\]\]")
SPACES = str.maketrans(dict.fromkeys(".,;:!?()\"'\t\n\r", " "))
CERTAIN = {
    "fully": Probabilities(0.05, 0.05, 0.9),
    "partially": Probabilities(0.05, 0.9, 0.05),
    "not": Probabilities(0.9, 0.05, 0.05),
}


class ScriptedCrash(RuntimeError):
    """What a `[[crash]]` raises: stands for a dying engine."""


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


class ScriptedEngine:
    """The deterministic stand-in for a model.

    Args:
        delay: seconds of every run.
        pace: tokens a second beyond that; None for no time at all.
        memory: tokens that one run may have.
    """

    def __init__(
        self,
        *,
        delay: float = 0.0,
        pace: float | None = None,
        memory: int | None = None,
        calibration: Calibration = IDENTITY,
    ) -> None:
        self.identity = Identity(
            engine="scripted",
            model="scripted",
            engine_version=__version__,
            weights="none",
            tokenizer="words",
            prompt="none",
            code=code_digest("engines/scripted.py"),
        )
        self.calibration = calibration
        self.capabilities = Capabilities()
        self.delay = delay
        self.pace = pace
        self.memory = memory
        self.is_dead = False
        self.batches: list[tuple[int, int]] = []
        """(cases, criteria) of every run, for tests."""

    def plan(self, case: Case, tier: Tier) -> Plan:
        # Four characters a token: the usual rule of thumb, and all that a budget needs here.
        tokens = len(case.report) // 4 + sum(len(criterion.text) // 4 + 1 for criterion in case.criteria) + 1
        return Plan(case=case, tier=tier, tokens=tokens)

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        self.batches.append((len(plans), sum(len(plan.case.criteria) for plan in plans)))
        tokens = sum(plan.tokens for plan in plans)
        if self.is_dead:
            raise ScriptedCrash("the engine is dead")
        if self.memory is not None and tokens > self.memory:
            raise OutOfMemoryError(f"{tokens} tokens do not fit into {self.memory}")
        wait = self.delay + (tokens / self.pace if self.pace else 0.0)
        for plan in plans:
            for criterion in plan.case.criteria:
                for command, argument in script(criterion):
                    if command in ("crash", "die"):
                        self.is_dead = command == "die"
                        raise ScriptedCrash(f"scripted {command}")
                    if command == "oom":
                        raise OutOfMemoryError("scripted")
                    if command == "slow":
                        wait += float(argument)
        if wait:
            time.sleep(wait)
        return [self._judge(plan) for plan in plans]

    def close(self) -> None:
        pass

    def _judge(self, plan: Plan) -> list[Outcome]:
        report = spaced(plan.case.report)
        evidence = (Span(0, min(80, len(plan.case.report))),)
        found: dict[str, bool] = {}
        outcomes = []
        for criterion in plan.case.criteria:
            result = scripted_result(criterion)
            if result is None:
                wanted = words_of(criterion.text)
                for word in wanted:
                    if word not in found:
                        found[word] = word in report
                share = sum(map(found.__getitem__, wanted)) / max(1, len(wanted))
                result = Probabilities((1 - share) ** 2, 2 * share * (1 - share), share**2)
            outcomes.append(Outcome(result=result, evidence=evidence, prompt_tokens=len(criterion.text) // 4 + 1))
        return outcomes


def spaced(text: str) -> str:
    """In lower case, with spaces for punctuation and white space and at both ends: ` word ` finds a word."""
    return f" {text.lower().translate(SPACES)} "


@functools.lru_cache(maxsize=4096)  # rubrics come again and again
def words_of(text: str) -> tuple[str, ...]:
    """The distinct words of a text, each between spaces, as `spaced` has them."""
    return tuple(f" {word} " for word in dict.fromkeys(spaced(text).split()))


def script(criterion: Criterion) -> list[tuple[str, str]]:
    """The commands in a criterion's text, with their arguments."""
    return SCRIPT.findall(criterion.text) if "[[" in criterion.text else []


def scripted_result(criterion: Criterion) -> Probabilities | Unscored | None:
    """What the criterion's script says, or None where it has none."""
    for command, argument in script(criterion):
        if command in CERTAIN:
            return CERTAIN[command]
        if command == "p":
            p_not, p_partial, p_full = map(float, argument.split(","))
            return Probabilities(p_not, p_partial, p_full)
        if command == "unscored":
            return Unscored(Reason(argument), "scripted")
    return None
