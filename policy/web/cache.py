"""Answers kept on disk by question, for identical queries. One file each, written whole, good for a while."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

__all__ = ["DiskCache"]


class DiskCache:
    """Shared safely by episodes and processes: a reader sees a whole entry or none."""

    def __init__(self, folder: Path, *, seconds: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._seconds = folder, seconds

    def get(self, kind: str, question: str) -> Any:
        """What was kept, or None where nothing was, or long ago."""
        try:
            entry = json.loads(self._path(kind, question).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        is_fresh = isinstance(entry, dict) and time.time() - entry.get("time", 0) < self._seconds
        return entry["value"] if is_fresh else None

    def put(self, kind: str, question: str, value: Any) -> None:
        path = self._path(kind, question)
        path.parent.mkdir(exist_ok=True)
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        part.write_text(json.dumps({"time": time.time(), "question": question, "value": value}), encoding="utf-8")
        os.replace(part, path)

    def _path(self, kind: str, question: str) -> Path:
        digest = hashlib.sha256(f"{kind}\0{question}".encode()).hexdigest()
        return self._folder / digest[:2] / f"{digest[2:]}.json"
