"""How long a health check waits while one caller sends 48 MiB: a server in its own process, the scripted engine.

    python -m tests.benchmarks.bench_caller

To reach: under a second on a quiet machine. Caller, prober and server share the machine's cores.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from judger.client import connect

REPORTS, REPORT_BYTES = 24, 2 * 2**20 - 256
SENTENCE = "Wind costs 40 euros per hour in the north sea and people know it well. "
EVERY = 0.02


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    """The address of a server of its own process."""
    line = (sys.executable, "-m", "judger", "serve", "--engine", "scripted", "--port", "0", "--grace", "1")
    process = await asyncio.create_subprocess_exec(*line, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            async for said in process.stderr:
                if b" on " in said:
                    break
        rest = asyncio.create_task(process.stderr.read())  # or the server's log would fill the pipe
        yield said.decode().rsplit(" ", 1)[1].strip()
    finally:
        process.terminate()
        await process.wait()
    await rest


async def probing(address: str, waits: list[float]) -> None:
    """Asks for the health of a server, again and again, and notes how long each answer took."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while True:
            began = time.monotonic()
            await stub.Check(health_pb2.HealthCheckRequest())
            waits.append(time.monotonic() - began)
            await asyncio.sleep(EVERY)


async def main() -> None:
    text = (SENTENCE * (REPORT_BYTES // len(SENTENCE) + 1))[:REPORT_BYTES]
    reports = [f"{i} {text}"[:REPORT_BYTES] for i in range(REPORTS)]
    async with server() as address, connect(address, timeout=120) as client:
        idle: list[float] = []
        busy: list[float] = []
        for waits in (idle, busy):
            probe = asyncio.create_task(probing(address, waits))
            await asyncio.sleep(1.0)
            if waits is busy:
                began = time.monotonic()
                answers = await client.judge_group_all("How windy is it?", reports, ["[[fully]] Says it."] * 5)
                seconds = time.monotonic() - began
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)
    print(f"a group of {len(answers)} reports, {REPORTS * REPORT_BYTES / 2**20:.0f} MiB: {seconds:.2f} s")
    print(
        f"health, longest wait: idle {1e3 * max(idle):.0f} ms, meanwhile {1e3 * max(busy):.0f} ms (to reach: 1,000 ms)"
    )


if __name__ == "__main__":
    asyncio.run(main())
