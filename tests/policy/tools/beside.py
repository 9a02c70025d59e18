"""That long work leaves the event loop to others, without a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def needs_the_loop(work: Callable[..., T]) -> Callable[..., T]:
    """The same work, which goes on when the running loop has done something else: in the loop itself it never would."""
    loop = asyncio.get_running_loop()

    def waiting(*values: object) -> T:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(30)
        return work(*values)

    return waiting
