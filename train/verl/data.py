"""Tasks as the rows that verl trains on: `python -m train.verl.data TASKS.jsonl -o TASKS.parquet`.

A task is a line of `judger-train tasks`' output, a case without its report. verl wants a chat prompt, a data source, a
ground truth and extra information in each row; the criteria travel as JSON text, so that all rows have one schema.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from policy.rollouts import Task, read_tasks
from train.rows import command, criteria_json, tasks_with_rubrics

__all__ = ["row", "write"]


def row(task: Task, index: int, source: str) -> dict[str, Any]:
    """The row of one task."""
    return {
        "data_source": source,
        "agent_name": "judger_agent",
        # The agent puts its own instructions before the query; this is what verl measures and logs as the prompt.
        "prompt": [{"role": "user", "content": task.query}],
        "reward_model": {"style": "rubric", "ground_truth": criteria_json(task.criteria)},
        "extra_info": {"index": index, "id": task.id, "query": task.query},
    }


def write(tasks: Path, out: Path) -> int:
    """Write the Parquet file; the number of rows. Raises ConfigError where a task is wrong or has no criteria."""
    import datasets

    read = tasks_with_rubrics(read_tasks(tasks), tasks)
    rows = [row(task, index, tasks.stem) for index, task in enumerate(read)]
    datasets.Dataset.from_list(rows).to_parquet(out)
    return len(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """0 done; 2 the tasks are wrong."""
    return command("train.verl.data", write, argv)


if __name__ == "__main__":
    sys.exit(main())
