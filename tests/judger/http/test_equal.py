"""A case through HTTP and through gRPC gives equal verdicts, whatever the case and whichever door."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judger.client import Client, connect
from judger.client.settings import Settings
from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.errors import JudgerError
from judger.http.app import build_app
from judger.http.calls import OnServer
from judger.http.process import listen
from judger.server.process import running
from judger.types import Case, Criterion, Explain, Lane, Mapping, Options, Role
from judger.v1 import judger_pb2 as pb
from judger.validate import role_and_weight
from judger.wire import code_name, to_json, write_compare, write_group, write_request

LINES = {"accept": "application/x-ndjson"}


class Ways:
    """The same judge by gRPC, by the server's own doors and by a gateway's; a refusal is its code as Connect has it."""

    def __init__(self, runner: asyncio.Runner, client: Client, http: httpx.AsyncClient, fronts: list[str]) -> None:
        self.runner, self.client, self.http, self.fronts = runner, client, http, fronts

    def by_grpc(self, ask: Callable[[Client], Awaitable[Any]]) -> Any:
        """What a call answers: a message, or a list of them."""

        async def asked() -> Any:
            try:
                found = await ask(self.client)
            except JudgerError as error:
                return code_name(error).lower()
            return [plain(one) for one in found] if isinstance(found, list) else plain(found)

        return self.runner.run(asked())

    def by_http(self, path: str, body: Any, *, lines: bool = False) -> list[Any]:
        """What each front answers: JSON (with `lines` a list of it), or the code of a refusal."""

        async def asked(front: str) -> Any:
            text = body if isinstance(body, str) else json.dumps(body)
            headers = {"content-type": "application/json"} | (LINES if lines else {})
            answer = await self.http.post(f"http://{front}{path}", content=text, headers=headers)
            if answer.status_code != 200:
                return answer.json()["code"]
            return [json.loads(line) for line in answer.text.splitlines()] if lines else answer.json()

        async def all_asked() -> list[Any]:
            return [await asked(front) for front in self.fronts]

        return self.runner.run(all_asked())


@pytest.fixture(scope="module")
def ways() -> Iterator[Ways]:
    """Of a scripted judge without a cache: each way is judged for itself."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def start() -> Ways:
            config = ServeConfig(engine="scripted", port=0, http_port=0, grace=1.0, cache_memory_mb=0)
            server = await stack.enter_async_context(running(config, ScriptedEngine()))
            client = await stack.enter_async_context(connect(server.address, max_attempts=1))
            judging = OnServer(Settings(address=server.address))
            doors = listen(build_app(judging), "127.0.0.1", 0)
            stack.push_async_callback(doors.stop, 1.0)
            stack.callback(judging.close)
            http = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
            return Ways(runner, client, http, [str(server.http_address), doors.address])

        yield runner.run(start())
        runner.run(stack.aclose())


def plain(response: Any) -> Any:
    """All of a message that does not hang on when it was asked, as JSON."""
    return timeless(json.loads(to_json(response)))


def timeless(values: Any) -> Any:
    """JSON without its usage, which has times."""
    if isinstance(values, dict):
        return {key: timeless(value) for key, value in values.items() if key != "usage"}
    return [timeless(value) for value in values] if isinstance(values, list) else values


TEXTS = st.one_of(
    st.text(min_size=1, max_size=40).filter(lambda text: "[[" not in text),
    st.sampled_from(
        [
            "[[fully]]",
            "[[partially]]",
            "[[not]]",
            "[[p=0.2,0.3,0.5]]",
            "[[unscored=too_long]]",
            "[[unscored=unparsable]]",
            "[[unscored=not_judgeable]]",
        ]
    ),
)


@st.composite
def rubrics(draw: st.DrawFn) -> tuple[Criterion, ...]:
    weights = draw(st.lists(st.floats(-1e6, 1e6).filter(lambda w: abs(w) > 1e-6), min_size=1, max_size=6))
    criteria = []
    for i, weight in enumerate(weights):
        role, weight = role_and_weight(None, weight)
        fatal = weight < 0 and draw(st.booleans())
        criteria.append(Criterion(id=f"c{i}", text=draw(TEXTS), weight=weight, role=role, fatal=fatal))
    return tuple(criteria)


# A blank report or criterion and an explanation are refused: the same way, too.
REPORTS = st.text(max_size=60)
QUERIES = st.text(max_size=20)
OPTIONS = st.builds(
    Options,
    mapping=st.sampled_from(Mapping),
    lane=st.sampled_from(Lane),
    allow_unscored=st.booleans(),
    explain=st.sampled_from([Explain.NEVER, Explain.NEVER, Explain.NEVER, Explain.ALWAYS]),
)
CASES = st.builds(Case, id=st.just("r"), query=QUERIES, report=REPORTS, criteria=rubrics())


@settings(max_examples=25, deadline=None)
@given(case=CASES, options=OPTIONS)
def test_a_report_is_the_same_by_every_way_and_in_lines(ways: Ways, case: Case, options: Options) -> None:
    request = write_request(case, options)
    grpc = ways.by_grpc(lambda client: client.judge_raw(request))
    for answer in ways.by_http("/v1/judge", to_json(request)):
        assert timeless(answer) == grpc
    for answer in ways.by_http("/v1/judge", to_json(request), lines=True):
        if isinstance(grpc, str):
            assert answer == grpc
            continue
        *parts, whole = answer
        assert timeless(whole) == grpc
        assert [verdict for part in parts for verdict in part["verdicts"]] == grpc["verdicts"]


