"""Which criteria this judge leaves open: those of kinds that it has been near chance on, where it is unsure as well.

A logistic regression on the criterion alone tells the kind; a verdict far from its threshold is given all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from judger.engines.mini.features import Criterion
from judger.engines.mini.figures import asks
from judger.engines.mini.text import Floats


@dataclass(frozen=True, slots=True)
class Judgeable:
    """weights (inputs + 1,), the constant last. hard: from this probability on; margin: of a verdict that stands."""

    weights: Floats
    hard: float
    margin: float

    @classmethod
    def of(cls, config: Mapping[str, Any], weights: Floats) -> Judgeable:
        """From config.json and its tensor."""
        return cls(weights, float(config["hard"]), float(config["margin"]))

    def config(self) -> dict[str, float]:
        """What `of` reads."""
        return {"hard": self.hard, "margin": self.margin}

    def p_hard(self, inputs: Floats) -> Floats:
        """inputs (n, k) as `describe` makes them -> (n,)."""
        logit = inputs @ self.weights[:-1] + self.weights[-1]
        return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))), np.float32)

    def refuses(self, inputs: Floats, margin: float) -> bool:
        """Whether a criterion, described by (k,), is left open at this margin."""
        return margin < self.margin and float(self.p_hard(inputs[None])[0]) >= self.hard


def describe(criterion: Criterion, *, negative: bool) -> Floats:
    """What the classifier sees of a criterion: its vector, the words that tell its kind, its sign."""
    vector = criterion.vector.cpu().numpy()
    return np.concatenate([vector, asks(criterion.text), [float(negative)]]).astype(np.float32)
