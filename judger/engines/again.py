"""Replies that broke off on their way: a proxy's or a server's end, and nothing that was said of the case.

The client asks again after what says that it failed: a lost connection, a 429, a 500. A body that ends in the middle
comes with a 200, and is asked for again here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["TIMES", "asked_again"]

TIMES = 2
"""How often; an endpoint that never says JSON is no endpoint of ours."""

T = TypeVar("T")


async def asked_again(ask: Callable[[], Awaitable[T]], broken: type[Exception], times: int = TIMES) -> T:
    """What the first whole reply says. Raises `broken` where there is none in `times` + 1."""
    for _ in range(times):
        try:
            return await ask()
        except broken:
            continue
    return await ask()
