"""The arithmetic under `judger.agreement`: one source as arrays, its figures, and their bootstrap intervals.

Every function of counts works on [1 + resamples, ...] at once: row 0 is the source as it is, every other row a
resample of its reports. A figure that a row does not define (one class only, nothing scored) is NaN there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from judger.agreement.baselines import Answers, Bools, Floats, Ints

CONFIDENCE = 0.95
BINS = 15
ENOUGH = 0.8
"""The share of resamples in which a figure must be defined to have an interval."""

FIGURES = (
    "balanced_accuracy",
    "macro_f1",
    "ternary_macro_f1",
    "kappa",
    "ece",
    "positive_rate",
    "human_positive_rate",
    "positive_rate_of_requirements",
    "human_positive_rate_of_requirements",
    "positive_rate_of_flaws",
    "human_positive_rate_of_flaws",
    "unscored",
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its interval; None where it is not defined (one class only, one report, nothing to measure)."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one judge on one source, or its mean. `n` counts the criteria with a verdict."""

    n: int
    figures: dict[str, Figure]

    def to_json(self) -> dict[str, Any]:
        return {"n": self.n, **{name: figure.to_json() for name, figure in self.figures.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One source: n scored criteria of R reports, and how often each report is in each resample."""

    human: Ints
    """[n] 0 not, 1 partially, 2 fully."""
    negative: Bools
    """[n]"""
    reports: Ints
    """[n] which of the R reports."""
    missing: Floats
    """[R] criteria without a verdict."""
    draws: Floats
    """[1 + resamples, R]; ones in row 0."""

    @property
    def human_satisfied(self) -> Bools:
        return np.where(self.negative, self.human >= 1, self.human == 2)

    def sums(self, values: Floats) -> Floats:
        """[1 + resamples, K] of [n, K]: added up over the criteria of each resample."""
        by_report = np.zeros((len(self.missing), values.shape[1]))
        np.add.at(by_report, self.reports, values)
        return self.draws @ by_report


def draws(num_reports: int, resamples: int, rng: np.random.Generator) -> Floats:
    """[1 + resamples, R]: whole reports drawn with replacement, as multiplicities; row 0 holds each once."""
    everything = np.ones((1, num_reports))
    if num_reports == 0:
        return np.ones((1 + resamples, 0))
    drawn = rng.multinomial(num_reports, np.full(num_reports, 1 / num_reports), size=resamples)
    return np.vstack([everything, drawn]).astype(np.float64)


def confusion(sample: Sample, human: Ints, judge: Ints, num_classes: int, where: Bools | None = None) -> Floats:
    """[1 + resamples, human class, judge class] counts, over the criteria in `where`."""
    cells = np.zeros((len(human), num_classes**2))
    cells[np.arange(len(human)), human * num_classes + judge] = 1.0
    if where is not None:
        cells[~where] = 0.0
    return sample.sums(cells).reshape(-1, num_classes, num_classes)


def balanced_accuracy(counts: Floats) -> Floats:
    """Mean recall of the two classes; NaN where people gave one answer only."""
    recalls = ratio(counts.diagonal(axis1=1, axis2=2), counts.sum(axis=2))
    return (recalls[:, 0] + recalls[:, 1]) / 2


def macro_f1(counts: Floats) -> Floats:
    """Mean F1 over the classes that people or the judge used."""
    return _nanmean(ratio(2 * counts.diagonal(axis1=1, axis2=2), counts.sum(axis=1) + counts.sum(axis=2)))


def kappa(counts: Floats) -> Floats:
    """Cohen's kappa: agreement beyond chance; NaN where both gave one and the same answer throughout."""
    total = counts.sum(axis=(1, 2))
    observed = ratio(np.trace(counts, axis1=1, axis2=2), total)
    chance = ratio((counts.sum(axis=1) * counts.sum(axis=2)).sum(axis=1), total**2)
    return ratio(observed - chance, 1 - chance)


def calibration_error(samples: Sequence[tuple[Sample, Answers]]) -> Floats:
    """[1 + resamples] expected calibration error of P(satisfied), the sources pooled with equal weight.

    15 bins of equal mass (Nixon et al. 2019, arXiv 1904.01685); equal probabilities share a bin, so that a constant
    has one bin and not fifteen by the order of the file. The bins are those of the sources as they are.
    """
    samples = [(sample, answers) for sample, answers in samples if len(sample.human)]
    if not samples:
        return np.full(1, np.nan)
    p = np.concatenate([answers.p_satisfied for _, answers in samples])
    mass = np.concatenate([np.full(len(sample.human), 1 / len(sample.human)) for sample, _ in samples])
    _, inverse = np.unique(p, return_inverse=True)
    masses = np.bincount(inverse, weights=mass)
    middle = (np.cumsum(masses) - masses / 2) / masses.sum()
    bins = np.minimum((middle * BINS).astype(np.int64), BINS - 1)[inverse]
    gaps, start = [], 0
    for sample, answers in samples:
        n = len(sample.human)
        cells = np.zeros((n, BINS + 1))
        cells[np.arange(n), bins[start : start + n]] = answers.p_satisfied - sample.human_satisfied
        cells[:, BINS] = 1.0
        sums = sample.sums(cells)
        gaps.append(ratio(sums[:, :BINS], sums[:, BINS:]))
        start += n
    error: Floats = np.abs(_nanmean(np.stack(gaps, axis=2))).sum(axis=1)
    return error


def rates(sample: Sample, answers: Answers) -> dict[str, Floats]:
    """How much is passed, by the judge and by people, in all and by the sign of the weight."""
    binary = confusion(sample, sample.human_satisfied.astype(np.int64), answers.satisfied.astype(np.int64), 2)
    flaws = confusion(
        sample, sample.human_satisfied.astype(np.int64), answers.satisfied.astype(np.int64), 2, sample.negative
    )
    figures = {}
    for suffix, counts in (("", binary), ("_of_requirements", binary - flaws), ("_of_flaws", flaws)):
        total = counts.sum(axis=(1, 2))
        figures[f"positive_rate{suffix}"] = ratio(counts[:, :, 1].sum(axis=1), total)
        figures[f"human_positive_rate{suffix}"] = ratio(counts[:, 1, :].sum(axis=1), total)
    return figures


def resampled(sample: Sample, answers: Answers) -> dict[str, Floats]:
    """Every figure of one source, in order, each [1 + resamples]."""
    binary = confusion(sample, sample.human_satisfied.astype(np.int64), answers.satisfied.astype(np.int64), 2)
    ternary = confusion(sample, sample.human, answers.label, 3)
    missing = sample.draws @ sample.missing
    return {
        "balanced_accuracy": balanced_accuracy(binary),
        "macro_f1": macro_f1(binary),
        "ternary_macro_f1": macro_f1(ternary),
        "kappa": kappa(binary),
        "ece": calibration_error([(sample, answers)]) if len(sample.human) else np.full(len(sample.draws), np.nan),
        **rates(sample, answers),
        "unscored": ratio(missing, missing + binary.sum(axis=(1, 2))),
    }


def scikit_learn(sample: Sample, answers: Answers) -> dict[str, float]:
    """The values of the source as it is. Only for figures that are defined: scikit-learn warns of the others."""
    from sklearn import metrics

    human, judge = sample.human_satisfied, answers.satisfied
    return {
        "balanced_accuracy": float(metrics.balanced_accuracy_score(human, judge)),
        "macro_f1": float(metrics.f1_score(human, judge, average="macro")),
        "ternary_macro_f1": float(metrics.f1_score(sample.human, answers.label, average="macro")),
        "kappa": float(metrics.cohen_kappa_score(human, judge)),
    }


def figure(values: Floats, *, has_interval: bool = True) -> Figure:
    """The value (row 0) with its percentile interval.

    Resampling adds calibration error and never takes any away, so that an interval is widened to hold its value.
    """
    value = float(values[0])
    if math.isnan(value):
        return Figure(None)
    resamples = values[1:][~np.isnan(values[1:])]
    if not has_interval or len(resamples) < max(1, ENOUGH * (len(values) - 1)):
        return Figure(value)
    low, high = np.quantile(resamples, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Figure(value, min(float(low), value), max(float(high), value))


def table(sources: Mapping[str, tuple[Sample, Answers]]) -> tuple[dict[str, Row], Row]:
    """The figures by source, and their mean: every source with a defined value counts the same."""
    if not sources:
        return {}, Row(0, {name: Figure(None) for name in FIGURES})
    rows: dict[str, Row] = {}
    columns: dict[str, list[Floats]] = {}
    for name, (sample, answers) in sources.items():
        values = resampled(sample, answers)
        if not any(np.isnan(values[key][0]) for key in ("balanced_accuracy", "kappa")):
            for key, value in scikit_learn(sample, answers).items():
                values[key][0] = value
        for key, column in values.items():
            columns.setdefault(key, []).append(column)
        many = len(sample.missing) > 1
        rows[name] = Row(len(sample.human), {k: figure(v, has_interval=many) for k, v in values.items()})
    pooled = calibration_error(list(sources.values()))
    mean = {}
    for key, values_of in columns.items():
        # One report can't be resampled: a mean with such a source in it would have too narrow an interval.
        whole = all(len(sample.missing) > 1 for (sample, _) in sources.values())
        mean[key] = figure(pooled if key == "ece" else _nanmean(np.stack(values_of, axis=1)), has_interval=whole)
    return rows, Row(sum(row.n for row in rows.values()), mean)


def ratio(above: Floats, below: Floats) -> Floats:
    """`above / below`; NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below > 0, above / below, np.nan)


def _nanmean(values: Floats) -> Floats:
    """Over the last axis, leaving NaN out; NaN where nothing is left (numpy's own warns of it)."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(np.float64))


__all__ = ["BINS", "CONFIDENCE", "FIGURES", "Figure", "Row", "Sample", "draws", "figure", "ratio", "table"]
