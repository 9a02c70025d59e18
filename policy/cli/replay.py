"""`judger-agent replay TRAJECTORY.jsonl`: show recorded episodes again and write their reports, offline."""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from pathlib import Path
from typing import Any

from policy.errors import ConfigError

__all__ = ["add"]


def add(commands: Any) -> None:
    parser = commands.add_parser("replay", help="show recorded episodes again, and write their reports")
    parser.add_argument("records", type=Path, metavar="TRAJECTORY.jsonl")
    parser.add_argument("--id", help="only the episode with this id")
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", help="write each report to DIR/ID/")
    parser.set_defaults(act=_act)


def _folder(episode_id: str) -> str:
    """A name of one part for any id: it stands in a file, and a file may come from anyone."""
    if re.fullmatch(r"[\w-][\w.-]{0,99}", episode_id):
        return episode_id
    name = re.sub(r"[^\w.-]", "_", episode_id[:60]).lstrip(".")
    return f"{name}-{hashlib.sha256(episode_id.encode('utf-8', 'replace')).hexdigest()[:10]}"


def _act(arguments: argparse.Namespace) -> int:
    from policy import trajectory
    from policy.config import BudgetConfig
    from policy.episode import Episode
    from policy.runs import Run, write_report
    from policy.view import LiveView

    if not arguments.records.is_file():
        raise ConfigError(f"{arguments.records}: no such file")
    shown = 0
    for record in trajectory.read_records(arguments.records):
        if arguments.id not in (None, record["id"]):
            continue
        shown += 1
        episode = Episode()
        with LiveView(BudgetConfig()) as view:
            for event in trajectory.events_of(record):
                episode.apply(event)
                view(event)
        if arguments.out is not None:
            run = Run(arguments.out / _folder(record["id"]))
            run.folder.mkdir(parents=True, exist_ok=True)
            for path in write_report(run, episode):
                print(path)
    if not shown:
        print("no such episode", file=sys.stderr)
        return 1
    return 0
