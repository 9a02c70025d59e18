"""A real server with the scripted judge, in a thread of its own: reward functions may block the test's loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.server.process import Running, running


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where it listens."""
    with serving(ServeConfig(engine="scripted", port=0, grace=1.0)) as server:
        yield server.address


@pytest.fixture(scope="module")
def doors() -> Iterator[str]:
    """The URL of its HTTP doors, without a slash at the end."""
    with serving(ServeConfig(engine="scripted", port=0, http_port=0, grace=1.0)) as server:
        yield f"http://{server.http_address}"


@contextmanager
def serving(config: ServeConfig) -> Iterator[Running]:
    """A server while the block runs."""
    found: list[Running] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with running(config, ScriptedEngine()) as server:
            found.append(server)
            started.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert started.wait(60)
    yield found[0]
    loop.call_soon_threadsafe(end.set)
    thread.join(60)
    loop.close()
