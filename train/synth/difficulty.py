"""How hard tasks are: k runs of a plain ReAct baseline, the share that solves each, and only the unsolved ones kept.

Step-DeepResearch, arXiv 2512.20491, section 3: what a plain ReAct baseline already solves is dropped. The runs are
those of `judger-agent rollouts`, in a file that goes on where it stopped.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from judger.client import Client
from policy.config import AgentConfig, SearchConfig, Settings
from policy.episode import Episode
from policy.errors import ConfigError
from policy.index.store import LocalIndex
from policy.kit import Kit, Shared
from policy.model import Model
from policy.models import open_model
from policy.rollouts import Rollouts, Task, read_tasks
from policy.trajectory import read_records
from train.synth import words
from train.synth.plot import draw_histogram
from train.synth.solvers import OneSearch
from train.synth.work import Progress
from train.tasks.funnel import Funnel, show

__all__ = ["SOLVED", "rate_tasks", "run_baseline", "sieve", "solve_rates"]

SOLVED = 0.5
"""Share of runs from which on a task is solved by the baseline."""


async def rate_tasks(
    path: Path,
    corpus: Path,
    out: Path,
    settings: Settings | None,
    *,
    runs: int,
    solved: float,
    seed: int,
    concurrency: int,
    say: Callable[[str], None],
) -> int:
    """`judger-train synth difficulty`: writes `tasks.jsonl` with rates, `runs.jsonl`, `funnel.json`, `rates.png`.

    Returns 0, or 1 where no task is left; raises ConfigError, ModelAway.
    """
    tasks = _read(path, runs, solved, concurrency)
    index = LocalIndex.open(corpus)
    count = 0

    def make_model(episode: Episode, kit: Kit) -> Model:
        nonlocal count
        count += 1
        task = episode.started.task if episode.started else f"{episode.query} {count}"
        return own or OneSearch(random.Random(f"{seed} {task} {count}"))

    own = None
    if settings is None:
        settings = Settings(agent=AgentConfig(tools=("search", "open")), search=SearchConfig(dense=False))
    else:
        own = open_model(settings.model, api_key=os.environ.get(settings.model.api_key_env))
    progress = Progress()
    progress.start("baseline", runs * len(tasks), sum(1 for _ in read_records(out / "runs.jsonl")))
    try:
        rates = await run_baseline(
            tasks, out / "runs.jsonl", settings, Shared.local(index), make_model, runs=runs, concurrency=concurrency,
            on_record=lambda record: progress.step(count),
        )  # fmt: skip
    finally:
        if own is not None:
            await own.aclose()
        index.close()
    kept, funnel = sieve(tasks, rates, solved=solved)
    lines = (json.dumps(task, ensure_ascii=False) for task in kept)
    (out / "tasks.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    by_kind: dict[str, list[float]] = {}
    for task in tasks:
        if task["id"] in rates:
            by_kind.setdefault(task.get("meta", {}).get("kind", "tasks"), []).append(rates[task["id"]])
    written = {"difficulty": funnel.as_dict(), "runs": runs, "solved": solved, "rates": rates, "seed": seed,
               "baseline": own.name if own is not None else OneSearch.name}  # fmt: skip
    (out / "funnel.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    draw_histogram(by_kind, out / "rates.png", runs)
    show([funnel])
    say(f"{out / 'tasks.jsonl'}: {len(kept)} of {len(tasks)} tasks, mean solve rate {fmean(rates.values()):.2f}")
    return 0 if kept else 1


def _read(path: Path, runs: int, solved: float, concurrency: int) -> list[dict[str, Any]]:
    """The tasks that have an answer. Raises ConfigError for a fault of the usage or the file."""
    if runs < 1 or concurrency < 1 or not 0 < solved <= 1:
        raise ConfigError("--runs, --concurrency: must be at least 1; --solved: must lie in (0, 1]")
    read_tasks(path)  # which names every fault of the file
    tasks = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    tasks = [task for task in tasks if task.get("answer")]
    if not tasks:
        raise ConfigError(f"{path}: no task in it has an answer")
    return tasks


async def run_baseline(
    tasks: Sequence[Mapping[str, Any]],
    out: Path,
    settings: Settings,
    shared: Shared,
    make_model: Callable[[Episode, Kit], Model],
    *,
    runs: int,
    concurrency: int,
    on_record: Callable[[Mapping[str, Any]], None] = lambda _: None,
    judge: Client | None = None,
) -> dict[str, float]:
    """The solve rate of each task, by its id: `runs` episodes of each."""
    rollouts = Rollouts(
        out, settings, shared, make_model, concurrency=concurrency, group=runs, judge=judge, on_record=on_record
    )
    await rollouts.run([Task(task["id"], task["query"]) for task in tasks])
    return solve_rates(tasks, list(read_records(out)))


def solve_rates(tasks: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The share of its finished episodes that end in a task's answer. A failed episode counts neither way."""
    names = {task["id"]: [task["answer"], *task.get("names", ())] for task in tasks if task.get("answer")}
    right: dict[str, list[bool]] = {}
    for record in records:
        if record["task"] in names and record["status"] != "failed":
            is_right = bool(words.ends_in(record["report"], names[record["task"]]))
            right.setdefault(record["task"], []).append(is_right)
    return {task: sum(some) / len(some) for task, some in right.items()}


def sieve(
    tasks: Sequence[Mapping[str, Any]], rates: Mapping[str, float], *, solved: float = SOLVED
) -> tuple[list[dict[str, Any]], Funnel]:
    """The tasks that the baseline does not solve, each with its rate; what has no answer or no run is kept, unrated."""
    funnel = Funnel("difficulty", total=len(tasks))
    funnel.expect("solved by the baseline")
    kept = []
    for task in tasks:
        rate = rates.get(task["id"])
        if rate is not None and rate >= solved:
            funnel.drop("solved by the baseline", f"{task['id']}: {rate:.2f}")
        else:
            kept.append({**task, "solve_rate": rate})
    return kept, funnel
