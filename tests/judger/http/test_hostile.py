"""Whatever is sent to a door: the answer is typed and short, and comes while everybody else is answered, too."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from judger.errors import TooLarge
from judger.http.app import build_app
from judger.http.bodies import Bodies
from judger.http.connections import Bounds
from judger.http.desk import Desk
from judger.http.edges import MOST_TOKENS, read_values
from judger.http.process import TlsFiles, listen
from judger.pages import Growing, PeopleFile
from tests.judger.http.conftest import front
from tests.judger.http.test_edges import PATIENCE, POST, Endless
from tests.judger.server.test_security import certificates
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

JUDGE = {"query": "q", "report": "an apple", "criteria": [{"id": "c", "text": "apple", "weight": 1}]}
COMPARE = {"query": "q", "report_a": "an apple", "report_b": "a pear", "criteria": [{"text": "apple"}]}
SCORE = {"type": "score", "name": "s", "instructions": "apple", "levels": [{"label": name} for name in "abc"]}
GOOD: dict[str, Any] = {
    "/v1/judge": JUDGE,
    "/v1/judge-group": {"query": "q", "reports": ["an apple", "a pear"], "criteria": [{"text": "apple"}]},
    "/v1/compare": COMPARE,
    "/v1/decisions": {
        "model": "m",
        "input": [{"role": "system", "content": "q"}, {"role": "user", "content": "an apple"}],
        "questions": [{"type": "predicate", "name": "a", "instructions": "apple"}, SCORE],
    },
    "/v1/systemone": {
        "model": "m",
        "state": {"text": "an apple"},
        "questions": {"a": {"type": "noul", "instructions": "apple", "criteria": {"true": "there"}}},
    },
    "/get_reward": {"query": ["p: an apple"], "prompts": ["p: "], "labels": [["apple"]]},
    "/reward": {"prompt": [{"role": "user", "content": "p"}], "response": "an apple", "label": [{"text": "apple"}]},
    "/judger.v1.Judger/Judge": JUDGE,
    "/judger.v1.Judger/Compare": COMPARE,
    "/judger.v1.Judger/GetJudge": {},
}
FREE = {"state", "label", "labels", "prompt"}
"""Where others' keys may stand: any JSON, rubrics of every format, chat messages."""
ODD: tuple[Any, ...] = (None, True, -1, 1e308, 10**400, "", " ", "\0", "NaN", [], {}, [[]], [None], "x" * 70_000)
HALVES: tuple[Any, ...] = ("\ud800", ["\udfff"], {"\ud800": 1}, {"a": "\ud800"})
BODIES = (
    b"",
    b"null",
    b"{",
    b"{}x",
    b"\xff{}",
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"[" * 400 + b"]" * 400,
    b'{"query":NaN}',
    b'{"query":1e999}',
    b'{"query":' + b"9" * 5000 + b"}",
    b'{"a":1,"a":2}',
    b"[" + b",".join([b'{"a":1,"a":2}'] * 2000) + b"]",
    json.dumps({f"k{i}": 1 for i in range(10_000)}).encode(),
)
KEYS = b", ".join(b'"k%d":1' % i for i in range(99_999))
JSON = {"content-type": "application/json"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """Of a server's own doors: a gateway's read the same way."""
    async with front("in process") as client:
        yield client


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a request."""
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from places(member, (*path, key))


def changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """The request with another value at a place, or with one more field."""
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = changed(copy.get(place[0]) if isinstance(copy, dict) else copy[place[0]], place[1:], new)
    return copy


async def answered(http: httpx.AsyncClient, path: str, body: bytes) -> int:
    """The status code of an answer that is what answers are."""
    answer = await http.post(path, content=body, headers=JSON)
    assert answer.status_code in (200, 400, 413, 422, 501), (path, body[:200], answer.text[:300])
    assert len(answer.content) < 10_000 + 20 * len(body) * (answer.status_code == 200)
    told = answer.json()
    if answer.status_code != 200:
        assert {"code", "message"} <= told.keys()
        assert len(told["message"]) < 600
    return answer.status_code


@pytest.mark.parametrize("path", GOOD)
async def test_whatever_stands_in_a_field_the_answer_is_typed(http: httpx.AsyncClient, path: str) -> None:
    good = GOOD[path]
    assert await answered(http, path, json.dumps(good).encode()) == 200
    for body in BODIES:
        assert await answered(http, path, body) == 400
    for place in places(good):
        for value in ODD:
            await answered(http, path, json.dumps(changed(good, place, value)).encode())
        for value in HALVES:
            assert await answered(http, path, json.dumps(changed(good, place, value)).encode()) == 400


@pytest.mark.parametrize("path", GOOD)
async def test_an_unknown_field_is_refused_wherever_it_stands(http: httpx.AsyncClient, path: str) -> None:
    for place in places(GOOD[path]):
        inside = GOOD[path]
        for key in place:
            inside = inside[key]
        if isinstance(inside, dict) and not FREE & set(place):
            answer = await http.post(path, json=changed(GOOD[path], (*place, "unheard"), 1))
            assert (answer.status_code, "unheard" in answer.json()["message"]) == (400, True), place


async def test_an_empty_prompt_leaves_the_whole_text_as_the_response(http: httpx.AsyncClient) -> None:
    answer = await http.post("/get_reward", json={"query": ["an apple"], "prompts": [""], "labels": [["apple"]]})
    assert answer.json()["rewards"] == [1.0]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/judge", b'{"criteria": [' + b'{"text":"a"},' * 150_000 + b"{}]}"),
        ("/v1/judge-group", b'{"reports": [' + b'"a",' * 500_000 + b'"a"]}'),
        ("/v1/decisions", b'{"input": [' + b"{}," * 600_000 + b'{}], "questions": []}'),
        ("/v1/decisions", b'{"input": "a", "questions": [' + b'{"a":1},' * 200_000 + b"{}]}"),
        ("/v1/systemone", b'{"state": "a", "questions": {' + b'"": {}, ' * 2 + b'"a": {}}}'),
        (
            "/v1/systemone",
            b'{"state": "a", "questions": {"a": {' + b", ".join(b'"k%d":1' % i for i in range(99_999)) + b"}}}",
        ),
        ("/get_reward", b'{"query": [' + b"1," * 900_000 + b"1]}"),
    ],
)
async def test_a_body_of_a_million_members_is_refused_while_health_is_answered(
    http: httpx.AsyncClient, path: str, body: bytes
) -> None:
    began = time.process_time()
    asking = asyncio.create_task(answered(http, path, body))
    worst = 0.0
    async with httpx.AsyncClient(base_url=http.base_url, timeout=PATIENCE) as other:
        while not asking.done():
            before = time.process_time()  # of this process, whatever else the machine does
            assert (await other.get("/healthz")).status_code == 200
            worst = max(worst, time.process_time() - before)
    assert asking.result() in (400, 413)
    assert time.process_time() - began < 10
    assert worst < 2.0


async def test_a_body_of_more_tokens_than_may_be_held_is_413() -> None:
    with pytest.raises(TooLarge, match="tokens"):
        read_values(b"[" + b"1," * MOST_TOKENS + b"1]")


async def test_the_pages_doors_count_bodies_and_let_callers_leave(tmp_path: Path) -> None:
    run = tmp_path / "run.jsonl"
    run.write_text("")
    bodies = Bodies(per_caller=1000, most=1000)
    desk = Desk(Growing(run), PeopleFile(tmp_path / "people.jsonl"))
    doors = listen(build_app(Endless(), desk=desk, bodies=bodies), "127.0.0.1", 0)  # type: ignore[arg-type]
    host, port = doors.address.split(":")
    try:
        async with httpx.AsyncClient(base_url=f"http://{doors.address}", timeout=PATIENCE) as client:
            _, writer = await asyncio.open_connection(host, int(port))
            head = POST.replace("/v1/judge", "/run/people").replace("host: x", f"host: {doors.address}")
            writer.write((head + "content-length: 5000\n\n").replace("\n", "\r\n").encode() + b" " * 2000)
            await until(lambda: bodies.held == 2000)
            said = {"case": "one", "criterion": "c1", "label": "not_satisfied"}
            assert (await client.post("/run/people", json=said)).status_code == 429
            writer.close()
            await until(lambda: bodies.held == 0)
            for odd in ([], {"case": 1}, said | {"label": "x" * 700}, said | {"case": "\ud800"}):
                answer = await client.post("/run/people", content=json.dumps(odd), headers=JSON)
                assert (answer.status_code, len(answer.content) < 2000) == (400, True)
            assert (await client.post("/run/people", content=b" " * 2**18, headers=JSON)).status_code == 413
    finally:
        await doors.stop(1.0)


async def test_nobody_is_sent_to_a_name_of_their_own_choice(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/judge/", json=JUDGE, headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl")
async def test_a_tls_handshake_that_never_ends_is_ended(tmp_path: Path) -> None:
    certificates(tmp_path)
    files = TlsFiles(cert=tmp_path / "server.pem", key=tmp_path / "server.key")
    app = build_app(Endless())  # type: ignore[arg-type]
    doors = listen(app, "127.0.0.1", 0, tls=files, bounds=Bounds(head_seconds=0.3))
    try:
        host, port = doors.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"\x16\x03\x01")  # the beginning of a handshake's first record
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        writer.close()
    finally:
        await doors.stop(1.0)
