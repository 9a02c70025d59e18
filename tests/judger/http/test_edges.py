"""Between the socket and a door: callers, bodies, deadlines, who leaves, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import ssl
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from judger.client.settings import Settings
from judger.config import ServeConfig
from judger.engines.base import Outcome, Plan
from judger.engines.scripted import ScriptedEngine
from judger.errors import InvalidRequest
from judger.http.app import build_app
from judger.http.calls import Call, OnServer
from judger.http.process import listen
from judger.server.callers import new_token
from judger.server.process import running
from judger.v1 import judger_pb2 as pb
from tests.judger.http.conftest import FRONTS, front
from tests.judger.schedule.engines import Gated
from tests.judger.server.test_security import certificates
from tests.waiting import until

SLOW = {"report": "a", "criteria": [{"text": "[[slow=0.5]]"}]}
QUICK = {"report": "an apple", "criteria": [{"text": "apple"}]}
PATIENCE = 30.0
"""Seconds after which a test that should have ended gives up."""


def config(**more: Any) -> ServeConfig:
    return ServeConfig(**{"engine": "scripted", "port": 0, "http_port": 0, "grace": 10.0} | more)


@asynccontextmanager
async def gateway(address: str | None, **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway before that server, which may be away."""
    judging = OnServer(Settings(address=address or "127.0.0.1:1"))
    doors = listen(build_app(judging, **more), "127.0.0.1", 0)
    try:
        async with httpx.AsyncClient(base_url=f"http://{doors.address}", timeout=PATIENCE) as client:
            yield client
    finally:
        await doors.stop(1.0)
        judging.close()


async def raw(address: str, head: str, body: bytes = b"") -> bytes:
    """What comes back for bytes that no client would send; the connection is left open for writing."""
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        await writer.drain()
        async with asyncio.timeout(PATIENCE):
            return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


POST = "POST /v1/judge HTTP/1.1\nhost: x\ncontent-type: application/json\n"


@pytest.mark.parametrize("kind", FRONTS)
async def test_without_a_known_token_nothing_of_a_request_is_read_and_only_health_answers(
    kind: str, tmp_path: Path
) -> None:
    token, table = new_token("trainer")
    (tmp_path / "tokens").write_text(table)
    async with front(kind, tokens=tmp_path / "tokens") as client:
        address = f"{client.base_url.host}:{client.base_url.port}"
        for header in ("", "authorization: Bearer wrong\n", f"authorization: {token}\n"):
            # The body never comes: whoever waited for it would not answer.
            head = await raw(address, f"{POST}{header}content-length: 50000000")
            assert head.startswith(b"HTTP/1.1 401 ")
            assert b"www-authenticate: Bearer" in head
            assert b"connection: close" in head
        good = {"authorization": f"Bearer {token}"}
        assert (await client.post("/v1/judge", json=QUICK, headers=good)).status_code == 200
        assert (await client.post("/v1/judge", json=QUICK)).json()["code"] == "unauthenticated"
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200


async def test_a_callers_pace_holds_over_http(tmp_path: Path) -> None:
    token, table = new_token("trainer")
    (tmp_path / "tokens").write_text(f"{table}tokens_per_second = 0.1")
    headers = {"authorization": f"Bearer {token}"}
    async with front("in process", tokens=tmp_path / "tokens") as client:
        assert (await client.post("/v1/judge", json=QUICK, headers=headers)).status_code == 200
        answer = await client.post("/v1/judge", json=QUICK | {"report": "another"}, headers=headers)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("kind", FRONTS)
async def test_a_body_over_the_limit_is_413_and_is_not_held(kind: str) -> None:
    async with front(kind) as client:
        address = f"{client.base_url.host}:{client.base_url.port}"
        assert (await raw(address, f"{POST}content-length: {64 * 2**20 + 1}")).startswith(b"HTTP/1.1 413 ")

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(65):
                yield b" " * 2**20

        answer = await client.post("/v1/judge", content=endless(), headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "resource_exhausted")
        assert (await client.post("/v1/judge", json=QUICK)).status_code == 200


@pytest.mark.parametrize("kind", FRONTS)
async def test_deadlines_end_slow_bodies_and_slow_judges(kind: str) -> None:
    async with front(kind) as client:
        address = f"{client.base_url.host}:{client.base_url.port}"
        head = await raw(address, f"{POST}connect-timeout-ms: 200\ncontent-length: 100", b'{"report"')
        assert head.startswith(b"HTTP/1.1 504 ")
        late = await client.post("/v1/judge", json=SLOW, headers={"connect-timeout-ms": "100"})
        assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
        assert (await client.post("/v1/judge", json=QUICK, headers={"connect-timeout-ms": "0"})).status_code == 504
        wrong = await client.post("/v1/judge", json=QUICK, headers={"connect-timeout-ms": "soon"})
        assert (wrong.status_code, wrong.json()["message"].partition(":")[0]) == (400, "connect-timeout-ms")


