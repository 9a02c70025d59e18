"""The score of a set of reports under a benchmark's rubrics: per task, by axis and by domain. Pure functions.

Per task: the sum of the signed weights that were earned, over the sum of the positive weights, with half of a weight
for "partially" (ResearchRubrics, arXiv 2511.07685). With several trials a criterion counts with the mean over the
trials of P(fully) + P(partially) / 2: where each trial is sure of its label, the mean of the trials' scores. In
ADR-Bench's professional track (arXiv 2512.20491, section 6) a report with a fatal error is worth zero, and so is one
whose flaws outweigh the rest. The score of several tasks, and of a domain, is the mean of theirs. An
axis has few criteria in one task, often with no positive weight among them: there the sums are taken over all tasks.
Intervals are bootstrap intervals over tasks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from judger.agreement.baselines import Floats
from judger.agreement.figures import Figure, draws, figure, ratio
from judger.types import Case, Criterion, Judgement, Label, Score

RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One judged task."""

    name: str
    case: Case
    domain: str
    judgement: Judgement
    trials: int = 1
    floor: bool = False
    """A fatal error, or more flaws than merits, makes zero."""

    @property
    def value(self) -> float | None:
        """The task's score; None where a criterion has no verdict."""
        reward = self.judgement.reward
        if reward.normalized is None:
            return None
        if self.floor and reward.fatal:
            return 0.0
        if self.trials == 1:
            value = reward.normalized
        else:
            scored = scored_criteria(self)
            positive = math.fsum(c.weight for c, _ in scored if c.weight > 0)
            negative = -math.fsum(c.weight for c, _ in scored if c.weight < 0)
            value = math.fsum(c.weight * self.credit(c, score) for c, score in scored) / (positive or negative)
        return max(0.0, value) if self.floor else value

    def credit(self, criterion: Criterion, score: Score) -> float:
        """How much of its weight a criterion earns, or a flaw costs, in [0, 1]."""
        if self.trials > 1:
            return score.p_full + score.p_partial / 2
        return score.credit(self.judgement.reward.mapping, negative=criterion.is_negative)


@dataclass(frozen=True, slots=True)
class Part:
    """The score of all tasks, of a domain or of an axis."""

    tasks: int
    criteria: int
    labels: dict[str, int]
    """How often each label was given."""
    score: Figure

    def to_json(self) -> dict[str, Any]:
        return {"tasks": self.tasks, "criteria": self.criteria, "labels": self.labels, "score": self.score.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Everything that `judger eval researchrubrics` shows."""

    overall: Part
    axes: dict[str, Part]
    domains: dict[str, Part]
    values: dict[str, float]
    """By task."""
    unscored: list[str]
    """Tasks without a score: a criterion of theirs has no verdict. They count in no figure."""


def evaluate(tasks: Sequence[Task], *, resamples: int = RESAMPLES, seed: int = 0) -> Scores:
    """The scores of the tasks that were wholly scored; the others are named."""
    scored = [task for task in tasks if task.value is not None]
    weights = draws(len(scored), resamples, np.random.default_rng(seed))
    domains = sorted({task.domain for task in scored})
    axes = sorted({criterion.axis for task in scored for criterion in task.case.criteria})
    return Scores(
        overall=_mean(scored, weights, None),
        axes={axis: _pooled(scored, weights, axis) for axis in axes},
        domains={domain: _mean(scored, weights, domain) for domain in domains},
        values={task.name: value for task in scored if (value := task.value) is not None},
        unscored=[task.name for task in tasks if task.value is None],
    )


def difference(first: Scores, second: Scores, *, resamples: int = RESAMPLES, seed: int = 0) -> tuple[int, Figure]:
    """How many tasks both have a score on, and the mean over them of first minus second, tasks resampled as pairs."""
    names = [name for name in first.values if name in second.values]
    gaps = np.array([first.values[name] - second.values[name] for name in names], dtype=np.float64)
    weights = draws(len(names), resamples, np.random.default_rng(seed))
    return len(names), figure(ratio(weights @ gaps, weights.sum(axis=1)), has_interval=len(names) > 1)


def _mean(tasks: Sequence[Task], weights: Floats, domain: str | None) -> Part:
    chosen = np.array([domain in (None, task.domain) for task in tasks], dtype=np.float64)
    values = np.array([task.value for task in tasks], dtype=np.float64)
    members = [task for task in tasks if domain in (None, task.domain)]
    return _part(members, None, weights, values * chosen, chosen)


def _pooled(tasks: Sequence[Task], weights: Floats, axis: str) -> Part:
    earned, positive = np.zeros(len(tasks)), np.zeros(len(tasks))
    for i, task in enumerate(tasks):
        for criterion, score in _scores(task, axis):
            earned[i] += criterion.weight * task.credit(criterion, score)
            positive[i] += max(criterion.weight, 0.0)
    return _part([task for task in tasks if _scores(task, axis)], axis, weights, earned, positive)


def _part(
    tasks: Sequence[Task],
    axis: str | None,
    weights: Floats,
    above: Floats,
    below: Floats,
) -> Part:
    scores = [score for task in tasks for _, score in _scores(task, axis)]
    counts = Counter(score.label for score in scores)
    labels = {label.value: counts[label] for label in Label}
    values = ratio(weights @ above, weights @ below)
    return Part(len(tasks), len(scores), labels, figure(values, has_interval=len(tasks) > 1))


def scored_criteria(task: Task) -> list[tuple[Criterion, Score]]:
    """The criteria that have a verdict, with it."""
    return _scores(task, None)


def _scores(task: Task, axis: str | None) -> list[tuple[Criterion, Score]]:
    return [
        (criterion, verdict.result)
        for criterion, verdict in zip(task.case.criteria, task.judgement.verdicts, strict=True)
        if isinstance(verdict.result, Score) and axis in (None, criterion.axis)
    ]


__all__ = ["Part", "Scores", "Task", "difference", "evaluate"]
