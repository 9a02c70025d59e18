"""Stages side by side: held-out reward with intervals by bootstrap over tasks and seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

__all__ = ["Interval", "difference", "mean", "task_means"]

Interval = tuple[float, float, float]
"""(value, low, high) of 95%."""


def task_means(outcome: Path) -> dict[str, float]:
    """{task: mean reward of its scored episodes} of a file of `judger-train evaluate`. Unscored ones are left out."""
    rows = outcome.with_suffix(".episodes.jsonl").read_text(encoding="utf-8").splitlines()
    rewards: dict[str, list[float]] = {}
    for row in map(json.loads, rows):
        if row["reward"] is not None:
            rewards.setdefault(row["task"], []).append(row["reward"])
    return {task: sum(values) / len(values) for task, values in rewards.items()}


def mean(runs: Sequence[dict[str, float]], *, draws: int = 4000, seed: int = 0) -> Interval:
    """The mean over runs (seeds) and tasks; each draw takes seeds and tasks anew."""
    table = _table(runs)
    return _interval(float(table.mean()), _resampled(table, draws, np.random.default_rng(seed)))


def difference(
    before: Sequence[dict[str, float]], after: Sequence[dict[str, float]], *, draws: int = 4000, seed: int = 0
) -> Interval:
    """How much more `after` earns than `before` on the same tasks: each draw takes the same tasks for both."""
    tasks = _common([*before, *after])
    first, second = (np.array([[run[task] for task in tasks] for run in runs]) for runs in (before, after))
    random = np.random.default_rng(seed)
    chosen = random.integers(0, len(tasks), (draws, len(tasks)))
    gains = np.array(
        [_some(second, random)[columns].mean() - _some(first, random)[columns].mean() for columns in chosen]
    )
    return _interval(float(second.mean() - first.mean()), gains)


def _some(table: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The mean row of as many seeds as there are, drawn with repetition."""
    return table[random.integers(0, len(table), len(table))].mean(0)


def _common(runs: Sequence[dict[str, float]]) -> list[str]:
    tasks = sorted(set.intersection(*(set(run) for run in runs)))
    if not tasks:
        raise ValueError("no task was scored in all of the runs")
    return tasks


def _table(runs: Sequence[dict[str, float]]) -> np.ndarray:
    tasks = _common(runs)
    return np.array([[run[task] for task in tasks] for run in runs])


def _resampled(table: np.ndarray, draws: int, random: np.random.Generator) -> np.ndarray:
    chosen = random.integers(0, table.shape[1], (draws, table.shape[1]))
    return np.array([_some(table, random)[columns].mean() for columns in chosen])


def _interval(value: float, draws: np.ndarray) -> Interval:
    low, high = np.percentile(draws, [2.5, 97.5])
    return value, float(low), float(high)
