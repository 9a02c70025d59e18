"""The hacking watch: what a policy does to a report when it learns to please the judge instead of the reader.

Tracked beside the reward at every step. None of it enters the reward: a measure that is optimized stops to measure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from judger.types import Criterion
from train.rl.reward import Judged

__all__ = ["copied", "repetition", "watch"]

_WORD = re.compile(r"\w+")
_CITE = re.compile(r"\\cite\{[^{}]*\}")


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
