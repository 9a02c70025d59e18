"""The doors of a real server, and a gateway before one, both on loopback ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from judger.client.settings import Settings
from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.http.app import build_app
from judger.http.calls import OnServer
from judger.http.process import listen
from judger.server.process import running

FRONTS = ("in process", "gateway")


@asynccontextmanager
async def front(kind: str, engine: ScriptedEngine | None = None, **config: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a scripted judge's doors: the server's own, or a gateway's before it."""
    settings = {"engine": "scripted", "port": 0, "grace": 5.0} | config
    named = {name: settings.pop(name) for name in ("max_seconds",) if name in settings}
    async with running(ServeConfig(http_port=0, **settings), engine or ScriptedEngine()) as server:
        if kind == "in process":
            async with httpx.AsyncClient(base_url=f"http://{server.http_address}", timeout=60) as client:
                yield client
            return
        judging = OnServer(Settings(address=server.address))
        app = build_app(judging, unscored=config.get("unscored"), **named)
        doors = listen(app, "127.0.0.1", 0)
        try:
            async with httpx.AsyncClient(base_url=f"http://{doors.address}", timeout=60) as client:
                yield client
        finally:
            await doors.stop(1.0)
            judging.close()


@pytest_asyncio.fixture(params=FRONTS, scope="module", loop_scope="module")
async def http(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    """A client of either front, for all tests of a module that run on its loop."""
    async with front(request.param) as client:
        yield client
