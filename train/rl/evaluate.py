"""The mean judged reward of a model on held-out tasks, with what else its episodes came to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from judger.types import Lane, Options
from train.rl.collect import collect, figures, orders_of
from train.rl.episodes import Episodes
from train.rl.reward import Judged, Rewards, by_role
from train.rl.sampler import Sampler
from train.rl.setup import Inputs

__all__ = ["OPTIONS", "evaluate", "interval", "write_outcome"]

OPTIONS = Options(lane=Lane.EVALUATION)
"""How the judger is asked: strict, as in training, so that the figure is the one that was optimized."""


def evaluate(
    inputs: Inputs,
    model: Any,
    rewards: Rewards,
    *,
    samples: int = 1,
    temperature: float = 1.0,
    turn_tokens: int | None = None,
    seed: int = 0,
    at_once: int = 64,
    on_end: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Any], list[Judged]]:
    """Run `samples` episodes of each task and judge them. Raises JudgeLost.

    Returns:
        the figures, those of `reward` and the roles with 95% intervals by bootstrap over tasks; and the episodes.
    """

    async def run() -> list[Judged]:
        sampler = Sampler(model, inputs.tokenizer, temperature=temperature, turn_tokens=turn_tokens)
        orders = orders_of(inputs.tasks, samples, 0, seed)
        found: list[Judged] = []
        try:
            async with inputs.open_shared() as shared:
                episodes = Episodes(inputs.settings, shared, sampler)
                # In slices: an episode that ends lets none of the others wait for a smaller batch.
                for start in range(0, len(orders), at_once):
                    batch = await collect(episodes, rewards, orders[start : start + at_once])
                    found += batch.judged
                    for _ in batch.judged:
                        on_end()
        finally:
            sampler.close()
        return found

    judged = asyncio.run(run())
    roles = sorted({role for one in judged for role in by_role(one)})
    outcome: dict[str, Any] = {
        "tasks": len(inputs.tasks),
        "samples": samples,
        "temperature": temperature,
        "reward": interval(judged, lambda one: one.value),
        "roles": {role: interval(judged, lambda one, role=role: by_role(one).get(role)) for role in roles},
        "figures": figures(judged),
        "judge_id": next((one.judgement.judge_id for one in judged if one.judgement), ""),
    }
    return outcome, judged


def interval(
    judged: Sequence[Judged], value: Callable[[Judged], float | None], *, draws: int = 2000, seed: int = 0
) -> dict[str, float] | None:
    """{"value", "low", "high"}: the mean over tasks of their episodes' mean, and its 95% bootstrap interval over tasks.

    Episodes without a value are left out; None where no episode has one.
    """
    by_task: dict[str, list[float]] = {}
    for one in judged:
        found = value(one)
        if found is not None:
            by_task.setdefault(one.rollout.order.task.id, []).append(found)
    if not by_task:
        return None
    means = np.array([fmean(values) for values in by_task.values()])
    random = np.random.default_rng(seed)
    resampled = means[random.integers(0, len(means), (draws, len(means)))].mean(1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {"value": float(means.mean()), "low": float(low), "high": float(high)}


def write_outcome(path: Path, outcome: dict[str, Any], judged: Sequence[Judged]) -> None:
    """The figures as JSON, and beside them the episodes, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
    rows = [
        {
            "task": one.rollout.order.task.id,
            "number": one.rollout.order.number,
            "reward": one.value,
            "fault": one.fault,
            "status": one.rollout.status,
            "report": one.rollout.report,
        }
        for one in judged
    ]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.with_suffix(".episodes.jsonl").write_text(lines, encoding="utf-8")
