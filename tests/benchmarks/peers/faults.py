"""A proxy before an endpoint that breaks some of its replies: 500, no JSON, a stall, and one restart.

The same seed breaks the same requests, counted as they come. Which of several concurrent ones is the n-th is chance.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from judger.http.process import listen
from tests.ports import free_port

__all__ = ["Faults", "Plan", "breaking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is broken: shares of the requests, and the one restart."""

    errors: float = 0.10
    malformed: float = 0.05
    stalls: float = 0.05
    stall: float = 30.0
    """Seconds."""
    restart_at: int = 12
    """The request that meets the restart: it and what is in flight lose their connection."""
    away: float = 5.0
    """Seconds in which nobody listens."""
    seed: int = 7


@dataclass(slots=True)
class Faults:
    """Where the proxy listens, and what it did."""

    url: str
    counts: Counter[str] = field(default_factory=Counter)


@asynccontextmanager
async def breaking(url: str, plan: Plan) -> AsyncIterator[Faults]:
    """The proxy before `url` (up to `/v1`), while the block runs."""
    numbers = itertools.count(1)
    restarting = asyncio.Event()
    found = Faults("")
    root = url.removesuffix("/v1")

    async def forward(request: Request) -> Response:
        body, number = await request.body(), next(numbers)
        found.counts["requests"] += 1
        if number == plan.restart_at:
            found.counts["restart"] += 1
            restarting.set()
            await asyncio.sleep(60)  # until the connection is cut
        chance = random.Random(f"{plan.seed}:{number}").random()
        if chance < plan.errors:
            found.counts["500"] += 1
            return JSONResponse({"error": {"message": "injected", "type": "server_error"}}, status_code=500)
        chance -= plan.errors
        is_stalled = plan.malformed <= chance < plan.malformed + plan.stalls
        if is_stalled:
            found.counts["stall"] += 1
            await asyncio.sleep(plan.stall)
        reply = await client.request(
            request.method, f"{root}{request.url.path}", content=body, headers={"content-type": "application/json"}
        )
        content = reply.content
        if chance < plan.malformed:
            found.counts["malformed"] += 1
            content = content[: len(content) // 2] if number % 2 else b'{"ok": true}'
        return Response(content, reply.status_code, media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])])

    async def restart() -> None:
        nonlocal doors
        await restarting.wait()
        await doors.stop(0.0)
        await asyncio.sleep(plan.away)
        doors = listen(app, "127.0.0.1", int(found.url.removesuffix("/v1").rpartition(":")[2]))

    async with httpx.AsyncClient(timeout=600) as client:
        doors = listen(app, "127.0.0.1", free_port())  # nobody else is given it while it is away
        found.url = f"http://{doors.address}/v1"
        task = asyncio.create_task(restart())
        try:
            yield found
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await doors.stop(0.0)
