"""Stage five: how reader and trees are weighed, thresholds by sign, and what is left open; on tasks neither has seen.

A logistic regression for each sign gives probabilities that hold at the rates of real rubrics; the threshold of a sign
is where balanced accuracy is best, and steadily so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.linear_model import LogisticRegression

from judger.engines.mini.judgeable import Judgeable
from judger.engines.mini.mix import Mix, strict_logit
from judger.verdict import Calibration
from train.judge.draw import CLAIM_KINDS

THRESHOLDS = np.round(np.arange(0.3, 0.701, 0.01), 2)
SMOOTH = 4
"""A threshold is as good as it and so many neighbours on either side are on average: less luck."""
FEW = 20
"""A kind with fewer held-out rows says nothing of how well it is judged."""
OPEN = 0.15
"""At most this share is left open."""


@dataclass(slots=True)
class Held:
    """Rows that nothing was fitted on: logs (n, 3) of the reader, trees, labels, signs, kinds (n,), described (n, k).

    turned (n,): asked as a requirement, and stated as a flaw.
    """

    logs: np.ndarray
    trees: np.ndarray
    labels: np.ndarray
    negative: np.ndarray
    kinds: np.ndarray
    described: np.ndarray
    turned: np.ndarray

    @property
    def stated(self) -> Held:
        """Labels and signs as the criteria state them."""
        labels = np.where(self.turned, 2 - self.labels, self.labels)
        return replace(self, labels=labels, negative=self.negative | self.turned, turned=np.zeros_like(self.turned))

    def stated_p(self, p: np.ndarray) -> np.ndarray:
        """p (n, 3) of what was asked -> of what is stated."""
        return np.asarray(np.where(self.turned[:, None], p[:, ::-1], p))

    @property
    def satisfied(self) -> np.ndarray:
        return np.asarray(np.where(self.negative, self.labels >= 1, self.labels == 2))

    @property
    def groups(self) -> np.ndarray:
        """The kind with its sign; claims are one."""
        return groups(self.kinds, self.negative)


def groups(kinds: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """(n,) within what classes are balanced: the kind with its sign, claims as one."""
    merged = np.where(np.isin(kinds, sorted(CLAIM_KINDS)), "claims", kinds).astype(np.str_)
    return np.char.add(merged, np.where(negative, "-", "+"))


def fit_mix(held: Held) -> Mix:
    """Weights for each sign, by likelihood; nothing negative, for both speak of the same."""
    inputs = np.stack([strict_logit(held.logs, held.negative), held.trees], 1)
    weights = {}
    for name, side in (("requirement", ~held.negative), ("flaw", held.negative)):
        truth = held.satisfied[side]
        if not 0 < truth.sum() < len(truth):
            weights[name] = (0.5, 0.5, 0.0)
            continue
        chosen = [0, 1]
        model = LogisticRegression(C=1.0).fit(inputs[side], truth)
        if (model.coef_[0] < 0).any():
            chosen = [int(model.coef_[0].argmax())]
            model = LogisticRegression(C=1.0).fit(inputs[side][:, chosen], truth)
        each = [0.0, 0.0]
        for place, value in zip(chosen, model.coef_[0], strict=True):
            each[place] = max(0.0, float(value))
        weights[name] = (*each, float(model.intercept_[0]))
    return Mix(**weights)


def fit_thresholds(p: np.ndarray, held: Held, fitted_on: str) -> Calibration:
    """p (n, 3): mixed probabilities."""
    above = np.where(held.negative, p[:, 1] + p[:, 2], p[:, 2])
    found = {}
    for name, side in (("positive_threshold", ~held.negative), ("negative_threshold", held.negative)):
        truth, value = held.satisfied[side], above[side]
        if 0 < truth.sum() < len(truth):
            scores = [balanced(value >= t, truth) for t in THRESHOLDS]
            found[name] = steadiest(THRESHOLDS, scores)
    return Calibration(fitted_on=fitted_on, **found)


def fit_judgeable(
    p: np.ndarray, held: Held, calibration: Calibration, described: np.ndarray, hard: np.ndarray
) -> Judgeable:
    """The classifier of hard kinds, from all criteria (described (m, k), hard (m,)), and how much is left open.

    Of the held-out rows that it takes for hard, those nearest to the threshold are left open, up to `OPEN` in all.
    """
    if not 0 < hard.sum() < len(hard):
        return Judgeable(np.zeros(described.shape[1] + 1, np.float32), 2.0, 0.0)
    model = LogisticRegression(C=0.3, max_iter=2_000, class_weight="balanced").fit(described, hard)
    weights = np.append(model.coef_[0], model.intercept_[0]).astype(np.float32)
    made = Judgeable(weights, 0.5, 1.0)
    margin = np.abs(margins(p, held.negative, calibration))
    taken = np.sort(margin[made.p_hard(held.described) >= made.hard])
    room = int(OPEN * len(margin) * 0.9)
    return Judgeable(weights, 0.5, float(taken[min(room, len(taken)) - 1]) if len(taken) and room else 0.0)


def hard_kinds(bits: np.ndarray, held: Held, below: float) -> set[str]:
    """Groups (kind and sign) of which balanced accuracy is lower, held-out rows enough."""
    found = set()
    for group in np.unique(held.groups):
        rows = held.groups == group
        truth = held.satisfied[rows]
        if rows.sum() >= FEW and 0 < truth.sum() < len(truth) and balanced(bits[rows], truth) < below:
            found.add(str(group))
    return found


def margins(p: np.ndarray, negative: np.ndarray, calibration: Calibration) -> np.ndarray:
    """(n,) P(the strict bit) less its threshold."""
    above = np.where(negative, p[:, 1] + p[:, 2], p[:, 2])
    return np.asarray(above - np.where(negative, calibration.negative_threshold, calibration.positive_threshold))


def balanced(said: np.ndarray, truth: np.ndarray) -> float:
    """Mean of the two recalls."""
    return float(0.5 * (said[truth].mean() + (~said[~truth]).mean()))


def steadiest(grid: np.ndarray, scores: Sequence[float]) -> float:
    """The point of the grid that is best on average with its neighbours."""
    padded = np.pad(scores, SMOOTH, mode="edge")
    return float(grid[int(np.convolve(padded, np.ones(2 * SMOOTH + 1), "valid").argmax())])
