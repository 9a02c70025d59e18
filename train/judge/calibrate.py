"""Stage five: how reader and trees are weighed, thresholds by sign, and what is left open; on tasks neither has seen.

A logistic regression for each sign gives probabilities that hold at the rates of real rubrics. Thresholds are not
searched for: of such probabilities the best one is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from sklearn.linear_model import LogisticRegression

from judger.engines.mini.judgeable import Judgeable
from judger.engines.mini.mix import INPUTS, Mix, strict_logit
from judger.engines.mini.turn import as_stated
from judger.verdict import Calibration
from train.judge.draw import CLAIM_KINDS

FEW = 20
"""A kind with fewer held-out rows says nothing of how well it is judged."""
CLAIM = INPUTS.index("claim")
"""The one input that is no logit."""
OPEN = 0.15
"""At most this share is left open."""


@dataclass(slots=True)
class Held:
    """Rows that nothing was fitted on: logs (n, 3) of the reader, trees (the regression's logit added), labels, signs,
    kinds (n,), described (n, k).

    turned (n,): asked as a requirement, and stated as a flaw; stances (n,): whether a claim, whether denied; deep
    (n, 3): the log-probabilities of a second reader, where there is one.
    """

    logs: np.ndarray
    trees: np.ndarray
    labels: np.ndarray
    negative: np.ndarray
    kinds: np.ndarray
    described: np.ndarray
    turned: np.ndarray
    stances: np.ndarray
    deep: np.ndarray | None = None

    @property
    def stated(self) -> Held:
        """Labels and signs as the criteria state them."""
        labels = np.where(self.turned, 2 - self.labels, self.labels)
        return replace(self, labels=labels, negative=self.negative | self.turned, turned=np.zeros_like(self.turned))

    def mixed(self, mix: Mix, calibration: Calibration) -> np.ndarray:
        """Probabilities (n, 3) of what is stated."""
        p = mix(self.logs, self.trees, self.negative.tolist(), self.stances.tolist(), self.deep)
        return as_stated(p, self.turned, calibration)

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
    """Weights for each sign, by likelihood; logits that would count against themselves are left out."""
    columns = [strict_logit(held.logs, held.negative), held.trees, held.stances != "none"]
    if held.deep is not None:
        columns.append(strict_logit(held.deep, held.negative))
    inputs = np.stack(columns, 1).astype(np.float64)
    logits = [i for i in range(inputs.shape[1]) if i != CLAIM]
    weights = {}
    for name, side in (("requirement", ~held.negative), ("flaw", held.negative)):
        truth = held.satisfied[side]
        if not 0 < truth.sum() < len(truth):
            even = np.ones(inputs.shape[1]) / len(logits)
            even[CLAIM] = 0.0
            weights[name] = (*map(float, even), 0.0)
            continue
        used = sorted([*logits, CLAIM])
        model = LogisticRegression(C=1.0).fit(inputs[side], truth)
        while any(w < 0 and i != CLAIM for i, w in zip(used, model.coef_[0], strict=True)) and len(used) > 2:
            used.remove(min((w, i) for i, w in zip(used, model.coef_[0], strict=True) if i != CLAIM)[1])
            model = LogisticRegression(C=1.0).fit(inputs[side][:, used], truth)
        each = np.zeros(inputs.shape[1])
        each[used] = model.coef_[0]
        weights[name] = (*map(float, each), float(model.intercept_[0]))
    return Mix(**weights)


def fit_thresholds(held: Held, fitted_on: str) -> Calibration:
    """The share of a sign's rows that are satisfied: where balanced accuracy is best for probabilities that hold."""
    found = {}
    for name, side in (("positive_threshold", ~held.negative), ("negative_threshold", held.negative)):
        if side.any():
            found[name] = round(float(np.clip(held.satisfied[side].mean(), 0.3, 0.7)), 3)
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
    return with_margin(Judgeable(weights, 0.5, 1.0), p, held, calibration)


def with_margin(made: Judgeable, p: np.ndarray, held: Held, calibration: Calibration) -> Judgeable:
    """The same classifier, leaving open up to `OPEN` of held-out rows (p (n, 3)): those nearest to the threshold."""
    margin = np.abs(margins(p, held.negative, calibration))
    taken = np.sort(margin[made.p_hard(held.described) >= made.hard])
    room = int(OPEN * len(margin) * 0.9)
    return replace(made, margin=float(taken[min(room, len(taken)) - 1]) if len(taken) and room else 0.0)


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
