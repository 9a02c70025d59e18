"""A logistic regression for each sign, on the figures and on what tells a criterion's kind, beside the trees.

Trees need many rows for what hangs together evenly; a criterion's vector, 384 numbers, is too wide for them. How often
criteria of a kind are satisfied is the same for every report: it moves no report above another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from judger.engines.mini.text import Floats

FAR = 4.0
"""Figures count no further from their mean than so many standard deviations."""


@dataclass(frozen=True, slots=True)
class Linear:
    """center, spread (f,) of the figures; weights (2, f + k + 1): of figures, description and a constant, for
    requirements and for flaws."""

    center: Floats
    spread: Floats
    weights: Floats

    def __call__(self, figures: Floats, described: Floats, negative: Sequence[bool] | NDArray[np.bool_]) -> Floats:
        """figures (n, f), described (n, k) as `judgeable.describe` makes it -> the logit (n,) of the strict bit."""
        rows = np.concatenate([self.scaled(figures), described, np.ones((len(figures), 1), np.float32)], 1)
        return np.asarray((rows * self.weights[np.asarray(negative, np.int64)]).sum(1), np.float32)

    def scaled(self, figures: Floats) -> Floats:
        """The figures in standard deviations."""
        return np.asarray(np.clip((figures - self.center) / self.spread, -FAR, FAR), np.float32)

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Its arrays by name, for a file."""
        return {"center": self.center, "spread": self.spread, "weights": self.weights}

    @classmethod
    def of(cls, tensors: dict[str, NDArray[np.generic]]) -> Linear:
        """What `tensors` gave."""
        return cls(*(tensors[name].astype(np.float32) for name in ("center", "spread", "weights")))
