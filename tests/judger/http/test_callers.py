"""Who stands behind a gateway: each is counted for themselves, and what they may send is bounded before it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from judger.client.settings import Settings
from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.http.app import build_app
from judger.http.bodies import Bodies
from judger.http.calls import Call, OnServer
from judger.http.paying import asked_tokens
from judger.http.process import listen
from judger.server.callers import CALLER, Caller, Grant, TokenFile, caller_key, new_token
from judger.server.process import running
from judger.v1 import judger_pb2 as pb
from judger.wire.metadata import BEHIND
from tests.judger.http.test_edges import PATIENCE, POST, QUICK
from tests.judger.schedule.test_inhand import gated, request
from tests.waiting import until


def tokens_of(path: Path, **tables: str) -> dict[str, dict[str, str]]:
    """Writes a file of tokens, each with more in its table; the headers of each."""
    made = {name: new_token(name) for name in tables}
    path.write_text("".join(f"{made[name][1]}{more}\n" for name, more in tables.items()))
    return {name: {"authorization": f"Bearer {token}"} for name, (token, _) in made.items()}


@asynccontextmanager
async def gateway(address: str, tokens: Path | None = None, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    """With callers of its own, where there is a file of them."""
    judging = OnServer(Settings(address=address), TokenFile(tokens).caller if tokens else None)
    doors = listen(build_app(judging, **more), "127.0.0.1", 0)
    try:
        async with httpx.AsyncClient(base_url=f"http://{doors.address}", timeout=PATIENCE) as client:
            yield client
    finally:
        await doors.stop(1.0)
        judging.close()


async def half(client: httpx.AsyncClient, size: int, header: str = "") -> asyncio.StreamWriter:
    """A request of which so many bytes have been written, and that does not end."""
    _, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    head = f"{POST}{header}content-length: {size + 1}\n\n".replace("\n", "\r\n")
    writer.write(head.encode() + b" " * size)
    return writer


async def test_what_all_callers_and_each_may_send_at_a_time_is_bounded(tmp_path: Path) -> None:
    known = tokens_of(tmp_path / "tokens", one="", two="", three="")
    bodies = Bodies(per_caller=10_000, most=15_000)
    config = ServeConfig(engine="scripted", port=0, grace=1.0)
    async with (
        running(config, ScriptedEngine()) as server,
        gateway(server.address, tmp_path / "tokens", bodies=bodies) as client,
    ):

        async def ask(name: str) -> httpx.Response:
            return await client.post("/v1/judge", json=QUICK, headers=known[name])

        first = await half(client, 12_000, f"authorization: {known['one']['authorization']}\n")
        await until(lambda: bodies.held == 12_000)
        refused = await ask("one")
        assert (refused.status_code, refused.json()["code"]) == (429, "resource_exhausted")
        assert "this caller's" in refused.json()["message"]
        assert int(refused.headers["retry-after"]) >= 1
        assert (await ask("two")).status_code == 200
        second = await half(client, 5_000, f"authorization: {known['two']['authorization']}\n")
        await until(lambda: bodies.held == 17_000)
        assert (await ask("three")).status_code == 429
        for writer in (first, second):
            writer.close()
        await until(lambda: bodies.held == 0)
        assert (await ask("one")).status_code == 200
        lines = {"accept": "application/x-ndjson"} | known["one"]
        assert (await client.post("/v1/judge-group", json={"reports": ["a"]} | CRITERIA, headers=lines)).text
        await until(lambda: bodies.held == 0)


CRITERIA = {"criteria": [{"text": "apple"}]}


async def test_the_server_counts_the_callers_behind_a_gateway_and_not_the_gateway() -> None:
    async with gated(10_000) as (stub, engine, in_hand):
        judging = OnServer(Settings(address=stub.address))
        calls = [Call(ends=asyncio.get_running_loop().time() + PATIENCE, peer=f"ipv4:10.0.0.{i}:9") for i in (1, 2)]
        working = [asyncio.create_task(judging.judge(request(6_000), call)) for call in calls]
        names = [f"ipv4:127.0.0.1/ipv4:10.0.0.{i}" for i in (1, 2)]
        await until(lambda: all(in_hand.held(name) > 6_000 for name in names))
        assert in_hand.held("ipv4:127.0.0.1") == 0
        engine.gate.set()
        assert all(response.verdicts for response in await asyncio.gather(*working))
        judging.close()


@pytest.mark.parametrize(
    ("grant", "peer", "key"),
    [
        (None, "ipv4:127.0.0.1:9", "ipv4:127.0.0.1/ann"),
        (None, "ipv6:%5B::1%5D:9", "ipv6:%5B::1%5D/ann"),
        (None, "ipv4:10.0.0.7:9", "ipv4:10.0.0.7"),
        ({}, "ipv4:127.0.0.1:9", "door"),
        ({"gateway": True}, "ipv4:10.0.0.7:9", "door/ann"),
    ],
)
def test_only_a_gateway_is_believed_whom_it_calls_for(grant: dict[str, Any] | None, peer: str, key: str) -> None:
    context = SimpleNamespace(peer=lambda: peer, invocation_metadata=lambda: ((BEHIND, "ann"),))
    caller = None if grant is None else Caller("door", Grant(sha256="0" * 64, **grant))
    token = CALLER.set(caller)
    try:
        assert caller_key(context) == key
    finally:
        CALLER.reset(token)


async def test_the_pace_of_a_gateways_own_callers_holds_and_what_is_refused_or_known_costs_nothing(
    tmp_path: Path,
) -> None:
    known = tokens_of(tmp_path / "tokens", slow="tokens_per_second = 0.1", quick="")
    config = ServeConfig(engine="scripted", port=0, grace=1.0)
    async with running(config, ScriptedEngine()) as server, gateway(server.address, tmp_path / "tokens") as client:

        async def ask(name: str, **more: Any) -> httpx.Response:
            return await client.post("/v1/judge", json=QUICK | more, headers=known[name])

        assert (await ask("quick")).status_code == 200
        for _ in range(3):
            assert (await ask("slow", judge_id="another")).status_code == 400
            assert (await ask("slow")).status_code == 200  # in the server's cache
        assert (await ask("slow", report="a pear")).status_code == 200
        late = await ask("slow", report="a plum")
        assert (late.status_code, late.json()["code"]) == (429, "resource_exhausted")
        assert int(late.headers["retry-after"]) >= 1
        assert (await ask("quick", report="a plum")).status_code == 200


def test_a_request_costs_a_gateway_what_it_costs_a_server() -> None:
    criteria = [pb.Criterion(text="x" * 40)] * 2
    one = pb.JudgeRequest(query="q" * 20, report="r" * 200, criteria=criteria)
    assert asked_tokens(one) == (20 + 200 + 80) // 4 + 1
    group = pb.JudgeGroupRequest(query="q" * 20, reports=["r" * 200] * 3, criteria=criteria)
    assert asked_tokens(group) == 3 * asked_tokens(one)
    one.explain, one.trials = pb.Explain.ALWAYS, 2**32 - 1
    assert asked_tokens(one) == 76 + 128 * 2 * 32
    pair = pb.CompareRequest(query="q" * 20, report_a="r" * 200, report_b="r" * 200)
    assert asked_tokens(pair) == 4 * ((20 + 200) // 4 + 1)
