"""What callers wait for, in one place, so that the end of a judge reaches every one of them."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from judger.schedule.keeper import shutting_down

__all__ = ["Pending"]

T = TypeVar("T")


class Pending:
    """The futures that somebody waits for. Lives on one event loop."""

    def __init__(self) -> None:
        self.is_closed = False
        self._futures: set[asyncio.Future[Any]] = set()

    async def until(self, future: asyncio.Future[T]) -> T:
        """Its result. A caller who leaves cancels it. Raises Unavailable once all is closed."""
        if self.is_closed:
            future.cancel()
            raise shutting_down()
        self._futures.add(future)
        try:
            await asyncio.wait([future])
        finally:
            self._futures.discard(future)
            future.cancel()
        if future.cancelled():  # by `close`: a caller who leaves does not come here
            raise shutting_down()
        return future.result()

    def close(self) -> None:
        """Whoever waits is told at once, and so is whoever comes."""
        self.is_closed = True
        for future in self._futures:
            future.cancel()
