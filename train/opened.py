"""What the episodes of a process share where another library runs them: opened once, closed with the process."""

from __future__ import annotations

import asyncio
from pathlib import Path

from policy.config import Settings
from policy.kit import Shared, open_shared
from train.toolcache import ToolCache

__all__ = ["close", "opened"]

_opened: dict[tuple[asyncio.AbstractEventLoop, Path], tuple[asyncio.Future[Shared], asyncio.Task[None], ToolCache]] = {}


async def opened(path: Path, settings: Settings, key: str | None) -> tuple[Shared, ToolCache]:
    """Index, caches and MCP servers of the settings that `path` names, once a process and event loop.

    `key`: the search service's. Raises what opening them raised, to everyone who asks.
    """
    loop = asyncio.get_running_loop()
    if (loop, path) not in _opened:
        ready: asyncio.Future[Shared] = loop.create_future()
        _opened[loop, path] = ready, loop.create_task(_keep(settings, key, ready)), ToolCache()
    shared, _, cache = _opened[loop, path]
    return await asyncio.shield(shared), cache


async def _keep(settings: Settings, key: str | None, ready: asyncio.Future[Shared]) -> None:
    # One task opens and closes: what MCP opens must be closed by the task that opened it.
    try:
        name = settings.search.api_key_env
        async with open_shared(settings, key=lambda asked: key if asked == name else None) as shared:
            ready.set_result(shared)
            await asyncio.Event().wait()
    except Exception as error:
        if ready.done():
            raise
        ready.set_exception(error)


async def close() -> None:
    """Close what this event loop's episodes shared. A trainer's worker never does; it ends with its process."""
    loop = asyncio.get_running_loop()
    for key in [key for key in _opened if key[0] is loop]:
        _, task, _ = _opened.pop(key)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
