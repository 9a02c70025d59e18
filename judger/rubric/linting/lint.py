"""All that is found in a rubric. None of it is an error: the rubric is judged as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from judger.rubric.linting.findings import Finding
from judger.rubric.linting.whole import Matrix, overlaps, unrelated, weights
from judger.rubric.linting.wording import wording
from judger.types import Criterion


class Reader(Protocol):
    """What can read: how near two texts are in meaning, and which criteria its judge leaves open."""

    def similarities(self, texts: Sequence[str], others: Sequence[str]) -> Matrix:
        """(texts, others): cosines, 0 for a text that can't be read."""
        ...

    def left_open(self, texts: Sequence[str], negative: Sequence[bool]) -> Sequence[str]:
        """Why the judge may leave each criterion unscored; empty where it won't."""
        ...


def lint(
    criteria: Sequence[Criterion], *, query: str = "", reader: Reader | None = None, judge: str = ""
) -> list[Finding]:
    """What is found in a rubric: on the criteria in their order, then on the whole.

    Without a `reader` nothing is said of what takes meaning: criteria that are unrelated, or that overlap in other
    words. `judge` names the reader's own judge where it is the one that is going to judge; what it is bad at is said.
    """
    found = [one for i, criterion in enumerate(criteria) for one in wording(i, criterion)]
    near: Matrix | None = None
    if reader is not None and criteria:
        whole = [criterion.text for criterion in criteria]
        near = reader.similarities(whole, whole)
        if query.strip():
            about = [row[0] for row in reader.similarities(whole, [query])]
            found += unrelated(criteria, near, about)
        if judge:
            found += _left_open(criteria, reader, judge)
    found += overlaps(criteria, near)
    found += weights(criteria)
    return sorted(found, key=lambda one: len(criteria) if one.index is None else one.index)


def _left_open(criteria: Sequence[Criterion], reader: Reader, judge: str) -> list[Finding]:
    reasons = reader.left_open([c.text for c in criteria], [c.is_negative for c in criteria])
    message = "{} {}: it may leave it unscored, and then there is no reward"
    return [Finding("not-judgeable", i, message.format(judge, why)) for i, why in enumerate(reasons) if why]
