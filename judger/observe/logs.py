"""Our log, and nobody else's, on standard error: plain lines for people, or one JSON object a line for machines.

A record may carry `fields` (`extra={"fields": {...}}`), which follow the message or stand beside it. A server logs from
a thread of its own: a reader of the log who has stopped reading holds up no request.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

__all__ = ["FORMATS", "in_background", "log_to_stderr"]

FORMATS = ("text", "json")
MOST_PENDING = 10_000
"""Records that wait to be written; more are dropped, and counted in the next line."""
GATHER = 0.02
"""Seconds that a line waits for others: to wake the thread for each would cost a request more than its line."""
PATIENCE = 2.0
"""Seconds that the end waits for a reader."""


class PlainLines(logging.Formatter):
    """Without tracebacks: those are for whoever develops an engine."""

    def format(self, record: logging.LogRecord) -> str:
        said = "".join(f" {key}={_plain(value)}" for key, value in _fields(record).items())
        return f"judger: {record.levelname.lower()}: {record.getMessage()}{said}"


class JsonLines(logging.Formatter):
    """One object a line: time (UTC), level, logger, message, then the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return json.dumps(line | _fields(record), default=str)


class StderrHandler(logging.StreamHandler[TextIO]):
    """Ours, to be found again when the log is set up anew."""


class BackgroundHandler(logging.Handler):
    """Writes to a file descriptor from a thread that holds no lock meanwhile, so that the process can end without it.

    It never waits: what is too much is dropped, and the next line says how much that was.
    """

    def __init__(self, descriptor: int, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._descriptor = descriptor
        self._pending: queue.Queue[logging.LogRecord | None] = queue.Queue(MOST_PENDING)
        self._num_dropped = 0
        self._thread = threading.Thread(target=self._write, name="judger-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        if self._num_dropped:
            record.fields = {**_fields(record), "dropped_before": self._num_dropped}
        try:
            self._pending.put_nowait(record)
            self._num_dropped = 0
        except queue.Full:
            self._num_dropped += 1

    def stop(self) -> None:
        """Writes what is pending, as long as somebody reads it; else the thread is left behind."""
        with contextlib.suppress(queue.Full):
            self._pending.put(None, timeout=PATIENCE)
            self._thread.join(PATIENCE)

    def _write(self) -> None:
        records: list[logging.LogRecord | None] = []
        while None not in records:
            records = [self._pending.get()]
            time.sleep(GATHER)
            with contextlib.suppress(queue.Empty):
                while True:
                    records.append(self._pending.get_nowait())
            lines = [self._line(record) for record in records if record is not None]
            try:
                _write_all(self._descriptor, "".join(lines).encode("utf-8", "backslashreplace"))
            except (
                OSError
            ):  # a full disk, or nobody reads it any more: it may pass, and there is nowhere else to say so
                self._count_dropped(len(lines))

    def _count_dropped(self, number: int) -> None:
        self.acquire()  # as `handle` does around `emit`, but never while a line is written
        try:
            self._num_dropped += number
        finally:
            self.release()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return f"{self.format(record)}\n"
        except Exception as error:  # noqa: BLE001 - whoever made the record has gone on; the thread must go on, too
            where = f"{record.name}, line {record.lineno}: {type(error).__name__}"
            bad = logging.LogRecord(
                record.name, logging.ERROR, record.pathname, record.lineno, f"a bad record of {where}", None, None
            )
            return f"{self.format(bad)}\n"


def _write_all(descriptor: int, data: bytes) -> None:
    """Writes to a descriptor, also to one that a process which shares it has made non-blocking. Raises OSError."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


def log_to_stderr(level: str, style: str = "text") -> None:
    """Our log from `level` on, and no other handler of ours."""
    logger = logging.getLogger("judger")
    handler = StderrHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else PlainLines())
    others = [one for one in logger.handlers if not isinstance(one, StderrHandler)]
    logger.handlers = [*others, handler]
    logger.setLevel(level.upper())


@contextmanager
def in_background() -> Iterator[None]:
    """While the block runs our log is written from a thread of its own, where standard error has a descriptor."""
    logger = logging.getLogger("judger")
    before = logger.handlers
    own = next((one for one in before if isinstance(one, StderrHandler)), None)
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        own = None
    if own is None or own.formatter is None:
        yield
        return
    background = BackgroundHandler(descriptor, own.formatter)
    logger.handlers = [background if one is own else one for one in before]
    try:
        yield
    finally:
        logger.handlers = before
        background.stop()


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def _plain(value: Any) -> str:
    """A value that can't be taken for two, or for a line of its own."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if text.isascii() and text.isprintable() and text and " " not in text else json.dumps(text)
