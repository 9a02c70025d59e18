"""Judges for the tests, over a loopback port: the scripted engine, and the built-in judge where reading matters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from judger.client import Client, connect
from judger.server.process import Running
from train.tasks.judging import local_judge


@pytest.fixture
async def judge(scripted_server: Running) -> AsyncIterator[Client]:
    async with connect(scripted_server.address) as client:
        yield client


@pytest.fixture(scope="session")
def mini_address() -> Iterator[str]:
    """A server with the built-in judge, in a process of its own."""
    judge = local_judge()
    with asyncio.Runner() as runner:
        yield runner.run(judge.__aenter__())
        runner.run(judge.__aexit__(None, None, None))


@pytest.fixture
async def mini(mini_address: str) -> AsyncIterator[Client]:
    async with connect(mini_address) as client:
        yield client