async def test_whoever_names_no_deadline_has_one_all_the_same() -> None:
    async with running(config(), ScriptedEngine()) as server, gateway(server.address, max_seconds=0.2) as client:
        assert (await client.post("/v1/judge", json=SLOW)).status_code == 504


async def test_a_group_in_lines_has_its_late_reports_unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("calls", "edges"):  # on a crowded machine it may take longer to say so
        monkeypatch.setattr(f"judger.http.{module}.LAST_WORDS", PATIENCE)
    asked = {"reports": ["a", "b"], "criteria": [{"text": "apple"}]}
    headers = {"accept": "application/x-ndjson", "connect-timeout-ms": "2000"}
    engine = Gated()
    engine.gate.set()  # for the warm-up
    async with front("in process", engine) as client:
        engine.gate.clear()
        answer = await client.post("/v1/judge-group", json=asked, headers=headers)
        engine.gate.set()
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["verdicts"][0]["unscored"]["reason"] for line in lines] == ["DEADLINE", "DEADLINE"]
    assert not any("value" in line["reward"] for line in lines)


@pytest.mark.parametrize("path", ["/v1/judge", "/v1/judge-group"])
async def test_the_work_of_a_caller_who_leaves_is_dropped_before_the_engine_sees_it(path: str) -> None:
    engine = Gated()
    engine.gate.set()  # for the warm-up
    async with running(config(max_batch_tokens=1), engine) as server:
        engine.gate.clear()
        engine.inside.clear()
        base = f"http://{server.http_address}"
        async with httpx.AsyncClient(base_url=base, timeout=PATIENCE) as one, httpx.AsyncClient(base_url=base) as other:
            before = len(engine.batches)
            first = asyncio.create_task(one.post("/v1/judge", json=QUICK | {"report": "first"}))
            await engine.entered()
            asked = QUICK if path == "/v1/judge" else {"reports": ["b", "c"], "criteria": QUICK["criteria"]}
            leaving = asyncio.create_task(other.post(path, json=asked, headers={"accept": "application/x-ndjson"}))
            await until(lambda: server.judge.num_in_flight > 1)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            await until(lambda: server.judge.num_in_flight <= 1)
            engine.gate.set()
            assert (await first).status_code == 200
            assert (await one.post("/v1/judge", json=QUICK | {"report": "last"})).status_code == 200
    assert len(engine.batches) - before == 2


async def test_work_in_hand_is_finished_when_the_server_ends_and_new_work_is_refused() -> None:
    engine = Gated()
    engine.gate.set()  # for the warm-up
    async with (
        httpx.AsyncClient(timeout=2 * PATIENCE) as client,
        asyncio.TaskGroup() as group,
        running(config(grace=2 * PATIENCE), engine) as server,
    ):
        engine.gate.clear()
        url = f"http://{server.http_address}/v1/judge"
        working = group.create_task(client.post(url, json=QUICK))
        await until(lambda: server.judge.num_in_flight == 1)
        late = group.create_task(refusal(url))
        late.add_done_callback(lambda _: engine.gate.set())  # until then the server can't be gone
    assert working.result().status_code == 200
    assert (late.result().status_code, late.result().json()["code"]) == (503, "unavailable")


async def refusal(url: str) -> httpx.Response:
    """The first answer of a server that is ending but 200. What it took before waits, and is given up."""
    async with httpx.AsyncClient(timeout=PATIENCE) as client, asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(httpx.ReadTimeout):
                answer = await client.post(url, json=QUICK | {"report": "a pear"}, timeout=2.0)
                if answer.status_code != 200:
                    return answer


async def test_the_end_does_not_wait_for_a_caller_who_never_ends_or_never_reads() -> None:
    stuck: list[asyncio.StreamWriter] = []
    async with running(config(grace=0.2), ScriptedEngine()) as server:
        host, port = str(server.http_address).rsplit(":", 1)
        for _ in range(3):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write((POST + "content-length: 100\n\n").replace("\n", "\r\n").encode() + b"{")
            stuck.append(writer)
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE
    for writer in stuck:
        writer.close()


class Metered(ScriptedEngine):
    """Has as many runs as the test gives leave for."""

    def __init__(self, leave: int) -> None:
        super().__init__()
        self.leave = threading.Semaphore(leave)

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        assert self.leave.acquire(timeout=60)
        return super().run(plans)


