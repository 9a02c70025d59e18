"""A call as a replica sees it: Ray's copy of its context, with the time that was left when it came in."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["ABSENT", "TIME_LEFT", "Call"]

TIME_LEFT = "judger-time-left"
"""Metadata: seconds until the caller's deadline, when the call left the proxy. Ray's context has none."""
ABSENT = b""
"""The last message of a stream of answers that was refused: nothing to read, but the status comes with it."""


class Call:
    """What the service asks of a gRPC context, over a `RayServegRPCContext`."""

    def __init__(self, context: Any) -> None:
        self._context = context
        left = self.metadata(TIME_LEFT)
        self._ends = None if left is None else time.monotonic() + seconds(left)

    def metadata(self, name: str) -> str | None:
        """The caller's metadata of that name; None where there is none, or several."""
        found = [value for key, value in self.invocation_metadata() if key == name]
        return found[0] if len(found) == 1 else None

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        """All of it."""
        return tuple(self._context.invocation_metadata())

    def time_remaining(self) -> float | None:
        """Seconds until the deadline; None without one."""
        return None if self._ends is None else max(0.0, self._ends - time.monotonic())

    def peer(self) -> str:
        """Where the call comes from."""
        return str(self._context.peer())

    @property
    def is_refused(self) -> bool:
        """True once an error was set."""
        return bool(self._context.code())

    def set_code(self, code: Any) -> None:
        self._context.set_code(code)

    def set_details(self, details: str) -> None:
        self._context.set_details(details)

    def set_trailing_metadata(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        self._context.set_trailing_metadata(list(metadata))


def seconds(text: str) -> float:
    """What the metadata says; no time at all where that is no duration."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0
