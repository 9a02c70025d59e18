"""The routes: which path is which door."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from judger.errors import EngineError, JudgerError
from judger.http.bodies import Bodies
from judger.http.calls import Call, Judging
from judger.http.desk import Desk, desk_routes, page_route
from judger.http.doors import Asked, Door, Doors
from judger.http.edges import Gone, Lines, dismiss, peer_of, read_body, read_call, read_values, unless_gone, wants_lines
from judger.http.errors import error_response
from judger.http.openapi import openapi
from judger.http.origin import OwnPages

__all__ = ["MAX_SECONDS", "build_app", "doors_by_path"]

logger = logging.getLogger(__name__)

MAX_SECONDS = 300.0
"""What a call may take where it names no deadline, and at most: a client who says nothing must not wait forever."""
CLIENT_LEFT = 499
"""nginx's status code for an answer that nobody reads; for the log alone."""


def doors_by_path(doors: Doors) -> Mapping[str, Door]:
    """Every door that takes a POST."""
    return {
        "/v1/judge": doors.judge,
        "/v1/judge-group": doors.judge_group,
        "/v1/compare": doors.compare,
        "/v1/decisions": doors.decisions,
        "/v1/systemone": doors.system_one,
        "/get_reward": doors.rewards,
        "/reward": doors.reward,
        "/judger.v1.Judger/Judge": doors.judge,
        "/judger.v1.Judger/Compare": doors.compare,
        "/judger.v1.Judger/GetJudge": doors.get_judge,
    }


def build_app(
    judging: Judging,
    *,
    unscored: float | None = None,
    reasoning: bool = False,
    max_seconds: float = MAX_SECONDS,
    access_log: bool = False,
    origin: str | None = None,
    desk: Desk | None = None,
    bodies: Bodies | None = None,
) -> Starlette:
    """The application.

    Args:
        unscored, reasoning: as of `Doors`.
        max_seconds: the longest deadline.
        access_log: a line for each request; a service in this process has its own.
        origin: how a browser names this server, as of `OwnPages`.
        desk: a run to look at on the page.
        bodies: how much of them is held at a time.
    """
    doors = doors_by_path(Doors(judging, unscored=unscored, reasoning=reasoning))
    bodies = bodies or Bodies()

    async def post(request: Request, door: Door) -> Response:
        began = time.monotonic()
        try:
            response = await _through(request, door, judging, max_seconds, bodies)
        except Gone:
            response = Response(status_code=CLIENT_LEFT)
        except JudgerError as error:
            response = await _refused(request, error_response(error))
        if access_log:
            seconds = round(time.monotonic() - began, 6)
            fields = {
                "path": request.url.path,
                "status": response.status_code,
                "seconds": seconds,
                "peer": peer_of(request),
            }
            logger.info("http", extra={"fields": fields})
        return response

    async def ready(request: Request) -> Response:
        is_ready = await judging.is_serving()
        return JSONResponse({"ready": is_ready}, status_code=200 if is_ready else 503)

    described = openapi(doors)

    async def healthy(request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def describe(request: Request) -> Response:
        return JSONResponse(described)

    return Starlette(
        routes=[
            *(Route(path, partial(post, door=door), methods=["POST"]) for path, door in doors.items()),
            Route("/healthz", healthy),
            Route("/readyz", ready),
            Route("/openapi.json", describe),
            page_route(desk),
            *(desk_routes(desk, judging, max_seconds) if desk is not None else ()),
        ],
        middleware=[Middleware(OwnPages, origin=origin)],
        exception_handlers={HTTPException: _no_route, Exception: _broken},
    )


async def _through(request: Request, door: Door, judging: Judging, max_seconds: float, bodies: Bodies) -> Response:
    """Who calls, then what they ask, then the door: refused before the next is looked at."""
    call: Call = read_call(request, max_seconds)
    caller = await judging.check(call)
    with ExitStack() as held:
        take = held.enter_context(bodies.reading(caller))
        values = read_values(await read_body(request, call, take=take))
        lane = request.headers.get("judger-lane")
        response = await unless_gone(
            request, door(Asked(call=call, values=values, lane=lane, wants_lines=wants_lines(request)))
        )
        if isinstance(response, Lines):
            response.held = held.pop_all()
        return response


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "not_found" if error.status_code == 404 else "unimplemented"
    body = {"code": code, "message": f"{request.method} {request.url.path}: {error.detail}"}
    return await _refused(request, JSONResponse(body, status_code=error.status_code, headers=error.headers))


async def _refused(request: Request, response: Response) -> Response:
    """The refusal, after what is left of the body: a writer in full flow would not see it."""
    if not await dismiss(request):
        response.headers["connection"] = "close"
    return response


async def _broken(request: Request, error: Exception) -> Response:
    """A bug of ours: Starlette raises it again behind the answer, and so it is logged."""
    return error_response(EngineError(f"the gateway failed: {type(error).__name__}"))
