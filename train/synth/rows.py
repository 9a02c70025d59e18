"""Rows on disk as they are made, one file a capability: a run that was interrupted goes on behind the last of them.

{"id", "row": {...}}                     kept
{"id", "dropped": filter, "reason"}      dropped: not made again either
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from policy.trajectory import append, read_records
from train.tasks.funnel import Funnel

__all__ = ["Rows"]


class Rows:
    """The rows of one capability, and its funnel."""

    def __init__(self, folder: Path, name: str, filters: Sequence[str], provenance: Mapping[str, Any]) -> None:
        self._path = folder / f"{name}.jsonl"
        self._provenance = dict(provenance)
        self.name = name
        self.funnel = Funnel(name)
        self.funnel.expect(*filters)
        self.done: set[str] = set()
        for line in read_records(self._path):
            self._count(line)

    def keep(self, identity: str, row: Mapping[str, Any]) -> None:
        """Write a row, with its provenance."""
        self._write({"id": identity, "row": {"id": identity, "kind": self.name, **row, **self._provenance}})

    def drop(self, identity: str, by: str, reason: str = "") -> None:
        """Write down that a filter objects."""
        self._write({"id": identity, "dropped": by, "reason": reason})

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The kept rows, sorted: several are made at once, and a run in one piece gives the same as one in many."""
        kept = (line["row"] for line in read_records(self._path) if "row" in line)
        return iter(sorted(kept, key=lambda row: row["id"]))

    def _write(self, line: dict[str, Any]) -> None:
        append(self._path, line)
        self._count(line)

    def _count(self, line: Mapping[str, Any]) -> None:
        if line["id"] in self.done:
            return
        self.done.add(line["id"])
        self.funnel.total += 1
        if "dropped" in line:
            self.funnel.drop(line["dropped"], line["reason"])
