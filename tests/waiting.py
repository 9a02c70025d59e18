"""Waiting for what another thread, task or process brings about: until it holds, and never for a time alone.

Whoever awaits one thing and then counts what another thread has noted counts too early on a crowded machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds after which what should have come about never will, on however crowded a machine."""


async def until(holds: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Returns once it holds; the loop goes on meanwhile. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)


def until_here(holds: Callable[[], object], seconds: float = PATIENCE) -> None:
    """The same where there is no loop. Raises TimeoutError."""
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError(f"it does not hold after {seconds:g} s")
        time.sleep(0.001)
