"""Tasks as the rows that verl trains on: `python -m train.verl.data TASKS.jsonl -o TASKS.parquet`.

A task is a line of `judger-train tasks`' output, a case without its report. verl wants a chat prompt, a data source, a
ground truth and extra information in each row; the criteria travel as JSON text, so that all rows have one schema.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from policy.errors import ConfigError
from policy.rollouts import Task, read_tasks

__all__ = ["row", "write"]


def row(task: Task, index: int, source: str) -> dict[str, Any]:
    """The row of one task."""
    criteria = [
        {"id": c.id, "text": c.text, "weight": c.weight, "role": str(c.role), "axis": c.axis, "fatal": c.fatal}
        for c in task.criteria
    ]
    return {
        "data_source": source,
        "agent_name": "judger_agent",
        # The agent puts its own instructions before the query; this is what verl measures and logs as the prompt.
        "prompt": [{"role": "user", "content": task.query}],
        "reward_model": {"style": "rubric", "ground_truth": json.dumps(criteria, ensure_ascii=False)},
        "extra_info": {"index": index, "id": task.id, "query": task.query},
    }


def write(tasks: Path, out: Path) -> int:
    """Write the Parquet file; the number of rows. Raises ConfigError where a task is wrong or has no criteria."""
    import datasets

    read = read_tasks(tasks)
    without = [task.id for task in read if not task.criteria]
    if without or not read:
        raise ConfigError(f"{tasks}: without criteria there is no reward: {', '.join(without[:5]) or 'it is empty'}")
    rows = [row(task, index, tasks.stem) for index, task in enumerate(read)]
    datasets.Dataset.from_list(rows).to_parquet(out)
    return len(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """0 done; 2 the tasks are wrong."""
    parser = argparse.ArgumentParser(prog="python -m train.verl.data", description=(__doc__ or "").splitlines()[0])
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


if __name__ == "__main__":
    sys.exit(main())
