"""`judger-agent rollouts TASKS.jsonl -o OUT.jsonl`: many episodes at once, judged by group."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policy.cli import AWAY
from policy.cli.run import add_settings, settings_from
from policy.errors import ConfigError

if TYPE_CHECKING:
    from policy.trajectory import Record

__all__ = ["add"]


def add(commands: Any) -> None:
    parser = commands.add_parser("rollouts", help="run many tasks into a file of trajectories")
    parser.add_argument("tasks", type=Path, metavar="TASKS.jsonl", help='{"id", "query", "criteria" (optional)} a line')
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT.jsonl", help="goes on where it stopped")
    parser.add_argument("--concurrency", type=int, default=8, metavar="N", help="episodes at once (default: 8)")
    parser.add_argument("--group", type=int, default=1, metavar="G", help="episodes of each task (default: 1)")
    parser.add_argument("--judge", metavar="HOST:PORT", help="judge each group there")
    parser.add_argument("--rubric", type=Path, metavar="FILE", help="judge all by this rubric, not by their own")
    parser.add_argument("--retry-failed", action="store_true", help="run the episodes again whose record says failed")
    parser.add_argument("--keep-workspaces", action="store_true", help="keep OUT.jsonl.work/")
    add_settings(parser)
    parser.set_defaults(act=_act)


def _act(arguments: argparse.Namespace) -> int:
    for name in ("concurrency", "group"):
        if getattr(arguments, name) < 1:
            raise ConfigError(f"--{name}: must be at least 1")
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from judger.client import connect
    from judger.rubric import read_rubric
    from policy import trajectory
    from policy.kit import open_shared
    from policy.models import open_model
    from policy.rollouts import Rollouts, read_tasks

    rubric = read_rubric(arguments.rubric) if arguments.rubric is not None else ()
    tasks = read_tasks(arguments.tasks, rubric)
    settings = settings_from(arguments)
    statuses: dict[str, int] = {}
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(open_shared(settings, key=os.environ.get))
        model = open_model(settings.model, api_key=os.environ.get(settings.model.api_key_env))
        stack.push_async_callback(model.aclose)
        judge = await stack.enter_async_context(connect(arguments.judge)) if arguments.judge else None
        columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
        progress = stack.enter_context(Progress(*columns, console=Console(stderr=True)))
        again = {"failed"} if arguments.retry_failed else set()
        before = sum(record["status"] not in again for record in trajectory.read_records(arguments.out))
        bar = progress.add_task("episodes", total=len(tasks) * arguments.group, completed=before)

        def on_record(record: Record) -> None:
            statuses[record["status"]] = statuses.get(record["status"], 0) + 1
            progress.advance(bar)

        rollouts = Rollouts(
            arguments.out,
            settings,
            shared,
            lambda episode, kit: model,
            concurrency=arguments.concurrency,
            group=arguments.group,
            judge=judge,
            keep_workspaces=arguments.keep_workspaces,
            retry_failed=arguments.retry_failed,
            on_record=on_record,
        )
        await rollouts.run(tasks)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    if counts or not rollouts.left_open:
        print(f"{arguments.out}: {counts or 'nothing was missing'}", file=sys.stderr)
    if rollouts.left_open:
        print(f"{rollouts.left_open} are left open: the model was away; run the same command again", file=sys.stderr)
        return AWAY
    return 0
