"""`judger-train synth clean`: from records of `judger-agent rollouts` to a dataset for fine-tuning."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from judger.version import __version__
from policy.errors import ConfigError
from policy.trajectory import Record, read_records, write
from train.expert.clean import Attempt, clean
from train.expert.datasets import chat_row, save_rows
from train.synth.duplicates import near_duplicates
from train.synth.filters import rules
from train.synth.plot import draw_funnels
from train.tasks.funnel import Funnel

__all__ = ["clean_records", "clean_rollouts", "read_answers"]

_NEAR = "near-duplicate"


@dataclass(frozen=True, slots=True)
class _Task:
    """What the selection of attempts needs to know of a task."""

    id: str


def clean_records(
    records: Sequence[Record],
    *,
    answers: Mapping[str, Sequence[str]] | None = None,
    least_reward: float | None = None,
    recovered: float = 0.15,
    seed: int = 0,
) -> tuple[list[Record], Funnel]:
    """Of each task the shortest record that passes every rule; for a share of `recovered` one that mended an error.

    Reports that nearly repeat another task's are dropped last.
    """
    funnel = Funnel("records")
    attempts = [Attempt(_Task(record["task"]), record) for record in records]
    kept = clean(attempts, funnel, recovered=recovered, seed=seed, order=_by_attempt(answers, least_reward))
    funnel.expect(_NEAR)
    near = near_duplicates((one.record["id"], one.record["report"]) for one in kept)
    for identity, other in near.items():
        funnel.drop(_NEAR, f"{identity} of {other}")
    return [one.record for one in kept if one.record["id"] not in near], funnel


def _by_attempt(answers: Mapping[str, Sequence[str]] | None, least_reward: float | None) -> dict[str, Any]:
    return {
        name: lambda attempt, rule=rule: rule(attempt.record) for name, rule in rules(answers, least_reward).items()
    }


def clean_rollouts(
    paths: Sequence[Path],
    out: Path,
    *,
    answers: Mapping[str, Sequence[str]],
    least_reward: float | None,
    recovered: float,
    seed: int,
) -> Funnel:
    """Write `trajectories.jsonl`, `sft/`, `funnel.json` and `funnel.png`. Raises NothingLeft, ConfigError."""
    records = [record for path in paths for record in _records(path)]
    kept, funnel = clean_records(
        records, answers=answers, least_reward=least_reward, recovered=recovered, seed=seed
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    provenance = {"from": [path.name for path in paths], "seed": seed, "version": __version__}
    (out / "funnel.json").write_text(
        json.dumps({funnel.name: funnel.as_dict(), **provenance}, indent=1) + "\n", "utf-8"
    )
    draw_funnels([funnel], out / "funnel.png")
    write(out / "trajectories.jsonl", kept)
    rows = [
        chat_row(
            Attempt(_Task(record["task"]), record),
            {"id": record["id"], "model": record["model"], "judge_id": record["judge_id"], "version": __version__},
        )
        for record in kept
    ]
    save_rows(rows, out / "sft")
    return funnel


def _records(path: Path) -> list[Record]:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    records = list(read_records(path))
    for number, record in enumerate(records, 1):
        missing = sorted({"id", "task", "status", "report", "messages", "steps", "sources", "usage"} - set(record))
        if missing:
            raise ConfigError(f"{path}:{number}: not a record of rollouts: it has no {', '.join(missing)}")
    return records


def read_answers(path: Path) -> dict[str, list[str]]:
    """{task: names of its answer} of a file of tasks that has them. Raises ConfigError."""
    found: dict[str, list[str]] = {}
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if line.strip():
                task = json.loads(line)
                if not isinstance(task, dict) or not isinstance(task.get("id"), str):
                    raise ConfigError(f"{path}:{number}: id: must be a text")
                if task.get("answer"):
                    found[task["id"]] = [str(task["answer"]), *map(str, task.get("names") or ())]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not found:
        raise ConfigError(f"{path}: no task in it has an answer")
    return found
