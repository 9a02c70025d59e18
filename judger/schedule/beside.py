"""Work on a large message, beside the event loop: there it would hold up everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["LONG", "beside"]

T = TypeVar("T")

LONG = 2**18
"""Bytes of a message from which it is read in a thread; a shorter one is read faster than a thread wakes."""


async def beside(size: int, work: Callable[..., T], *arguments: Any) -> T:
    """`work(*arguments)`, beside the event loop where what is read has that many bytes."""
    return await asyncio.to_thread(work, *arguments) if size >= LONG else work(*arguments)
