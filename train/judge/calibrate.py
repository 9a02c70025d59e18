"""Stage three: temperature, bias and thresholds, on reports that the reader was not trained on.

Sources weigh alike, whatever their size, and each has the share of positives that its people gave, not the balanced
one of training. Temperature scaling with a bias per class: Guo et al. 2017 (arXiv 1706.04599).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

from judger.verdict import Calibration
from train.judge.fit import Source

ODD = frozenset({"wice_claims", "fgrlhf_qafeedback", "hellobench_llm_checklist", "pubmedqa_pqal"})
"""One label only, two criteria only, labels of a model, noise: they fit no threshold."""
COUNTS = 60
"""A source with fewer held-out pairs weighs less."""
THRESHOLDS = np.round(np.arange(0.3, 0.651, 0.01), 2)
SMOOTH = 3
"""A threshold is as good as it and so many neighbours on either side are on average: less luck."""


@dataclass(slots=True)
class Held:
    """Held-out pairs: log-probabilities (n, 3), labels, signs, ternary, weights, sources, synthetic (all n)."""

    logs: np.ndarray
    labels: np.ndarray
    negative: np.ndarray
    ternary: np.ndarray
    weights: np.ndarray
    sources: np.ndarray
    synthetic: np.ndarray

    @property
    def satisfied(self) -> np.ndarray:
        return np.asarray(np.where(self.negative, self.labels >= 1, self.labels == 2))


def gather(
    all_: Sequence[Source],
    logs: Mapping[str, np.ndarray],
    where: Mapping[str, np.ndarray],
    counts: Mapping[str, Sequence[int]],
) -> Held:
    """counts: how many criteria of each label the whole source has, which gives the natural weights back."""
    rows: dict[str, list[np.ndarray]] = defaultdict(list)
    for s in all_:
        at = where[s.name]
        if s.name.split("+")[0] in ODD or not len(at):
            continue
        labels = s.labels[at]
        weight = np.ones(len(at))
        if s.name in counts:
            here = np.bincount(labels, minlength=3)
            natural = np.array(counts[s.name]) / sum(counts[s.name])
            weight = (natural / np.maximum(here / len(at), 1e-9))[labels]
        weight *= min(len(at), COUNTS) / COUNTS / weight.sum() * (0.3 if s.synthetic else 1.0)
        for name, values in (
            ("logs", logs[s.name]),
            ("labels", labels),
            ("negative", s.negative[at]),
            ("ternary", np.full(len(at), s.ternary)),
            ("weights", weight),
            ("sources", np.full(len(at), s.name)),
            ("synthetic", np.full(len(at), s.synthetic)),
        ):
            rows[name].append(values)
    return Held(**{name: np.concatenate(values) for name, values in rows.items()})


def fit_calibration(held: Held, fitted_on: str) -> Calibration:
    """Scale by likelihood, then the thresholds that give the best mean balanced accuracy."""

    def scaled(x: np.ndarray) -> np.ndarray:
        return np.asarray(log_softmax((held.logs + np.array([0.0, x[1], x[2]])) / np.exp(x[0]), axis=1))

    def objective(x: np.ndarray) -> float:
        p = scaled(x)
        above = np.where(held.negative, logsumexp(p[:, 1:], axis=1), p[:, 2])
        below = np.where(held.negative, p[:, 0], logsumexp(p[:, :2], axis=1))
        strict = -np.where(held.satisfied, above, below)
        three = -p[np.arange(len(p)), held.labels]
        loss = np.where(held.ternary, 0.5 * strict + 0.5 * three, strict)
        return float((held.weights * loss).sum() / held.weights.sum() + 1e-3 * (x**2).sum())

    x = minimize(objective, np.zeros(3), method="Nelder-Mead", options={"maxiter": 600}).x
    p = np.exp(scaled(x))
    above = np.where(held.negative, p[:, 1] + p[:, 2], p[:, 2])
    thresholds = {}
    people = ~held.negative & ~held.synthetic
    sides = {"positive_threshold": people if people.any() else ~held.negative, "negative_threshold": held.negative}
    for name, side in sides.items():
        scores = [balanced(held, above >= t, side) for t in THRESHOLDS]
        thresholds[name] = steadiest(THRESHOLDS, scores) if side.any() and max(scores) > 0 else 0.5
    partial = held.ternary & ~held.negative & (above < thresholds["positive_threshold"]) & (held.labels < 2)
    share = p[partial, 1] / np.maximum(p[partial, 0] + p[partial, 1], 1e-9)
    truth = held.labels[partial] == 1
    grid = np.round(np.arange(0.2, 0.81, 0.02), 2)
    recalls = (
        [(share[truth] >= t).mean() + (share[~truth] < t).mean() for t in grid] if 0 < truth.sum() < len(truth) else []
    )
    return Calibration(
        temperature=float(np.exp(x[0])),
        bias=(0.0, float(x[1]), float(x[2])),
        partial_threshold=steadiest(grid, recalls) if recalls else 0.5,
        fitted_on=fitted_on,
        **thresholds,
    )


def steadiest(grid: np.ndarray, scores: Sequence[float]) -> float:
    """The point of the grid that is best on average with its neighbours."""
    padded = np.pad(scores, SMOOTH, mode="edge")
    return float(grid[int(np.convolve(padded, np.ones(2 * SMOOTH + 1), "valid").argmax())])


def balanced(held: Held, said: np.ndarray, side: np.ndarray) -> float:
    """Mean over sources of the mean of the two recalls; sources with one class are left out."""
    found = []
    for name in np.unique(held.sources[side]):
        rows = side & (held.sources == name)
        truth = held.satisfied[rows]
        if 0 < truth.sum() < len(truth):
            found.append(0.5 * (said[rows][truth].mean() + (~said[rows][~truth]).mean()))
    return float(np.mean(found)) if found else 0.0
