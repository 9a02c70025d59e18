"""What every request passes, whichever door it is for: its deadline, who calls, its body, and how it ends.

Refused before the next is looked at; a body is counted until its answer is written.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from judger.errors import JudgerError
from judger.http.bodies import Bodies
from judger.http.calls import Call, Judging, within
from judger.http.edges import Gone, Lines, dismiss, peer_of, read_body, read_call, read_values
from judger.http.errors import error_response
from judger.schedule.beside import beside
from judger.types import LIMITS

__all__ = ["Endpoint", "Entered", "Reception", "turned_away"]

logger = logging.getLogger(__name__)

CLIENT_LEFT = 499
"""nginx's status code for an answer that nobody reads; for the log alone."""

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A request whose caller is known and whose body has been read."""

    request: Request
    call: Call
    values: object = None
    """Parsed JSON; None where no body was wanted."""
    size: int = 0
    """Bytes of the body."""


class Reception:
    """Of one server.

    Args:
        max_seconds: the longest deadline.
        access_log: a line for each request; a service in this process has its own.
    """

    def __init__(self, judging: Judging, bodies: Bodies, *, max_seconds: float, access_log: bool = False) -> None:
        self._judging = judging
        self._bodies = bodies
        self._max_seconds = max_seconds
        self._access_log = access_log

    def endpoint(
        self, work: Callable[[Entered], Awaitable[Response]], *, most_bytes: int = LIMITS.message_bytes
    ) -> Endpoint:
        """What answers a request: `work` on what it asks, or why not. `most_bytes` of the body; 0: none is read."""

        async def answer(request: Request) -> Response:
            began = time.monotonic()
            try:
                response = await self._admitted(request, work, most_bytes)
            except Gone:
                response = Response(status_code=CLIENT_LEFT)
            except JudgerError as error:
                response = await turned_away(request, error_response(error))
            if self._access_log:
                fields = {
                    "path": request.url.path,
                    "status": response.status_code,
                    "seconds": round(time.monotonic() - began, 6),
                    "peer": peer_of(request),
                }
                logger.info("http", extra={"fields": fields})
            return response

        return answer

    async def _admitted(
        self, request: Request, work: Callable[[Entered], Awaitable[Response]], most_bytes: int
    ) -> Response:
        call = read_call(request, self._max_seconds)
        caller = await self._judging.check(call)
        if not most_bytes:
            return await work(Entered(request=request, call=call))
        with ExitStack() as held:
            take = held.enter_context(self._bodies.reading(caller))
            body = await read_body(request, call, most_bytes, take)
            async with within(call):
                values = await beside(len(body), read_values, body)
            size = len(body)
            del body  # its values are what is left of it
            response = await work(Entered(request=request, call=call, values=values, size=size))
            if isinstance(response, Lines):
                response.held = held.pop_all()
            return response


async def turned_away(request: Request, response: Response) -> Response:
    """The refusal, after what is left of the body: a writer in full flow would not see it."""
    if not await dismiss(request):
        response.headers["connection"] = "close"
    return response
