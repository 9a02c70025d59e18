"""Which tasks are held out of training: a function of a task's name alone."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from train.judge.data import DataError

HELD = 7
"""One task in so many is held out: nothing is fitted on it but what comes last."""


def is_held(item: Mapping[str, Any]) -> bool:
    """Whether a row's task is one of those that are held out."""
    return zlib.crc32(str(item["group"] or item["document"]).encode()) % HELD == 0


def check_split(items: Iterable[Mapping[str, Any]]) -> None:
    """Raises DataError, before anything is trained, where a side would be empty: the last steps need both."""
    sides = {is_held(item) for item in items}
    if len(sides) < 2:
        missing = "held out" if True not in sides else "left to train on"
        raise DataError(f"no task is {missing}: one in {HELD} is, chosen by its name, and there are too few of them")
