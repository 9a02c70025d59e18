"""Random and mutated requests against a live server: a status or an answer, and the next request is served."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Any

import grpc
from hypothesis import given, settings
from hypothesis import strategies as st

from judger.errors import InvalidRequest
from judger.server.process import Running
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from judger.wire import read_compare, read_group, read_request
from tests.fuzz.targets import requests, seeds

GOOD = pb.JudgeRequest(
    request_id="r",
    query="Why?",
    report="A report of words.",
    criteria=[pb.Criterion(id="a", text="words", weight=2.0), pb.Criterion(text="[[p=0.1,0.2,0.7]]", weight=-1.0)],
)
# A small alphabet of trouble: the whole of Unicode would cost hypothesis seconds to set up.
texts = st.text(alphabet="ab9 \n\t\0é漢\u202e\u2028{}[]=.,", max_size=12)
numbers = st.floats(allow_nan=True, allow_infinity=True)
enums = st.integers(-1, 9)
criteria = st.builds(pb.Criterion, id=texts, text=texts, weight=st.none() | numbers, role=enums, fatal=st.booleans())
common: dict[str, Any] = {
    "request_id": texts,
    "query": texts,
    "criteria": st.lists(criteria, max_size=4),
    "mapping": enums,
    "explain": enums,
    "explain_margin": numbers,
    "trials": st.integers(0, 2**32 - 1),
    "allow_unscored": st.booleans(),
    "lane": enums,
    "language": texts,
}


@settings(max_examples=100, deadline=None)
@given(
    st.builds(pb.JudgeRequest, report=texts, **common),
    st.builds(pb.JudgeGroupRequest, reports=st.lists(texts, max_size=3), **common),
)
def test_any_request_is_read_or_refused_with_its_field(one: pb.JudgeRequest, group: pb.JudgeGroupRequest) -> None:
    faults = []
    compare = pb.CompareRequest(report_a=one.report, report_b=one.query, criteria=one.criteria, lane=one.lane)
    for read, message in ((read_request, one), (read_group, group), (read_compare, compare)):
        try:
            read(message)  # type: ignore[operator]
        except InvalidRequest as error:
            faults.append((error.field, error.reason))
    assert all(field and reason for field, reason in faults)


def mutated(body: bytes, chance: random.Random) -> bytes:
    """The message with some bytes changed, cut out, doubled or moved."""
    content = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
        match chance.randrange(4):
            case 0 if content:
                content[chance.randrange(len(content))] = chance.randrange(256)
            case 1:
                del content[start : min(end, start + 5)]
            case 2:
                content[start:start] = content[start:end]
            case _:
                content += chance.randbytes(3)
    return bytes(content)


def test_mutated_messages_are_read_judged_and_answered_or_refused() -> None:
    chance, begin = random.Random(0), list(seeds("requests"))
    for _ in range(1000):
        body = mutated(chance.choice(begin), chance)
        assert requests(body) is None, body


ALLOWED = {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "UNIMPLEMENTED"}
GROUP = pb.JudgeGroupRequest(reports=["one", "two"], criteria=GOOD.criteria)
COMPARE = pb.CompareRequest(report_a="words", report_b="other", criteria=GOOD.criteria)


async def code_of(call: Any) -> str:
    """How a call ended; a stream is read to its end."""
    try:
        if hasattr(call, "__aiter__"):
            async for response in call:
                consistent(response)
        else:
            consistent(await call)
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return "OK"


def consistent(response: Any) -> None:
    """A reward where every criterion was scored, and nowhere else."""
    if isinstance(response, pb.JudgeResponse) and not response.HasField("error"):
        assert response.reward.HasField("value") == all(one.HasField("score") for one in response.verdicts)


async def test_mutated_messages_over_the_wire_end_in_an_answer_or_a_status_and_the_server_lives_on(
    scripted_server: Running,
) -> None:
    chance = random.Random(0)
    async with grpc.aio.insecure_channel(scripted_server.address) as channel:
        kinds: list[tuple[Any, Any, Any]] = [
            (channel.unary_unary, "Judge", GOOD),
            (channel.unary_stream, "JudgeGroup", GROUP),
            (channel.stream_stream, "JudgeStream", GOOD),
            (channel.unary_unary, "Compare", COMPARE),
            (channel.unary_unary, "GetJudge", GOOD),
        ]
        answer = {"Compare": pb.CompareResponse, "GetJudge": pb.JudgeInfo}
        for open_, method, good in kinds:
            read = answer.get(method, pb.JudgeResponse).FromString
            call = open_(f"/judger.v1.Judger/{method}", response_deserializer=read)
            body = good.SerializeToString()
            bodies = [mutated(body, chance) for _ in range(100)] + [chance.randbytes(60) for _ in range(20)]
            asked = ([iter([one]) for one in bodies]) if method == "JudgeStream" else bodies
            codes = set(await asyncio.gather(*(code_of(call(one, timeout=120)) for one in asked)))
            assert codes <= {"OK", *ALLOWED}
        judge = channel.unary_unary("/judger.v1.Judger/Judge", response_deserializer=pb.JudgeResponse.FromString)
        assert (await judge(GOOD.SerializeToString())).reward.HasField("value")


async def test_random_messages_over_the_wire_are_answered_or_refused_with_their_field(scripted_server: Running) -> None:
    chance = random.Random(1)
    words = ("", " ", "words", "\n", "é漢", "[[crash]]", "[[p=nan,0,1]]", "[[p=2,0,0]]", "[[unscored=deadline]]")
    weights = (None, 0.0, 1.0, -2.0, math.nan, math.inf, 5e-324, 1e308)
    async with grpc.aio.insecure_channel(scripted_server.address) as channel:
        stub = judger_pb2_grpc.JudgerStub(channel)

        def one() -> pb.JudgeRequest:
            rubric = [
                pb.Criterion(
                    id=chance.choice(("", "a", "b")),
                    text=chance.choice(words),
                    weight=chance.choice(weights),
                    role=chance.choice((0, 1, 2, 3, 9)),
                    fatal=chance.random() < 0.2,
                )
                for _ in range(chance.choice((0, 1, 1, 2, 3)))
            ]
            return pb.JudgeRequest(
                report=chance.choice(words),
                criteria=rubric,
                trials=chance.choice((0, 1, 2**32 - 1)),
                lane=chance.choice((0, 1, 9)),
            )

        codes = await asyncio.gather(*(code_of(stub.Judge(one(), timeout=120)) for _ in range(300)))
        assert set(codes) <= {"OK", "INVALID_ARGUMENT", "UNIMPLEMENTED", "DEADLINE_EXCEEDED"}
        assert "OK" in codes
        assert (await stub.Judge(GOOD)).reward.HasField("value")
