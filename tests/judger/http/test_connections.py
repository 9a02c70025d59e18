"""What a connection may cost before it has asked anything."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from judger.client.settings import Settings
from judger.http.app import build_app
from judger.http.calls import OnServer
from judger.http.connections import Bounds
from judger.http.process import listen

PATIENCE = 30.0
HEAD = b"GET /readyz HTTP/1.1\r\nhost: x\r\n"


@asynccontextmanager
async def doors(bounds: Bounds) -> AsyncIterator[str]:
    """A gateway's address; its server is away."""
    judging = OnServer(Settings(address="127.0.0.1:1"))
    opened = listen(build_app(judging), "127.0.0.1", 0, bounds=bounds)
    try:
        yield opened.address
    finally:
        await opened.stop(1.0)
        judging.close()


async def connected(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = address.rsplit(":", 1)
    return await asyncio.open_connection(host, int(port))


async def asked(address: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        if path.startswith("/v1"):
            return await client.post(f"http://{address}{path}", json={"report": "x" * 2**20})
        return await client.get(f"http://{address}{path}")


async def test_one_connection_too_many_is_told_so_and_health_is_answered_all_the_same() -> None:
    async with doors(Bounds(connections=2, turned_away=2)) as address:
        crowd = [await connected(address) for _ in range(2)]
        answer = await asked(address, "/v1/judge")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert (answer.headers["retry-after"], answer.headers["connection"]) == ("1", "close")
        assert (await asked(address, "/healthz")).status_code == 200
        crowd += [await connected(address) for _ in range(2)]
        with pytest.raises(httpx.TransportError):  # beyond these nobody is told
            await asked(address, "/healthz")
        for _, writer in crowd:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(PATIENCE):
            while (await asked(address, "/openapi.json")).status_code != 200:  # noqa: ASYNC110 - uvicorn has no event
                await asyncio.sleep(0.01)


async def test_a_head_that_never_ends_is_left_and_a_silent_connection_too() -> None:
    async with doors(Bounds(head_seconds=0.3)) as address, asyncio.timeout(PATIENCE):
        began = time.monotonic()  # of whom the clocks begin with the connections
        (silent, quiet), (reader, writer) = await connected(address), await connected(address)

        async def drip() -> None:
            while not writer.is_closing():
                writer.write(b"x-a: b\r\n")
                await asyncio.sleep(0.02)

        writer.write(HEAD)
        dripping = asyncio.create_task(drip())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b'"deadline_exceeded"' in await reader.readuntil(b"}")
        assert time.monotonic() - began > 0.2
        dripping.cancel()
        assert await silent.read() == b""
        for one in (quiet, writer):
            one.close()


async def test_the_clock_of_a_head_is_not_that_of_a_body_or_of_a_pause() -> None:
    async with doors(Bounds(head_seconds=0.2)) as address, asyncio.timeout(PATIENCE):
        host, port = address.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)))
        # The head is there before the server, on this loop, has taken the connection: it can't be late.
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{")
        connection.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=connection)
        await asyncio.sleep(0.4)
        writer.write(b"}")
        assert b" 404 " in await reader.readline()
        await reader.readuntil(b"}")
        await asyncio.sleep(0.4)  # a kept connection may wait longer for its next request
        writer.write(HEAD + b"\r\n")
        assert b" 503 " in await reader.readline()
        writer.write(b"GET ")  # and this one begins, and never ends
        assert b" 408 " in await reader.read()
        writer.close()


@pytest.mark.parametrize(("files", "connections"), [((64, 4096), 1024), ((64, 700), 444), ((64, 64), 8)])
def test_no_more_connections_are_served_than_the_process_may_open_files(
    files: tuple[int, int], connections: int
) -> None:
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, {files})
from judger.http.connections import Bounds, fitting
print(fitting(Bounds()).connections)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) == connections
