"""Which of TRL's checkpoints is whole."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["latest", "mark"]

_WHOLE = "whole"
"""A file in a checkpoint, written last: one without it was cut by a crash."""


def mark(checkpoints: Path, step: int) -> None:
    """The checkpoint of this step is on the disk."""
    (checkpoints / f"checkpoint-{step}" / _WHOLE).touch()


def latest(checkpoints: Path, *, clean: bool) -> Path | None:
    """The newest whole checkpoint; what a crash cut is taken away, where `clean` says so."""
    found: dict[int, Path] = {}
    for path in checkpoints.glob("checkpoint-*") if checkpoints.is_dir() else ():
        if (path / _WHOLE).exists():
            found[int(path.name.rpartition("-")[2])] = path
        elif clean:
            shutil.rmtree(path)
    return found[max(found)] if found else None
