"""The page and what it asks: a run that may still grow, people's verdicts on it, and how far they agree."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from judger.errors import InvalidRequest, JudgerError, Unavailable
from judger.http.calls import Judging
from judger.http.edges import read_body, read_call, read_values
from judger.http.errors import error_response
from judger.pages import Growing, PeopleFile, export, overview, page_policy, panel, render_page
from judger.pages.people import PersonsVerdict

__all__ = ["Desk", "desk_routes", "page_route"]

MOST_ENTRIES = 100
"""Of one answer: a page that asks again has the next."""
MOST_FAULTS = 3
"""Of those lines of a run that can't be read, how many are told in full."""
BODY = 2**17


class Desk:
    """One run and its people's file. Its methods block; one runs at a time."""

    def __init__(self, growing: Growing, people: PeopleFile) -> None:
        self.growing = growing
        self.people = people
        self.turn = asyncio.Lock()

    @property
    def name(self) -> str:
        return self.growing.run.name

    def news(self, epoch: int, after: int) -> dict[str, Any]:
        """What a page that has `after` entries of that epoch doesn't know yet."""
        self.growing.look()
        if epoch != self.growing.epoch:
            after = 0
        entries = self.growing.run.entries
        new = entries[after : after + MOST_ENTRIES]
        faults = self.growing.faults
        return {
            "epoch": self.growing.epoch,
            "entries": [entry.to_json() for entry in new],
            "overview": overview(entries) if new or epoch != self.growing.epoch else None,
            "people": self.people.to_json(),
            "faults": [str(fault) for fault in faults[:MOST_FAULTS]],
            "num_faults": len(faults),
        }

    def say(self, values: object) -> dict[str, Any]:
        """Keeps a person's verdict. Raises InvalidRequest for one on nothing that is there."""
        try:
            said = PersonsVerdict.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidRequest(".".join(map(str, first["loc"])) or "body", first["msg"]) from error
        entry = next((entry for entry in self.growing.run.entries if entry.key == said.case), None)
        if entry is None or all(said.criterion != criterion.id for criterion in entry.case.criteria):
            raise InvalidRequest("criterion", "this run has no such case or criterion")
        return self.people.add(said).model_dump(mode="json")

    def agreement(self) -> dict[str, Any] | None:
        return panel(self.growing.run.entries, self.people.latest)

    def labelled(self) -> str:
        return "".join(line + "\n" for line in export(self.growing.run.entries, self.people.latest))


def page_route(desk: Desk | None) -> Route:
    """`/`: the page, which says nothing of the run before its reader has shown a token."""
    data: dict[str, Any] = {
        "name": desk.name if desk is not None else "",
        "has_run": desk is not None,
        "judge": {},
        "notes": [],
        "entries": [],
        "overview": None,
        "people": [],
        "agreement": None,
        "against": None,
    }
    page = render_page(data, title=data["name"] or "judge", live=True)
    headers = {
        "content-security-policy": page_policy(live=True) + "; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }

    async def show(request: Request) -> Response:
        return HTMLResponse(page, headers=headers)

    return Route("/", show)


def desk_routes(desk: Desk, judging: Judging, max_seconds: float) -> list[Route]:
    """The doors of the run. Whoever may ask the judge may come in."""

    def door(work: Callable[[Request, object], Awaitable[Response]], method: str, path: str) -> Route:
        async def answer(request: Request) -> Response:
            try:
                call = read_call(request, max_seconds)
                await judging.check(call)
                values = read_values(await read_body(request, call, BODY)) if method == "POST" else None
                async with desk.turn:
                    return await work(request, values)
            except JudgerError as error:
                return error_response(error)
            except OSError as error:
                return error_response(Unavailable(f"the run's files: {error.strerror or error}"))

        return Route(path, answer, methods=[method])

    async def news(request: Request, _: object) -> Response:
        return _json(await asyncio.to_thread(desk.news, *(_number(request, name) for name in ("epoch", "after"))))

    async def say(_: Request, values: object) -> Response:
        return _json(await asyncio.to_thread(desk.say, values))

    async def agreement(*_: object) -> Response:
        return _json(await asyncio.to_thread(desk.agreement))

    async def labelled(*_: object) -> Response:
        return PlainTextResponse(await asyncio.to_thread(desk.labelled), media_type="application/x-ndjson")

    return [
        door(news, "GET", "/run"),
        door(say, "POST", "/run/people"),
        door(agreement, "GET", "/run/agreement"),
        door(labelled, "GET", "/run/labelled.jsonl"),
    ]


def _json(values: object) -> Response:
    return JSONResponse(json.loads(json.dumps(values)))


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "0")
    try:
        return max(-1, int(text[:12]))
    except ValueError:
        raise InvalidRequest(name, "must be a whole number") from None
