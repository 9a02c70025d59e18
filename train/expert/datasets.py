"""Cleaned trajectories as a dataset on disk, each row with its provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from policy.trajectory import Record
from train.expert.clean import Attempt

__all__ = ["NothingLeft", "chat_message", "chat_row", "save_rows", "slips_of"]


class NothingLeft(Exception):
    """Every row was dropped; the funnel says by what."""


def chat_row(attempt: Attempt[Any], provenance: Mapping[str, Any]) -> dict[str, Any]:
    """One trajectory in chat format. Arguments of tool calls are JSON text, exactly as the model wrote them.

    `slips` are the places in `messages` of replies that went wrong: they are shown, and what mends them is learned.
    """
    record = attempt.record
    return {
        "messages": [chat_message(message) for message in record["messages"]],
        "tools": record["tools"],
        "slips": slips_of(record),
        "task": attempt.card.id,
        "turns": record["usage"]["turns"],
        "tool_errors": record["usage"]["tool_errors"],
        **provenance,
    }


def slips_of(record: Mapping[str, Any]) -> list[int]:
    """The places of replies with a call that could not be read, or whose tool answered with an error."""
    slips: list[int] = []
    place = reply = 1  # system and query come first, without a step
    for step in record["steps"]:
        place += step["kind"] != "compaction"
        if step["kind"] == "reply":
            reply = place
        went_wrong = step["is_error"] or bool(step["malformed"]) or step["finish"] == "length"
        if went_wrong and reply not in slips:
            slips.append(reply)
    return slips


def chat_message(message: Record) -> dict[str, Any]:
    """Of a record's message, the keys that a chat template reads."""
    return {key: message[key] for key in ("role", "content", "tool_calls", "tool_call_id")}


def save_rows(rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write them where `datasets.load_from_disk` finds them. Raises NothingLeft for no rows at all."""
    if not rows:
        raise NothingLeft(f"{folder}: there is not one row to write")
    from datasets import Dataset, disable_progress_bars, enable_progress_bars

    disable_progress_bars()
    try:
        Dataset.from_list([dict(row) for row in rows]).save_to_disk(str(folder))
    finally:
        enable_progress_bars()
