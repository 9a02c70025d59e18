"""The standard health service. It is open to all, so that what it costs is bounded by host."""

from __future__ import annotations

from collections import Counter
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

from judger.server.callers import host_of
from judger.types import LIMITS

__all__ = ["Health"]


class Health(health.aio.HealthServicer):  # type: ignore[misc]
    """Answers `Check` as often as it is asked, and holds a bounded number of `Watch` streams for each host.

    Args:
        names: the services whose health is the server's, beside the server as a whole.
    """

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = ("", *names)
        self._watches: Counter[str] = Counter()

    async def report(self, up: bool) -> None:
        """Sets the health of all names."""
        status = health_pb2.HealthCheckResponse.SERVING if up else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in self.names:
            await self.set(name, status)

    async def Watch(self, request: Any, context: Any) -> None:
        """The health now and at every change. RESOURCE_EXHAUSTED for one watch too many."""
        host = host_of(context)
        if self._watches[host] >= LIMITS.watches:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{LIMITS.watches} watches of this host are open; use Check"
            )
        self._watches[host] += 1
        try:
            await super().Watch(request, context)
        finally:
            self._watches[host] -= 1
            if not self._watches[host]:
                del self._watches[host]
