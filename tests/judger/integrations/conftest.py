"""A real server with the scripted judge, in a thread of its own: reward functions may block the test's loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.server.process import running


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where it listens."""
    found: list[str] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with running(ServeConfig(engine="scripted", port=0, grace=1.0), ScriptedEngine()) as server:
            found.append(server.address)
            started.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert started.wait(60)
    yield found[0]
    loop.call_soon_threadsafe(end.set)
    thread.join(60)
    loop.close()
