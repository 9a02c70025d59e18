"""The kept rows as what training takes: datasets for mid-training and fine-tuning, tasks for rollouts and RL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from train.expert.datasets import save_rows

__all__ = ["export"]

_TEXT = ("text",)
_CHAT = ("messages", "tools", "turns", "tool_errors")
_ELSEWHERE = frozenset({"text", "task", "record", "figures", *_CHAT})


def export(rows: Iterable[Mapping[str, Any]], out: Path) -> dict[str, int]:
    """Write midtrain/stage1 (text), midtrain/stage2 and sft (conversations), tasks.jsonl; how many rows each has.

    What has no row is not written; a dataset of an earlier run in its place is written over.
    """
    texts: list[dict[str, Any]] = []
    chats: list[dict[str, Any]] = []
    tasks: list[dict[str, Any]] = []
    records: list[str] = []
    for row in rows:
        origin = _origin(row)
        if row.get("text"):
            texts.append({"text": row["text"], **origin})
        if row.get("messages"):
            chats.append({name: row.get(name) for name in _CHAT} | {"task": row["id"], **origin})
        if row.get("record"):
            records.append(row["record"])
        if row.get("task"):
            tasks.append({**row["task"], "meta": origin})
    counts = {}
    for place, some in (("midtrain/stage1", texts), ("midtrain/stage2", chats), ("sft", chats)):
        counts[place] = len(some)
        if some:
            save_rows(some, out / place)
    for name, lines in (
        ("tasks.jsonl", [json.dumps(task, ensure_ascii=False) for task in tasks]),
        ("trajectories.jsonl", records),
    ):
        counts[name] = len(lines)
        (out / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return counts


def _origin(row: Mapping[str, Any]) -> dict[str, Any]:
    """Where a row comes from, the same columns for all kinds: what differs by kind is JSON text."""
    common = (
        "id",
        "kind",
        "source",
        "corpus",
        "corpus_digest",
        "writer",
        "tier",
        "judge_id",
        "seed",
        "version",
        "date",
    )
    rest = {name: value for name, value in row.items() if name not in (*common, *_ELSEWHERE)}
    return {name: row[name] for name in common} | {"details": json.dumps(rest, ensure_ascii=False, sort_keys=True)}
