"""Fits a calibration to people's labels, and says honestly what it gains: `judger calibrate`.

Temperature scaling with a bias per class (Guo et al. 2017, arXiv 1706.04599, section 4.2) by the weighted negative
log-likelihood under a weak prior around the identity; then the thresholds of the strict bit by balanced accuracy, for
requirements and for flaws apart, and that of "partially" by macro-F1 over the labels.

What it gains is measured on reports that the fit has not seen: the figures after are those of five calibrations, each
on the fifth of the reports that it was not fitted on. The one that is kept is fitted on everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from judger.agreement import Observation
from judger.agreement.baselines import Answers, Bools, Floats, Ints
from judger.agreement.figures import Row, Sample, draws, table
from judger.calibration.fitting import (
    MIN_PER_SIDE,
    answers,
    apply,
    can_fit_threshold,
    fit_partial,
    fit_scale,
    fit_threshold,
    invert,
    negative_log_likelihood,
)
from judger.engines.calibration_file import load_calibration, save_calibration
from judger.errors import InvalidRequest
from judger.types import Label, Unscored
from judger.verdict import IDENTITY, Calibration

__all__ = ["Labelled", "Report", "fit", "fit_report", "labelled", "load_calibration", "save_calibration"]

LABELS = tuple(Label)
MIN_LABELS = 50
MIN_REPORTS = 10
FOLDS = 5
RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """n labelled criteria as arrays. `labels` are 0 not, 1 partially, 2 fully; `probabilities` [n, 3] in that order."""

    probabilities: Floats
    """What the engine says, before any calibration."""
    labels: Ints
    negatives: Bools
    reports: Ints
    """Which report a criterion belongs to: what is left out and drawn as a whole."""
    sources: Ints
    names: tuple[str, ...]
    """Of the sources, by number."""

    @property
    def satisfied(self) -> Bools:
        """The strict bit that people gave."""
        return np.asarray(np.where(self.negatives, self.labels >= 1, self.labels == 2))

    @property
    def weights(self) -> Floats:
        """[n] with mean 1: every source counts the same, whatever its size."""
        sizes = np.bincount(self.sources, minlength=len(self.names))
        return np.asarray(len(self.labels) / (np.count_nonzero(sizes) * sizes[self.sources]))

    def rows(self, which: Ints) -> Labelled:
        """Some of the criteria."""
        return Labelled(
            probabilities=self.probabilities[which],
            labels=self.labels[which],
            negatives=self.negatives[which],
            reports=self.reports[which],
            sources=self.sources[which],
            names=self.names,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A calibration and what it gains. `before` and `after`: by source and their mean, as in `judger agree`."""

    calibration: Calibration
    before: tuple[dict[str, Row], Row]
    after: tuple[dict[str, Row], Row]
    nll_before: float
    """Mean negative log-likelihood of the labels, every source weighted equally."""
    nll_after: float
    num_labels: int
    num_reports: int
    notes: tuple[str, ...]
    """What could not be fitted, for people."""

    @property
    def improves(self) -> bool:
        """Whether the labels of unseen reports are likelier after than before."""
        return self.nll_after < self.nll_before

    def to_json(self) -> dict[str, object]:
        """For `--json`; figures as {"value", "low", "high"}."""

        def half(nll: float, rows: dict[str, Row], mean: Row) -> dict[str, object]:
            return {"nll": nll, "sources": {name: row.to_json() for name, row in rows.items()}, "mean": mean.to_json()}

        return {
            "calibration": asdict(self.calibration),
            "labels": self.num_labels,
            "reports": self.num_reports,
            "improves": self.improves,
            "before": half(self.nll_before, *self.before),
            "after": half(self.nll_after, *self.after),
            "notes": list(self.notes),
        }


def labelled(observations: Mapping[str, Iterable[Observation]], current: Calibration = IDENTITY) -> Labelled:
    """Judged and labelled criteria by source as arrays, with the judge's `current` calibration taken back.

    Criteria without a verdict are left out.
    """
    scored = [
        (source, row, row.result)
        for source, rows in enumerate(observations.values())
        for row in rows
        if not isinstance(row.result, Unscored)
    ]
    reports: dict[tuple[int, bytes], int] = {}
    p = np.array([(score.p_not, score.p_partial, score.p_full) for _, _, score in scored], dtype=np.float64)
    return Labelled(
        probabilities=invert(current, p.reshape(-1, 3)),
        labels=np.array([LABELS.index(row.human) for _, row, _ in scored], dtype=np.int64),
        negatives=np.array([row.negative for _, row, _ in scored], dtype=np.bool_),
        reports=np.array([reports.setdefault((s, row.report), len(reports)) for s, row, _ in scored], dtype=np.int64),
        sources=np.array([source for source, _, _ in scored], dtype=np.int64),
        names=tuple(observations),
    )


