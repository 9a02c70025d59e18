"""From what reader and trees say to probabilities: a logistic regression for each sign, fitted on held-out tasks.

The strict bit comes from both; how what is left divides between the other two labels is the readers' alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from judger.engines.mini.denial import Stance
from judger.engines.mini.text import Floats

INPUTS = ("reader", "trees", "claim")
"""The two logits, the trees' with the regression's; and 1 for a flaw that is a claim: most claims that a rubric names
are not made. A second reader's logit comes behind them, where there is one."""
DENIED = 2.5
"""How far the logit of a claim falls that the report denies."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Weights of `INPUTS` and a constant, for requirements and for flaws."""

    requirement: tuple[float, ...]
    flaw: tuple[float, ...]

    @classmethod
    def of(cls, config: Mapping[str, Sequence[float]]) -> Mix:
        """From config.json."""
        return cls(tuple(config["requirement"]), tuple(config["flaw"]))

    def __call__(
        self,
        logs: Floats,
        trees: Floats,
        negative: Sequence[bool],
        stances: Sequence[Stance],
        deep: Floats | None = None,
    ) -> Floats:
        """logs (n, 3): the reader's log-probabilities; trees (n,): logits of the strict bit, the
        regression's added -> probabilities (n, 3).

        deep (n, 3): the log-probabilities of a second reader, where these weights have one for it.
        """
        flaw = np.asarray(negative, np.bool_)
        claim, denied = np.array([(s != "none", s == "denied") for s in stances], np.float64).reshape(-1, 2).T
        inputs = [strict_logit(logs, flaw), trees, claim]
        if deep is not None:
            inputs.append(strict_logit(deep, flaw))
        weights = np.where(flaw[:, None], np.array([self.flaw]), np.array([self.requirement]))
        logit = (np.stack([*inputs, np.ones(len(logs))], 1) * weights).sum(1) - DENIED * denied
        bit = 1 / (1 + np.exp(-np.clip(logit, -30, 30)))
        p = np.exp((logs if deep is None else (logs + deep) / 2).astype(np.float64))
        # A requirement's bit is "fully", a flaw's anything but "not".
        sides = np.where(flaw[:, None], np.array([[0, 1, 1]]), np.array([[0, 0, 1]])).astype(np.bool_)
        within = np.where(sides, p, 0) / np.maximum(np.where(sides, p, 0).sum(1, keepdims=True), 1e-12)
        without = np.where(sides, 0, p) / np.maximum(np.where(sides, 0, p).sum(1, keepdims=True), 1e-12)
        return np.asarray(within * bit[:, None] + without * (1 - bit)[:, None], np.float32)


def strict_logit(logs: Floats, negative: np.ndarray) -> np.ndarray:
    """logs (n, 3) -> (n,) log-odds of the strict bit: of a requirement "fully", of a flaw any trace."""
    low, mid, high = logs.astype(np.float64).T
    return np.asarray(np.where(negative, np.logaddexp(mid, high) - low, high - np.logaddexp(low, mid)))
