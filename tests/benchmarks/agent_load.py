"""Sixty-four scripted episodes at once, with real tools and a journal each: turns a second, and our CPU a turn.

    python -m tests.benchmarks.agent_load [--episodes 64] [--concurrency 64]

The model answers at once, so that everything measured is ours: the loop, the tools, the journal and the record. The
search is by words, in memory, over the bundled collection.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

from policy import trajectory
from policy.config import SearchConfig, Settings
from policy.kit import Shared, open_index
from policy.model import Completion
from policy.models.scripted import ScriptedModel, calls, says
from policy.rollouts import Rollouts, Task


def script(seed: int) -> list[Completion]:
    """Ten turns with a call each, then the report."""
    draft = "# Report\n\n" + "\n\n".join(f"Finding {n} of episode {seed}: a mill of 18{n}." for n in range(30))
    looks = [
        calls(("todo", {"items": ["[~] search", "[ ] read", "[ ] write"]}), thought="Plan."),
        calls(("search", {"queries": [f"flood {seed}", "who rebuilt the mill", "水车"]}), thought="Look."),
        calls(("open", {"targets": ["skerrow-tidal-mill", "skerrow-flood-1822"]})),
        calls(("search", {"queries": ["wind farm cable", "herring trade"]})),
        calls(("file", {"command": "write", "path": "report.md", "text": draft})),
        calls(("file", {"command": "patch", "path": "report.md", "anchor": "Finding 7 of", "text": "Result 7 of"})),
        calls(("file", {"command": "read", "path": "report.md", "last_line": 9})),
        calls(("open", {"targets": ["skerrow-lighthouse#2"]})),
        calls(("file", {"command": "list"})),
        calls(("todo", {"items": ["[x] search", "[x] read", "[x] write"]})),
    ]
    return [*looks, says("report.md")]


async def measure(episodes: int, concurrency: int) -> dict[str, float]:
    settings = Settings(search=SearchConfig(dense=False))
    shared = Shared.local(open_index(settings, None))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.jsonl")
        make = lambda episode, kit: ScriptedModel(script(episode.turns))  # noqa: E731
        runs = Rollouts(out, settings, shared, make, concurrency=concurrency)
        wall, cpu = time.perf_counter(), time.process_time()
        await runs.run([Task(f"t{n}", "What did the flood do to the mill?") for n in range(episodes)])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        records = list(trajectory.read_records(out))
    turns = sum(record["usage"]["turns"] for record in records)
    failed = sum(record["status"] != "done" for record in records)
    errors = sum(record["usage"]["tool_errors"] for record in records)
    return {
        "episodes": len(records), "failed": failed, "tool_errors": errors, "turns": turns,
        "turns_per_second": round(turns / wall, 1), "cpu_ms_per_turn": round(cpu / turns * 1000, 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--concurrency", type=int, default=64)
    arguments = parser.parse_args()
    print(json.dumps(asyncio.run(measure(arguments.episodes, arguments.concurrency))))


if __name__ == "__main__":
    main()
