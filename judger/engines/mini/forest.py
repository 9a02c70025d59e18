"""Boosted trees as plain tensors, evaluated together: the figures' own opinion beside the reader's.

Trees are grown by scikit-learn (histogram gradient boosting, after LightGBM: Ke et al. 2017) and shipped as arrays.
All trees of a batch walk down one level at a time; a leaf is its own child.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Forest:
    """feature, left, right, value, threshold (nodes,); root (trees,); depth: the most steps from a root to a leaf."""

    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    value: Floats
    root: Ints
    base: float
    depth: int

    def __call__(self, figures: Floats) -> Floats:
        """figures (n, f) -> the logit (n,) of the strict bit."""
        at = np.broadcast_to(self.root, (len(figures), len(self.root))).copy()
        rows = np.arange(len(figures))[:, None]
        for _ in range(self.depth):
            goes_left = figures[rows, self.feature[at]] <= self.threshold[at]
            at = np.where(goes_left, self.left[at], self.right[at])
        return np.asarray(self.value[at].sum(1) + self.base, np.float32)

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Its arrays by name, for a file."""
        shape = np.array([self.base, self.depth], np.float32)
        names = ("feature", "threshold", "left", "right", "value", "root")
        return {"shape": shape, **{name: getattr(self, name) for name in names}}

    @classmethod
    def of(cls, tensors: dict[str, NDArray[np.generic]]) -> Forest:
        """What `tensors` gave."""
        base, depth = (float(x) for x in tensors["shape"])
        return cls(
            feature=tensors["feature"].astype(np.int32),
            threshold=tensors["threshold"].astype(np.float32),
            left=tensors["left"].astype(np.int32),
            right=tensors["right"].astype(np.int32),
            value=tensors["value"].astype(np.float32),
            root=tensors["root"].astype(np.int32),
            base=base,
            depth=int(depth),
        )
