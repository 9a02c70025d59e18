"""Is there a judge that serves?"""

from __future__ import annotations

import asyncio
import time
from functools import partial

from judger.client.calls import unary
from judger.client.channel import Link
from judger.errors import DeadlineExceeded, Unavailable

HEALTH = "/grpc.health.v1.Health/Check"
SERVING = b"\x08\x01"  # HealthCheckResponse{status: SERVING}; its package is not in the core install
POLL_SECONDS = 0.1


async def wait_ready(link: Link, seconds: float) -> None:
    """Returns once the server says that it serves; raises Unavailable with what it last said."""
    ends = time.monotonic() + seconds
    last = "it did not answer"
    while (left := ends - time.monotonic()) > 0:
        check = link.channel.unary_unary(HEALTH).future
        try:
            answer = await unary(link, partial(check, b"", timeout=left, metadata=link.settings.metadata))
        except (Unavailable, DeadlineExceeded) as error:
            last = str(error)
        else:
            if answer == SERVING:
                return
            last = "it is up, but not serving: it still loads, or it stops"
        await asyncio.sleep(min(POLL_SECONDS, max(0.0, ends - time.monotonic())))
    raise Unavailable(f"{link.settings.address} is not ready after {seconds:g} s: {last}")
