"""The page and what it asks: a run that may still grow, people's verdicts on it, and how far they agree."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from judger.errors import InvalidRequest, Unavailable
from judger.http.questions import checked
from judger.http.reception import Entered, Reception
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
        is_all = after + len(new) == len(entries)  # a page that catches up has no figures between its parts
        faults = self.growing.faults
        return {
            "epoch": self.growing.epoch,
            "entries": [entry.to_json() for entry in new],
            "overview": overview(entries) if epoch != self.growing.epoch or (new and is_all) else None,
            "people": self.people.to_json(),
            "faults": [str(fault) for fault in faults[:MOST_FAULTS]],
            "num_faults": len(faults),
        }

    def say(self, values: object) -> dict[str, Any]:
        """Keeps a person's verdict. Raises InvalidRequest for one on nothing that is there."""
        said: PersonsVerdict = checked(PersonsVerdict, values)
        self.growing.look()  # whoever asks here first has seen the run elsewhere
        entry = next((entry for entry in self.growing.run.entries if entry.key == said.case), None)
        if entry is None or all(said.criterion != criterion.id for criterion in entry.case.criteria):
            raise InvalidRequest("criterion", "this run has no such case or criterion")
        return self.people.add(said).model_dump(mode="json")

    def agreement(self) -> dict[str, Any] | None:
        self.growing.look()
        return panel(self.growing.run.entries, self.people.latest)

    def labelled(self) -> str:
        self.growing.look()
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


def desk_routes(desk: Desk, reception: Reception) -> list[Route]:
    """The doors of the run. Whoever may ask the judge may come in."""

    def door(path: str, work: Callable[[Entered], Awaitable[Response]], *, most_bytes: int = 0) -> Route:
        async def in_turn(entered: Entered) -> Response:
            try:
                async with desk.turn:
                    return await work(entered)
            except OSError as error:
                raise Unavailable(f"the run's files: {error.strerror or error}") from error

        endpoint = reception.endpoint(in_turn, most_bytes=most_bytes)
        return Route(path, endpoint, methods=["POST" if most_bytes else "GET"])

    async def news(entered: Entered) -> Response:
        have = (_number(entered.request, name) for name in ("epoch", "after"))
        return await asyncio.to_thread(_json, desk.news, *have)

    async def say(entered: Entered) -> Response:
        return await asyncio.to_thread(_json, desk.say, entered.values)

    async def agreement(_: Entered) -> Response:
        return await asyncio.to_thread(_json, desk.agreement)

    async def labelled(_: Entered) -> Response:
        return PlainTextResponse(await asyncio.to_thread(desk.labelled), media_type="application/x-ndjson")

    return [
        door("/run", news),
        door("/run/people", say, most_bytes=BODY),
        door("/run/agreement", agreement),
        door("/run/labelled.jsonl", labelled),
    ]


def _json(work: Callable[..., object], *given: object) -> Response:
    """What the work gives, made into JSON where it runs: reports are long, and the loop has other callers."""
    return JSONResponse(work(*given))


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "0")
    try:
        return max(-1, int(text[:12]))
    except ValueError:
        raise InvalidRequest(name, "must be a whole number") from None
