"""Rows of branches on one prefix, with what is to be learned of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from judger.engines.packed import Packed

__all__ = ["Lesson"]


@dataclass(slots=True)
class Lesson(Packed):
    """labels, negative, weights (criteria,) and `which`, the criteria's own numbers, are in the branches' order."""

    which: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    negative: list[bool] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