@settings(max_examples=25, deadline=None)
@given(query=QUERIES, reports=st.lists(REPORTS, min_size=1, max_size=4), criteria=rubrics(), options=OPTIONS)
def test_a_group_is_the_same_by_every_way_and_in_lines(
    ways: Ways, query: str, reports: list[str], criteria: tuple[Criterion, ...], options: Options
) -> None:
    request = write_group(query, reports, criteria, options, request_id="g")

    async def ask(client: Client) -> list[pb.JudgeResponse]:
        return [response async for response in client.judge_group_raw(request)]

    grpc = in_order(ways.by_grpc(ask))
    said = []
    for answer in ways.by_http("/v1/judge-group", to_json(request)):
        assert (answer if isinstance(answer, str) else timeless(answer["responses"])) == grpc
        said.append([] if isinstance(answer, str) else answer.get("warnings", []))
    for answer in ways.by_http("/v1/judge-group", to_json(request), lines=True):
        told = answer.pop()["warnings"] if "warnings" in answer[-1] else []
        said.append(told)
        assert in_order(timeless(answer)) == grpc
    assert all(told == said[0] for told in said)
    if not isinstance(grpc, str):
        assert [response["index"] for response in grpc] == list(range(len(reports)))


def in_order(responses: Any) -> Any:
    """Of a group, each as it ended."""
    return responses if isinstance(responses, str) else sorted(responses, key=lambda response: response["index"])


@settings(max_examples=20, deadline=None)
@given(a=CASES, report=REPORTS, mapping=st.sampled_from(Mapping), lane=st.sampled_from(Lane))
def test_a_comparison_is_the_same_by_every_way(ways: Ways, a: Case, report: str, mapping: Mapping, lane: Lane) -> None:
    request = write_compare(a, replace(a, report=report), Options(mapping=mapping, lane=lane))
    grpc = ways.by_grpc(lambda client: client._rpcs.unary("Compare", request, None))
    for answer in ways.by_http("/v1/compare", to_json(request)):
        assert timeless(answer) == grpc


QUESTIONS = st.lists(st.tuples(TEXTS, st.booleans()), min_size=1, max_size=5)
"""Instructions, and whether they ask for a score of three levels."""
LEVELS = ("none", "some", "all")


@settings(max_examples=25, deadline=None)
@given(state=REPORTS, query=QUERIES, questions=QUESTIONS)
def test_decisions_are_the_verdicts_of_grpc(
    ways: Ways, state: str, query: str, questions: list[tuple[str, bool]]
) -> None:
    criteria = tuple(
        Criterion(id=f"q{i}", text=as_criterion(*question), weight=1.0, role=Role.EXPLICIT)
        for i, question in enumerate(questions)
    )
    request = write_request(Case(id="", query=query, report=state, criteria=criteria), Options())
    grpc = ways.by_grpc(lambda client: client.judge_raw(request))
    said = (
        grpc
        if isinstance(grpc, str)
        else [said_of(verdict, is_score) for verdict, (_, is_score) in pairs(grpc, questions)]
    )

    asked = [
        {"type": "score", "instructions": text, "levels": [{"label": level} for level in LEVELS]}
        if is_score
        else {"type": "predicate", "instructions": text}
        for text, is_score in questions
    ]
    body = {"input": [{"role": "system", "content": query}, {"role": "user", "content": state}], "questions": asked}
    for answer in ways.by_http("/v1/decisions", body):
        assert (answer if isinstance(answer, str) else [decided(one) for one in answer["answers"]]) == said

    asked = {
        f"q{i}": {"type": "score", "instructions": text, "criteria": LEVELS}
        if is_score
        else {"type": "noul", "instructions": text}
        for i, (text, is_score) in enumerate(questions)
    }
    for answer in ways.by_http("/v1/systemone", {"state": state, "instructions": query, "questions": asked}):
        assert (answer if isinstance(answer, str) else [decided(answer["answers"][name]) for name in asked]) == said


def as_criterion(text: str, is_score: bool) -> str:
    """What the page says that a question is as a criterion."""
    names = ("Not satisfied", "Partially satisfied", "Fully satisfied")
    lines = [f"{name}: {level}" for name, level in zip(names, LEVELS, strict=True)] if is_score else []
    return "\n".join([text, *lines]) if text.strip() else text


def pairs(response: Any, questions: list[tuple[str, bool]]) -> Iterator[Any]:
    return zip(response["verdicts"], questions, strict=True)


def said_of(verdict: Any, is_score: bool) -> Any:
    """What a decision says of a verdict: the reason of none, P(fully satisfied), or the three probabilities."""
    if "unscored" in verdict:
        return verdict["unscored"]["reason"].lower()
    score = verdict["score"]
    return [score["p_not"], score["p_partial"], score["p_full"]] if is_score else score["p_full"]


def decided(answer: Any) -> Any:
    """The same, read in either format."""
    if answer["type"] == "refusal" or "unscored" in answer:
        return (answer.get("unscored") or answer)["reason"]
    if answer["type"] != "score":
        return answer["probability"] if answer["type"] == "predicate" else answer["noul"]
    shares = answer["probabilities"]
    found = [shares[str(i)] for i in range(3)] if isinstance(shares, dict) else [one["probability"] for one in shares]
    assert answer["score"] == pytest.approx(found[1] + 2 * found[2])
    return found
