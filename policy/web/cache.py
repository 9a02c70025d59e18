"""Answers kept on disk by question, for identical queries. One file each, written whole, good for a while.

A folder that can't be written to costs the cache and nothing else; a damaged entry is a miss.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import time
from pathlib import Path
from typing import Any

from policy.whole import loads

__all__ = ["DiskCache"]

log = logging.getLogger(__name__)


class DiskCache:
    """Shared safely by episodes and processes: a reader sees a whole entry or none."""

    def __init__(self, folder: Path, *, seconds: float) -> None:
        self._folder, self._seconds = folder, seconds
        self._is_told = False

    def get(self, kind: str, question: str) -> Any:
        """What was kept, or None where nothing was, or long ago."""
        try:
            entry = loads(self._path(kind, question).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        match entry:
            case {"time": int() | float() as made, "question": str(asked), "value": value} if asked == question:
                return value if 0 <= time.time() - made < self._seconds else None
        return None

    def put(self, kind: str, question: str, value: Any) -> None:
        path = self._path(kind, question)
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps({"time": time.time(), "question": question, "value": value}), encoding="utf-8")
            os.replace(part, path)
        except OSError as error:  # no cache costs time; no answer costs the call
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            if not self._is_told:
                log.warning("%s: nothing is kept there: %s", self._folder, error)
                self._is_told = True

    def _path(self, kind: str, question: str) -> Path:
        digest = hashlib.sha256(f"{kind}\0{question}".encode()).hexdigest()
        return self._folder / digest[:2] / f"{digest[2:]}.json"