def fit(data: Labelled, *, fitted_on: str = "") -> Calibration:
    """The calibration that makes the labels likeliest, with the thresholds that serve them best.

    A class that no label has is driven down as far as the prior lets it. A threshold with fewer than ten labels on
    either side stays at 0.5. Raises InvalidRequest with fewer than 50 labels, 10 reports, or 10 satisfied and 10
    unsatisfied criteria: a fit would be noise.
    """
    count, reports, met = len(data.labels), len(np.unique(data.reports)), int(data.satisfied.sum())
    if count < MIN_LABELS:
        raise InvalidRequest("labels", f"{count} labelled criteria have a verdict, at least {MIN_LABELS} are needed")
    if reports < MIN_REPORTS:
        raise InvalidRequest("labels", f"they come from {reports} reports, at least {MIN_REPORTS} are needed")
    if min(met, count - met) < MIN_PER_SIDE:
        reason = f"{met} are satisfied and {count - met} are not, at least {MIN_PER_SIDE} of each are needed"
        raise InvalidRequest("labels", reason)
    return _fit(data, fitted_on)


def fit_report(
    data: Labelled,
    *,
    current: Calibration = IDENTITY,
    fitted_on: str = "",
    fitted_for: str = "",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Report:
    """A calibration and what it gains over the `current` one, on reports that the fit has not seen.

    The same data and seed give the same report. Raises InvalidRequest as `fit` does.
    """
    from sklearn.model_selection import GroupKFold

    calibration = replace(fit(data, fitted_on=fitted_on), fitted_for=fitted_for)
    p_before = apply(current, data.probabilities)
    p_after = np.empty_like(p_before)
    before = answers(current, p_before, data.negatives)
    after = Answers(np.empty_like(before.label), np.empty_like(before.satisfied), np.empty_like(before.p_satisfied))
    folds = GroupKFold(FOLDS)
    for train, test in folds.split(data.probabilities, groups=data.reports):
        fold = _fit(data.rows(train), "")
        p_after[test] = apply(fold, data.probabilities[test])
        unseen = answers(fold, p_after[test], data.negatives[test])
        after.label[test], after.satisfied[test] = unseen.label, unseen.satisfied
        after.p_satisfied[test] = unseen.p_satisfied
    return Report(
        calibration=calibration,
        before=_figures(data, before, resamples, seed),
        after=_figures(data, after, resamples, seed),
        nll_before=negative_log_likelihood(p_before, data.labels, data.weights),
        nll_after=negative_log_likelihood(p_after, data.labels, data.weights),
        num_labels=len(data.labels),
        num_reports=len(np.unique(data.reports)),
        notes=tuple(_notes(data)),
    )


def _fit(data: Labelled, fitted_on: str) -> Calibration:
    weights = data.weights
    temperature, bias = fit_scale(data.probabilities, data.labels, weights)
    scaled = Calibration(temperature=temperature, bias=bias)
    p = apply(scaled, data.probabilities)
    above = answers(scaled, p, data.negatives).p_satisfied
    positive, negative = (
        fit_threshold(above[sign], data.satisfied[sign], weights[sign]) for sign in (~data.negatives, data.negatives)
    )
    judged = above >= np.where(data.negatives, negative, positive)
    return Calibration(
        temperature=temperature,
        bias=bias,
        positive_threshold=positive,
        negative_threshold=negative,
        partial_threshold=fit_partial(p, data.labels, data.negatives, judged, weights),
        fitted_on=fitted_on,
    )


def _figures(data: Labelled, judged: Answers, resamples: int, seed: int) -> tuple[dict[str, Row], Row]:
    """The figures of `judger agree` for arrays."""
    parts: dict[str, tuple[Sample, Answers]] = {}
    for number, name in enumerate(data.names):
        (own,) = np.nonzero(data.sources == number)
        if not len(own):
            continue
        _, reports = np.unique(data.reports[own], return_inverse=True)
        count = int(reports.max()) + 1
        sample = Sample(
            human=data.labels[own],
            negative=data.negatives[own],
            reports=reports,
            missing=np.zeros(count),
            draws=draws(count, resamples, np.random.default_rng([seed, number])),
        )
        parts[name] = sample, Answers(judged.label[own], judged.satisfied[own], judged.p_satisfied[own])
    return table(parts)


def _notes(data: Labelled) -> list[str]:
    notes = []
    for name, sign in (("requirements", ~data.negatives), ("flaws", data.negatives)):
        if not can_fit_threshold(data.satisfied[sign]):
            notes.append(f"too few labels of {name} on both sides: their threshold stays at 0.5")
    counts = np.bincount(data.labels, minlength=3)
    notes += [
        f"no label is {label}: the class is driven down" for label, n in zip(LABELS, counts, strict=True) if not n
    ]
    if 0 < counts[1] < MIN_PER_SIDE:
        notes.append("too few labels are partially_satisfied: its threshold stays at 0.5")
    return notes
