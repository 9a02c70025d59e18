"""A batch of judged episodes, and its figures: reward, roles, lengths, faults, the hacking watch, where time went."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean
from typing import Any

import torch

from judger.errors import JudgerError
from policy.rollouts import Task
from train.rl.episodes import Episodes, Order, seed_of
from train.rl.reward import Judged, JudgeLost, Rewards, by_role
from train.rl.stop import Stop
from train.rl.watch import Guard, watch

__all__ = ["Batch", "collect", "collect_shared", "figures", "means", "orders_of", "tasks_of", "times_of"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Judged episodes in the order they were asked for. `alone`: seconds in which only the judge was waited for."""

    judged: tuple[Judged, ...]
    seconds: float
    alone: float


@dataclass(frozen=True, slots=True)
class _Lost:
    """What one process tells the others when it can't go on."""

    reason: str


async def collect_shared(
    episodes: Episodes, rewards: Rewards, orders: Sequence[Order], accelerator: Any, guard: Guard
) -> tuple[Batch, ...]:
    """This process's episodes, and then the batches of all processes, in their order.

    Raises JudgeLost in every process where one of them lost its judge: none is left waiting for another. Raises
    OutOfBounds in every process where `guard` finds the reports of all of them out of bounds.
    """
    lost: Stop | JudgerError | None = None
    found: Batch | _Lost
    try:
        found = await collect(episodes, rewards, orders)
    except (Stop, JudgerError) as error:
        lost, found = error, _Lost(str(error))
    if accelerator.num_processes == 1:
        batches = [found]
    else:
        from accelerate.utils import gather_object

        # In a thread of its own, so that the event loop stays free to keep the judge's connection alive.
        batches = await asyncio.to_thread(gather_object, [found])
    if lost is not None:
        raise lost
    for number, batch in enumerate(batches):
        if isinstance(batch, _Lost):
            raise JudgeLost(f"process {number}: {batch.reason}")
    # Whether a judge reads a task's language is seen in all reports together.
    settled = rewards.settled([one for batch in batches for one in batch.judged])
    guard.look(settled)
    whole = iter(settled)
    return tuple(replace(batch, judged=tuple(islice(whole, len(batch.judged)))) for batch in batches)


async def collect(episodes: Episodes, rewards: Rewards, orders: Sequence[Order]) -> Batch:
    """Run the episodes; each report goes to the judge when its episode ends. Raises JudgeLost."""
    started = time.perf_counter()
    async with rewards.open() as judging:
        await episodes.run(orders, judging.add)
        judged = await judging.finish()
    return Batch(tuple(judged), time.perf_counter() - started, judging.seconds_alone)


def tasks_of(tasks: Sequence[Task], step: int, count: int, seed: int) -> list[Task]:
    """The tasks of a step: the file in a new order in every pass. The data position is the step alone."""
    chosen: list[Task] = []
    for position in range(step * count, (step + 1) * count):
        turn, place = divmod(position, len(tasks))
        random = torch.Generator().manual_seed(seed_of(seed, "tasks", turn))
        chosen.append(tasks[int(torch.randperm(len(tasks), generator=random)[place])])
    return chosen


def orders_of(tasks: Iterable[Task], group: int, step: int, seed: int) -> list[Order]:
    """`group` episodes of each task, whose sampling follows from seed, step, place and number."""
    return [
        Order(task, number, seed_of(seed, "sampling", step, place, number))
        for place, task in enumerate(tasks)
        for number in range(group)
    ]


def figures(judged: Sequence[Judged]) -> dict[str, float]:
    """The means of a batch. What nothing was there for (no scored episode, no such role) is absent, never 0."""
    scored = [one for one in judged if one.value is not None]
    rollouts = [one.rollout for one in judged]
    found = {
        "episodes": float(len(judged)),
        "unscored_share": 1.0 - len(scored) / len(judged),
        "unread_share": fmean(one.is_unread for one in judged),
        "no_report_share": fmean(not rollout.report for rollout in rollouts),
        "system_failures": float(sum(rollout.blame == "system" for rollout in rollouts)),
        "forced_share": fmean(rollout.status == "forced" for rollout in rollouts),
        "turns": fmean(rollout.turns for rollout in rollouts),
        "tool_calls": fmean(rollout.tool_calls for rollout in rollouts),
        "tool_errors": fmean(rollout.tool_errors for rollout in rollouts),
        "malformed_calls": fmean(rollout.malformed for rollout in rollouts),
        "sampled_tokens": fmean(rollout.num_sampled for rollout in rollouts),
    }
    if scored:
        rewards = [one.value for one in scored if one.value is not None]
        mean = fmean(rewards)
        found["reward"] = mean
        found["reward_std"] = fmean((reward - mean) ** 2 for reward in rewards) ** 0.5
    found |= {f"role/{role}": value for role, value in means(map(by_role, scored)).items()}
    found |= {
        f"watch/{name}": value for name, value in means(watch(one) for one in judged if one.rollout.report).items()
    }
    return found


def times_of(batches: Sequence[Batch], seconds: float) -> dict[str, float]:
    """Where the `seconds` of a step went: each part is that of the process it took longest."""
    return {
        "seconds": seconds,
        "seconds/episodes": max(batch.seconds for batch in batches),
        "judge_share": max(batch.alone for batch in batches) / seconds,
    }


def means(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure over the rows that have it."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return {name: fmean(values) for name, values in columns.items()}
