"""The parts of the bench of peers that decide what it says: the proxy that breaks things, and what is counted."""

from __future__ import annotations

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from judger.http.process import listen
from tests.benchmarks.peers.__main__ import compared
from tests.benchmarks.peers.cases import cases
from tests.benchmarks.peers.faults import Plan, breaking


async def test_the_proxy_breaks_what_it_says_and_is_back_after_its_restart() -> None:
    async def echo(request: Request) -> Response:
        return JSONResponse({"said": (await request.json())["n"]})

    doors = listen(Starlette(routes=[Route("/v1/x", echo, methods=["POST"])]), "127.0.0.1", 0)
    seen: dict[str, int] = {"sound": 0, "500": 0, "malformed": 0, "cut": 0}
    plan = Plan(errors=0.2, malformed=0.2, stalls=0.1, stall=0.01, restart_at=20, away=0.2)
    async with breaking(f"http://{doors.address}/v1", plan) as proxy, httpx.AsyncClient(timeout=30) as client:
        done = 0
        while done < 60:
            try:
                reply = await client.post(f"{proxy.url}/x", json={"n": done})
            except httpx.TransportError:
                seen["cut"] += 1
                continue
            done += 1
            if reply.status_code == 500:
                seen["500"] += 1
                continue
            try:
                seen["sound" if "said" in reply.json() else "malformed"] += 1
            except ValueError:
                seen["malformed"] += 1
    await doors.stop(1.0)
    # Whether the connection that was cut saw uvicorn's own 500 or none is chance.
    refused = seen["500"] - proxy.counts["500"]
    assert 0 <= refused <= 1
    assert seen["cut"] + refused >= 1
    assert proxy.counts["restart"] == 1
    assert seen["malformed"] == proxy.counts["malformed"] > 0
    assert proxy.counts["stall"] > 0
    assert seen["sound"] > 20


def test_a_value_of_a_failed_criterion_is_a_number_of_a_failure() -> None:
    def answer(name: str, verdicts: list[bool | None], failed: list[bool], value: float | None) -> dict[str, object]:
        return {"id": name, "verdicts": verdicts, "failed": failed, "value": value, "seconds": 1.0, "error": None}

    quiet = [answer(name, [True, False], [False, False], 0.5) for name in "abc"]
    hurt = [
        answer("a", [True, False], [False, True], 0.5),  # a verdict of a failure, and a number of it
        answer("b", [None, False], [True, False], None),  # a failure that says so
        answer("c", [False, False], [False, False], 0.0),  # another verdict than in quiet
    ]
    found = compared("x", quiet, hurt)
    assert (found["values of failures"], found["verdicts of failures"], found["lost"]) == (1, 1, 1)
    assert (found["other than quiet"], found["reports without a value"]) == (1, 1)


def test_everyone_gets_the_same_reports_but_for_their_first_words() -> None:
    first, second = (cases(2, words=40, criteria=30, mark=mark) for mark in "AB")
    assert first[0]["report"].partition(". ")[2] == second[0]["report"].partition(". ")[2]
    assert len({case["report"][:10] for case in (*first, *second)}) == 4
    assert len(set(first[0]["criteria"])) == 30
