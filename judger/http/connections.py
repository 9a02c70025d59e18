"""What a connection may cost before it has asked anything: how many there are, and how long a head may take.

uvicorn bounds neither a head that comes a byte at a time nor a connection that says nothing at all. And whoever is one
too many gets an answer here that says so in the shape of the other errors.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from dataclasses import dataclass, replace
from typing import Any

import h11
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from judger.errors import DeadlineExceeded, Unavailable
from judger.http.edges import dismiss
from judger.http.errors import error_response

__all__ = ["Bounds", "Connection", "fitting"]

logger = logging.getLogger(__name__)

OPEN = ("/healthz", "/readyz")
"""Answered however many there are: a load balancer must not take a crowd for a death."""
RETRY_AFTER = 1.0
FILES_LEFT = 128
"""Files that the rest of the process may have open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of one listening socket."""

    connections: int = 1024
    """That are served."""
    turned_away: int = 128
    """Beyond these, who are told so once they have asked. Any more are cut off."""
    head_seconds: float = 20.0
    """For a request's head, from the connection or from the head's first byte."""


class Connection(H11Protocol):
    """uvicorn's, within bounds."""

    bounds = Bounds()

    def __init__(self, *args: Any, bounds: Bounds | None = None, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.bounds = bounds or self.bounds
        self.app = _Door(self.app, self)
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Also starts the clock."""
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections + self.bounds.turned_away:
            transport.abort()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Also stops the clock at the end of a head."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Also stops the clock."""
        self._stop()
        super().connection_lost(exc)

    @property
    def is_one_too_many(self) -> bool:
        """Whether more are open than are served."""
        return len(self.connections) > self.bounds.connections

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._stop()
        elif self._late is None:
            self._late = self.loop.call_later(self.bounds.head_seconds, self._leave)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _leave(self) -> None:
        self._late = None
        if self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:  # there is somebody to tell
            reason = f"the head of a request has not come within {self.bounds.head_seconds:g} s"
            said = error_response(DeadlineExceeded(reason))
            head = h11.Response(status_code=408, headers=[*said.raw_headers, (b"connection", b"close")])
            for event in (head, h11.Data(data=bytes(said.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class _Door:
    """The application, or what is said to one too many."""

    def __init__(self, app: Any, connection: Connection) -> None:
        self._app: ASGIApp = app
        self._connection = connection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._connection.is_one_too_many or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        most = self._connection.bounds.connections
        response = error_response(Unavailable(f"{most:,} connections are open already", RETRY_AFTER))
        response.headers["connection"] = "close"
        await dismiss(Request(scope, receive))
        await response(scope, receive, send)


def fitting(bounds: Bounds) -> Bounds:
    """The bounds with as many connections as this process may have files open; asks the system for more if need be.

    Where accept() has no file left, connections are neither taken nor refused: callers would hang.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = bounds.connections + bounds.turned_away + FILES_LEFT
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return bounds
    most = max(8, soft - bounds.turned_away - FILES_LEFT)
    logger.warning("%d open files are allowed: %d connections are served at a time", soft, most)
    return replace(bounds, connections=most, turned_away=min(bounds.turned_away, most))
