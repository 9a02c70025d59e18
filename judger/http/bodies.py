"""How many bytes of bodies are held at a time: one caller's, and everybody's.

A body is held from its first byte until its answer is written. A thousand callers with 64 MiB each would take all the
memory there is, known or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from judger.errors import Overloaded
from judger.schedule.inhand import RETRY_AFTER, BytesInHand
from judger.types import LIMITS

__all__ = ["Bodies"]

MOST_BYTES = 512 * 2**20
ALL = ""


class Bodies:
    """Those of one server. Lives on one event loop.

    Args:
        per_caller: bytes; whoever holds fewer may send on.
        most: of everybody.
    """

    def __init__(self, per_caller: int = LIMITS.in_flight_bytes, most: int = MOST_BYTES) -> None:
        self._callers = BytesInHand(per_caller)
        self._all = BytesInHand(most)

    @property
    def held(self) -> int:
        """Bytes."""
        return self._all.held(ALL)

    @contextmanager
    def reading(self, caller: str) -> Iterator[Callable[[int], None]]:
        """Gives what is to be told of every piece of a body before it is kept; that raises Overloaded."""
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if self.held >= self._all.most:
                raise Overloaded(f"{self.held:,} bytes of requests are in hand already", RETRY_AFTER)
            self._callers.take(caller, size)
            self._all.take(ALL, size)
            taken += size

        try:
            yield take
        finally:
            if taken:
                self._callers.leave(caller, taken)
                self._all.leave(ALL, taken)
