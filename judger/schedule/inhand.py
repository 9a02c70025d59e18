"""How many bytes of requests one caller may have in hand: what they send takes memory until it is judged.

Whoever has less than the limit in hand may send anything that a message may hold. Beyond it a stream is not read on,
and other requests are told to come back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from judger.errors import Overloaded
from judger.types import LIMITS

__all__ = ["BytesInHand"]

RETRY_AFTER = 1.0
"""Seconds; nobody knows when a report will be judged."""


class BytesInHand:
    """Bytes by caller. Lives on one event loop."""

    def __init__(self, most: int = LIMITS.in_flight_bytes) -> None:
        self.most = most
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    def held(self, caller: str) -> int:
        """Bytes that a caller has in hand."""
        return self._held[caller]

    @contextmanager
    def holding(self, caller: str, size: int) -> Iterator[None]:
        """Holds a request while the block runs. Raises Overloaded."""
        self.take(caller, size)
        try:
            yield
        finally:
            self.leave(caller, size)

    def take(self, caller: str, size: int) -> None:
        """A request has come. Raises Overloaded where there is no room; else `leave` has to follow."""
        if self._held[caller] >= self.most:
            raise Overloaded(f"{self._held[caller]:,} bytes of this caller's requests are in hand already", RETRY_AFTER)
        self._held[caller] += size

    def leave(self, caller: str, size: int) -> None:
        """A request is done with."""
        self._held[caller] -= size
        if not self._held[caller]:
            del self._held[caller]
        if self._held[caller] < self.most:
            for waiting in self._waiting.pop(caller, ()):
                if not waiting.done():
                    waiting.set_result(None)

    async def wait(self, caller: str) -> None:
        """Returns when there is room. Somebody else may still be faster to take it."""
        while self._held[caller] >= self.most:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(caller, set()).add(waiting)
            try:
                await waiting
            finally:
                self._waiting.get(caller, set()).discard(waiting)
