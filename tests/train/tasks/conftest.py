"""Judges for the tests, over a loopback port: the scripted engine, and the built-in judge where reading matters."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from judger.client import Client, connect
from judger.server.process import Running


@pytest.fixture
async def judge(scripted_server: Running) -> AsyncIterator[Client]:
    async with connect(scripted_server.address) as client:
        yield client


@pytest.fixture(scope="session")
def mini_address() -> Iterator[str]:
    """A server with the built-in judge, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "judger",
        "serve",
        "--engine",
        "mini",
        "--judge-all",
        "--port",
        "0",
        "--grace",
        "0",
    ]
    process = subprocess.Popen([*command, "--threads", "1"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if " on 127.0.0.1:" in line:
            yield "127.0.0.1:" + line.split(" on 127.0.0.1:")[1].split()[0]
            break
    else:
        pytest.fail("the judge did not start")
    process.terminate()
    process.stderr.close()
    process.wait()


@pytest.fixture
async def mini(mini_address: str) -> AsyncIterator[Client]:
    async with connect(mini_address) as client:
        yield client
