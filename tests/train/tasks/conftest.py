"""A judge for the tests: the built-in service with the scripted engine, over a loopback port."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from judger.client import Client, connect
from judger.server.process import Running


@pytest.fixture
async def judge(scripted_server: Running) -> AsyncIterator[Client]:
    async with connect(scripted_server.address) as client:
        yield client