async def test_a_group_that_breaks_off_ends_with_a_line_that_says_so() -> None:
    asked = {"reports": ["a", "b", "c"], "criteria": [{"text": "apple"}]}
    engine = Metered(2)  # the warm-up, and one report of the three
    async with running(config(max_batch_tokens=1, grace=0.0), engine) as server, gateway(server.address) as client:
        lines: list[dict[str, Any]] = []
        async with client.stream(
            "POST", "/v1/judge-group", json=asked, headers={"accept": "application/x-ndjson"}
        ) as answer:
            async for line in answer.aiter_lines():
                lines.append(json.loads(line))
                if len(lines) == 1:
                    closing = asyncio.create_task(server.judge.close())
                    await asyncio.sleep(0)  # nothing is taken from the engine any more
                    engine.leave.release(9)
                    await closing
    assert lines[0]["reward"]["value"] == 0.0
    assert lines[-1]["error"]["code"] == "unavailable"


class Endless:
    """A judge whose groups never end."""

    def __init__(self) -> None:
        self.is_left = False

    async def check(self, call: Call) -> str:
        return call.host

    async def judge_group(self, request: pb.JudgeGroupRequest, call: Call) -> AsyncGenerator[pb.JudgeResponse, None]:
        try:
            while True:
                yield pb.JudgeResponse(request_id="x" * 10_000)
                await asyncio.sleep(0)
        finally:
            self.is_left = True


async def test_a_reader_of_lines_who_does_not_read_is_left_at_the_deadline() -> None:
    judging = Endless()
    doors = listen(build_app(judging), "127.0.0.1", 0)  # type: ignore[arg-type]
    host, port = doors.address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    # The answer has to have begun by then.
    head = POST.replace("judge", "judge-group") + "connect-timeout-ms: 2000\naccept: application/x-ndjson\n"
    writer.write(f"{head}content-length: 2\n\n".replace("\n", "\r\n").encode() + b"{}")
    await until(lambda: judging.is_left)
    assert (await reader.read(12)) == b"HTTP/1.1 200"
    writer.close()
    await doors.stop(1.0)


async def test_without_a_server_a_gateway_is_alive_and_says_that_it_is_not_ready() -> None:
    async with gateway(None) as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
        answer = await client.post("/v1/judge", json=QUICK, headers={"connect-timeout-ms": "20000"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_a_judge_that_is_pinned_by_the_gateway_is_the_only_one() -> None:
    async with running(config(), ScriptedEngine()) as server:
        judging = OnServer(Settings(address=server.address, judge_id="mini-1"))
        doors = listen(build_app(judging), "127.0.0.1", 0)
        async with httpx.AsyncClient(base_url=f"http://{doors.address}", timeout=PATIENCE) as client:
            for path, asked in (("/v1/judge", QUICK), ("/reward", {"response": "r", "label": ["a"]})):
                assert (await client.post(path, json=asked)).json()["code"] == "failed_precondition"
        await doors.stop(1.0)
        judging.close()


async def test_a_port_that_is_taken_is_refused_with_the_flag() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidRequest, match=rf"^http_port: 127.0.0.1:{port} can't be listened on"):
            async with running(config(http_port=port), ScriptedEngine()):
                pass


async def test_small_answers_are_not_held_back_by_nagles_algorithm() -> None:
    judging = OnServer(Settings(address="127.0.0.1:1"))
    doors = listen(build_app(judging), "127.0.0.1", 0)
    accepted = doors._server.server_state.connections
    host, port = doors.address.rsplit(":", 1)
    _, writer = await asyncio.open_connection(host, int(port))
    await until(lambda: accepted)
    (connection,) = accepted
    assert connection.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    writer.close()
    await doors.stop(1.0)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl")
async def test_the_doors_have_the_servers_certificates_and_let_in_the_same_clients(tmp_path: Path) -> None:
    certificates(tmp_path)
    pem = {name: tmp_path / f"{name}.pem" for name in ("ca", "server", "client")}
    files = {"tls_cert": pem["server"], "tls_key": tmp_path / "server.key", "tls_client_ca": pem["ca"]}
    known, stranger = ssl.create_default_context(cafile=pem["ca"]), ssl.create_default_context(cafile=pem["ca"])
    known.load_cert_chain(pem["client"], tmp_path / "client.key")
    async with running(config(host="0.0.0.0", **files), ScriptedEngine()) as server:
        url = f"https://127.0.0.1:{str(server.http_address).rpartition(':')[2]}/v1/judge"
        async with httpx.AsyncClient(verify=known, timeout=PATIENCE) as client:
            assert (await client.post(url, json=QUICK)).json()["reward"]["value"] == 1.0
        async with httpx.AsyncClient(verify=stranger, timeout=PATIENCE) as client:
            with pytest.raises(httpx.TransportError):
                await client.post(url, json=QUICK)


async def test_beyond_loopback_the_doors_are_under_the_servers_rules() -> None:
    with pytest.raises(InvalidRequest, match="is not a loopback address"):
        async with running(config(host="0.0.0.0"), ScriptedEngine()):
            pass
