"""The routes: which path is which door."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from judger.errors import EngineError
from judger.http.bodies import Bodies
from judger.http.calls import Judging
from judger.http.desk import Desk, desk_routes, page_route
from judger.http.doors import Asked, Door, Doors
from judger.http.edges import unless_gone, wants_lines
from judger.http.errors import error_response
from judger.http.openapi import openapi
from judger.http.origin import OwnPages
from judger.http.reception import Endpoint, Entered, Reception, turned_away

__all__ = ["MAX_SECONDS", "build_app", "doors_by_path"]

MAX_SECONDS = 300.0
"""What a call may take where it names no deadline, and at most: a client who says nothing must not wait forever."""


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
    reception = Reception(judging, bodies or Bodies(), max_seconds=max_seconds, access_log=access_log)

    async def ready(request: Request) -> Response:
        is_ready = await judging.is_serving()
        return JSONResponse({"ready": is_ready}, status_code=200 if is_ready else 503)

    described = openapi(doors)

    async def healthy(request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def describe(request: Request) -> Response:
        return JSONResponse(described)

    app = Starlette(
        routes=[
            *(Route(path, _asking(reception, door), methods=["POST"]) for path, door in doors.items()),
            Route("/healthz", healthy),
            Route("/readyz", ready),
            Route("/openapi.json", describe),
            page_route(desk),
            *(desk_routes(desk, reception) if desk is not None else ()),
        ],
        middleware=[Middleware(OwnPages, origin=origin)],
        exception_handlers={HTTPException: _no_route, Exception: _broken},
    )
    app.router.redirect_slashes = False  # a path is a door or is none: nobody is sent to a name of their own choice
    return app


def _asking(reception: Reception, door: Door) -> Endpoint:
    async def work(entered: Entered) -> Response:
        request = entered.request
        asked = Asked(
            call=entered.call,
            values=entered.values,
            size=entered.size,
            lane=request.headers.get("judger-lane"),
            wants_lines=wants_lines(request),
        )
        return await unless_gone(request, door(asked))

    return reception.endpoint(work)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "not_found" if error.status_code == 404 else "unimplemented"
    body = {"code": code, "message": f"{request.method} {request.url.path}: {error.detail}"}
    return await turned_away(request, JSONResponse(body, status_code=error.status_code, headers=error.headers))


async def _broken(request: Request, error: Exception) -> Response:
    """A bug of ours: Starlette raises it again behind the answer, and so it is logged."""
    return error_response(EngineError(f"the gateway failed: {type(error).__name__}"))
