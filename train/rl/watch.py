"""The hacking watch: what a policy does to a report when it learns to please the judge instead of the reader.

Tracked beside the reward at every step. None of it enters the reward: a measure that is optimized stops to measure.
Where a setting gives bounds, a run that leaves them is stopped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import fmean

from judger.types import Criterion
from train.rl.config import WatchSettings
from train.rl.reward import Judged
from train.rl.stop import Stop

__all__ = ["Guard", "OutOfBounds", "copied", "repetition", "watch"]

_WORD = re.compile(r"\w+")
_CITE = re.compile(r"\\cite\{[^{}]*\}")


class OutOfBounds(Stop):
    """The reports have left the bounds that the settings give. The state before the batch can be saved."""


class Guard:
    """Looks at each batch of a run. `settings` give the bounds, and how many batches in a row may leave them."""

    def __init__(self, settings: WatchSettings) -> None:
        self._settings = settings
        self._in_a_row = 0

    def look(self, judged: Sequence[Judged]) -> None:
        """Raises OutOfBounds where too many batches in a row, this the last, were out of bounds."""
        seen = [watch(one) for one in judged if one.rollout.report]
        if not seen:
            return
        bounds = self._settings
        words, repeated = fmean(one["words"] for one in seen), fmean(one["repetition"] for one in seen)
        faults = []
        if bounds.repetition is not None and repeated > bounds.repetition:
            faults.append(f"repetition {repeated:.3f} is over {bounds.repetition:g}")
        if bounds.min_words is not None and words < bounds.min_words:
            faults.append(f"{words:.1f} words are under {bounds.min_words:g}")
        if bounds.max_words is not None and words > bounds.max_words:
            faults.append(f"{words:.1f} words are over {bounds.max_words:g}")
        self._in_a_row = self._in_a_row + 1 if faults else 0
        if self._in_a_row >= bounds.steps:
            raise OutOfBounds(f"the watch, {self._in_a_row} batches in a row: {'; '.join(faults)}; read the reports")


def watch(judged: Judged) -> dict[str, float]:
    """Length in words, repetition, criteria text copied, citations in 100 words, and steering flags of the judge."""
    report = judged.rollout.report
    words = len(_WORD.findall(_CITE.sub("", report)))
    flags = judged.judgement.flags if judged.judgement else ()
    return {
        "words": float(words),
        "repetition": repetition(report),
        "copied": copied(report, judged.rollout.order.task.criteria),
        "citations_per_100_words": 100.0 * len(_CITE.findall(report)) / max(words, 1),
        "steering": float(bool(flags)),
    }


def repetition(report: str, size: int = 4) -> float:
    """Share of the report's word n-grams that it had said before; 0 where it is shorter than one."""
    grams = _grams(_CITE.sub("", report), size)
    return 1.0 - len(set(grams)) / len(grams) if grams else 0.0


def copied(report: str, criteria: Sequence[Criterion], size: int = 5) -> float:
    """Share of the criteria's word n-grams that stand in the report.

    Some do in an honest report, since a criterion names the fact it asks for; it is the rise that says something.
    """
    wanted = {gram for criterion in criteria for gram in _grams(criterion.text, size)}
    return len(wanted.intersection(_grams(report, size))) / len(wanted) if wanted else 0.0


def _grams(text: str, size: int) -> list[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
