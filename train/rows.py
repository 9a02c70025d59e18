"""Tasks as other trainers' rows have them: a rubric is JSON text, so that all rows have one schema."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from judger.types import Criterion
from policy.errors import ConfigError
from policy.rollouts import Task

__all__ = ["command", "criteria_json", "tasks_with_rubrics"]


def criteria_json(criteria: Sequence[Criterion]) -> str:
    """The criteria as `judger.given.criteria_of` reads them."""
    rows = [
        {"id": c.id, "text": c.text, "weight": c.weight, "role": str(c.role), "axis": c.axis, "fatal": c.fatal}
        for c in criteria
    ]
    return json.dumps(rows, ensure_ascii=False)


def tasks_with_rubrics(tasks: Sequence[Task], path: Path) -> list[Task]:
    """The tasks of the file `path`. Raises ConfigError where there are none, or one has no criteria."""
    without = [task.id for task in tasks if not task.criteria]
    if without or not tasks:
        raise ConfigError(f"{path}: without criteria there is no reward: {', '.join(without[:5]) or 'it is empty'}")
    return list(tasks)


def command(module: str, write: Callable[[Path, Path], int], argv: Sequence[str] | None) -> int:
    """`python -m MODULE TASKS -o OUT`: 0 done; 2 the tasks are wrong."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("tasks", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        count = write(args.tasks, args.out)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{args.out}: {count} tasks")
    return 0
