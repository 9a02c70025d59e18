"""The arithmetic under `judger.calibration.calibrate`: scaling and thresholds on labelled criteria. Pure functions.

Shapes: probabilities and logits [n, 3] over (not, partially, fully), everything else [n]; weights have mean 1.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from judger.agreement.baselines import Answers, Bools, Floats, Ints
from judger.agreement.figures import macro_f1
from judger.verdict import TINY, Calibration

MIN_PER_SIDE = 10
"""A threshold with fewer labels on either side of it stays at 0.5."""
# One standard deviation of the prior around the identity: a temperature off by e, a class favoured by e^2.
PRIOR_LOG_TEMPERATURE = 1.0
PRIOR_BIAS = 2.0
PARTIAL_GRID = np.round(np.arange(0.05, 0.951, 0.01), 2)


def logarithms(p: Floats) -> Floats:
    """log p, from below as `Calibration.apply` has it."""
    return np.asarray(np.log(np.maximum(p, TINY)))


def softmax(logits: Floats) -> Floats:
    return np.asarray(np.exp(log_softmax(logits, axis=1)))


def apply(calibration: Calibration, p: Floats) -> Floats:
    """`Calibration.apply` for all rows at once."""
    return softmax((logarithms(p) + np.array(calibration.bias)) / calibration.temperature)


def invert(calibration: Calibration, p: Floats) -> Floats:
    """`Calibration.invert` for all rows at once."""
    return softmax(logarithms(p) * calibration.temperature - np.array(calibration.bias))


def p_satisfied(p: Floats, negatives: Bools) -> Floats:
    return np.asarray(np.where(negatives, p[:, 1] + p[:, 2], p[:, 2]))


def answers(calibration: Calibration, p: Floats, negatives: Bools) -> Answers:
    """`judger.verdict.score` of calibrated probabilities for all rows at once."""
    above = p_satisfied(p, negatives)
    satisfied = above >= np.where(negatives, calibration.negative_threshold, calibration.positive_threshold)
    return Answers(_labels(p, negatives, satisfied, calibration.partial_threshold), satisfied, above)


def _labels(p: Floats, negatives: Bools, satisfied: Bools, partial_threshold: float) -> Ints:
    # On either side of the strict bit two labels are left, or one.
    low = np.where(negatives, p[:, 1], p[:, 0])
    high = np.where(negatives, p[:, 2], p[:, 1])
    is_high = high >= partial_threshold * np.maximum(low + high, TINY)
    labels = np.where(negatives, np.where(satisfied, 1 + is_high, 0), np.where(satisfied, 2, is_high))
    return labels.astype(np.int64)


def negative_log_likelihood(p: Floats, labels: Ints, weights: Floats) -> float:
    """Weighted mean of -log p(label)."""
    own = logarithms(p)[np.arange(len(labels)), labels]
    return float(-np.average(own, weights=weights))


def fit_scale(p: Floats, labels: Ints, weights: Floats) -> tuple[float, tuple[float, float, float]]:
    """Temperature and biases that make the labels likeliest, under the prior.

    A shift of all biases changes nothing, so their mean is 0. Without the prior the bias of a class that no label has
    would run off to minus infinity.
    """
    log_p = logarithms(p)
    target = np.eye(3)[labels]

    def loss(x: Floats) -> tuple[float, Floats]:
        temperature = np.exp(x[0])
        z = (log_p + x[1:]) / temperature
        log_q = log_softmax(z, axis=1)
        gap = weights[:, None] * (np.exp(log_q) - target)
        value = -float(weights @ log_q[np.arange(len(labels)), labels])
        slope = np.concatenate([[-float((gap * z).sum())], gap.sum(axis=0) / temperature])
        prior = np.array([PRIOR_LOG_TEMPERATURE, PRIOR_BIAS, PRIOR_BIAS, PRIOR_BIAS]) ** 2
        return value + float((x**2 / (2 * prior)).sum()), slope + x / prior

    bounds = [(np.log(0.02), np.log(50.0)), *[(-20.0, 20.0)] * 3]
    # Newton's method in plain C: L-BFGS-B hands its 4 x 4 systems to a threaded LAPACK, which waits for busy cores.
    found = minimize(loss, np.zeros(4), jac=True, method="TNC", bounds=bounds, options={"maxfun": 1000})
    bias = found.x[1:] - found.x[1:].mean()
    return float(np.exp(found.x[0])), (float(bias[0]), float(bias[1]), float(bias[2]))


def fit_threshold(above: Floats, satisfied: Bools, weights: Floats) -> float:
    """Where "satisfied" begins for the best balanced accuracy; 0.5 with fewer than ten labels on either side.

    Between two neighbouring probabilities all thresholds are alike: the middle is taken, and among equally good ones
    that nearest to 0.5.
    """
    if not can_fit_threshold(satisfied):
        return 0.5
    order = np.argsort(above, kind="stable")
    sorted_above, hits, weight = above[order], satisfied[order], weights[order]
    # recalls[k]: of "the k lowest are not satisfied".
    below = np.concatenate([[0.0], np.cumsum(weight * hits)]), np.concatenate([[0.0], np.cumsum(weight * ~hits)])
    recalls = (1 - below[0] / below[0][-1] + below[1] / below[1][-1]) / 2
    edges = np.concatenate([[0.0], sorted_above, [1.0]])
    is_cut = edges[:-1] < edges[1:]
    cuts = ((edges[:-1] + edges[1:]) / 2)[is_cut]
    recalls = recalls[is_cut]
    best = cuts[recalls >= recalls.max() - 1e-9]
    return float(np.clip(best[np.argmin(np.abs(best - 0.5))], 1e-6, 1 - 1e-6))


def can_fit_threshold(satisfied: Bools) -> bool:
    """Whether there are labels enough on both sides."""
    return min(int(satisfied.sum()), int((~satisfied).sum())) >= MIN_PER_SIDE


def fit_partial(p: Floats, labels: Ints, negatives: Bools, satisfied: Bools, weights: Floats) -> float:
    """The threshold of the upper label of a pair for the best macro-F1 over the labels; `satisfied` is the judge's.

    0.5 with fewer than ten labels of "partially". Among equally good ones that nearest to 0.5.
    """
    if int((labels == 1).sum()) < MIN_PER_SIDE:
        return 0.5
    scores = []
    for threshold in PARTIAL_GRID:
        cells = labels * 3 + _labels(p, negatives, satisfied, float(threshold))
        counts = np.bincount(cells, weights=weights, minlength=9).astype(np.float64)
        scores.append(macro_f1(counts.reshape(1, 3, 3))[0])
    best = PARTIAL_GRID[np.array(scores) >= max(scores) - 1e-9]
    return float(best[np.argmin(np.abs(best - 0.5))])
