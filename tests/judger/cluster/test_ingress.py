"""What a proxy does around its replicas, without Ray: a stand-in routes to one service, as Serve would.

`tests/cluster` has the same with Ray itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import judger.client
from judger.cluster import hop
from judger.cluster.calls import Call
from judger.cluster.ingress import ROUTED, Ingress
from judger.engines.scripted import ScriptedEngine
from judger.errors import EngineError, JudgeMismatch, JudgerError, Overloaded, Unavailable
from judger.judge import Judge
from judger.observe.metrics import Metrics
from judger.schedule.inhand import BytesInHand
from judger.server.rpcs import JudgerService
from judger.types import LIMITS, Judgement
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc

UP = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


class Copied:
    """A context as Serve copies it for a replica."""

    def __init__(self, context: Any) -> None:
        self.metadata = list(context.invocation_metadata())
        self.address = context.peer()
        self.set: dict[str, Any] = {}

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return self.metadata

    def peer(self) -> str:
        return str(self.address)

    def code(self) -> Any:
        return self.set.get("code")

    def set_code(self, code: Any) -> None:
        self.set["code"] = code

    def set_details(self, details: str) -> None:
        self.set["details"] = details

    def set_trailing_metadata(self, metadata: list[Any]) -> None:
        self.set["trailing_metadata"] = [("request_id", "1"), *metadata]  # a list is all that it can be added to

    def tell(self, context: Any) -> None:
        for name, value in self.set.items():
            getattr(context, f"set_{name}")(value)


class Serve:
    """Routes to one service, or says what Serve says where there is none."""

    def __init__(self, service: JudgerService) -> None:
        self.service = service
        self.sessions: list[str | None] = []
        self.times: list[str | None] = []
        self.refusal: Any = None
        self.in_hand = BytesInHand()

    def put(self, ingress: Ingress) -> None:
        self.in_hand = ingress._in_hand
        for path in ROUTED:
            method = path.rpartition("/")[2]
            ingress._method_handlers[path] = SimpleNamespace(
                unary_unary=self.unary(method), unary_stream=self.stream(method)
            )

    def copied(self, hop: Any) -> Copied | None:
        if self.refusal is not None:
            hop.set_code(self.refusal)
            hop.set_details("said by Serve")
            return None
        context = Copied(hop)
        metadata = dict(context.metadata)
        self.sessions.append(metadata.get("session_id"))
        self.times.append(metadata.get("judger-time-left"))
        return context

    def unary(self, method: str) -> Any:
        async def ask(raw: bytes, hop: Any) -> bytes:
            if (context := self.copied(hop)) is None:
                return b""
            answer = UP if method == "Check" else await getattr(self.service, method)(raw, Call(context))
            context.tell(hop)
            return bytes(answer.SerializeToString())

        return ask

    def stream(self, method: str) -> Any:
        async def ask(raw: bytes, hop: Any) -> AsyncIterator[bytes]:
            if (context := self.copied(hop)) is None:
                return
            call = Call(context)
            async for answer in getattr(self.service, method)(raw, call):
                context.tell(hop)
                yield answer.SerializeToString()
            if call.is_refused:
                context.tell(hop)
                yield pb.JudgeResponse().SerializeToString()

        return ask


@asynccontextmanager
async def proxy() -> AsyncIterator[tuple[str, Serve]]:
    judge = Judge(ScriptedEngine())
    serve = Serve(JudgerService(judge, Metrics(judge)))
    ingress = Ingress()
    serve.put(ingress)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((ingress,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}", serve
    finally:
        await server.stop(0)
        await judge.close()


async def test_calls_pass_through_and_those_on_one_report_are_of_one_session() -> None:
    async with proxy() as (address, serve), judger.client.connect(address, timeout=20) as judge:
        await judge.wait_ready(10)
        serve.sessions.clear()
        alone = await judge.judge("q", "an apple", ["apple"])
        (streamed,) = await judge.judge_many([("q", "an apple", ["pear"])])
        other = await judge.judge("q", "a pear", ["apple"])
        assert isinstance(streamed, Judgement)
        assert [one.reward.value for one in (alone, streamed, other)] == [1.0, 0.0, 0.0]
        first, second, third = serve.sessions
        assert first == second != third
        serve.sessions.clear()
        groups = [
            await judge.judge_group_all("q", [report, "b"], criteria)
            for report, criteria in (("an apple", ["apple"]), ("an apple", ["pear"]), ("a pear", ["pear"]))
        ]
        rewards = [[one.reward.value for one in group if isinstance(one, Judgement)] for group in groups]
        assert rewards == [[1, 0], [0, 0], [1, 0]]
        first, second, third = serve.sessions
        assert first == second != third  # by the reports: what is asked of them may differ
        assert all(text is not None and 0 < float(text) < 21 for text in serve.times[-2:])
        assert (await judge.compare("q", "apple", "pear", ["apple"])).preference == "a"


async def test_a_refusal_keeps_its_details_and_a_group_has_no_answer_beside_it() -> None:
    async with proxy() as (address, _), judger.client.connect(address, judge_id="another") as judge:
        for call in (judge.judge("q", "r", ["a"]), judge.judge_group_all("q", ["r"], ["a"])):
            with pytest.raises(JudgeMismatch, match="another"):
                await call
        (refused,) = await judge.judge_many([("q", "r", ["a"])])
        assert isinstance(refused, JudgeMismatch)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INTERNAL, Unavailable),
        (grpc.StatusCode.NOT_FOUND, Unavailable),
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded),
    ],
)
async def test_what_serve_itself_says_is_worth_another_try(
    code: Any, kind: type[JudgerError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hop, "RETRY_AFTER", 60.0)
    async with proxy() as (address, serve):
        serve.refusal = code
        async with judger.client.connect(address, timeout=20.0, max_attempts=1) as judge:
            for call in (judge.judge("q", "r", ["a"]), judge.judge_group_all("q", ["r"], ["a"])):
                with pytest.raises(kind) as raised:
                    await call
                assert not isinstance(raised.value, EngineError)
                assert getattr(raised.value, "retry_after", None) is None  # it would be after this deadline
        async with grpc.aio.insecure_channel(address) as channel:
            said = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            assert said.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_request_of_a_stream_without_room_is_refused_alone() -> None:
    """Its stream was read on before another one of the same caller took the room."""
    request = pb.JudgeRequest(query="q", report="r", criteria=[pb.Criterion(text="a")])
    async with proxy() as (address, serve), grpc.aio.insecure_channel(address) as channel:
        stream = judger_pb2_grpc.JudgerStub(channel).JudgeStream(timeout=20)
        codes = []
        for held in (0, LIMITS.in_flight_bytes, 0):
            if held:
                serve.in_hand.take("ipv4:127.0.0.1", held)
            await stream.write(request)
            answer = await stream.read()
            codes.append((answer.index, answer.error.code))
            if held:
                serve.in_hand.leave("ipv4:127.0.0.1", held)
        assert codes == [(0, 0), (1, grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]), (2, 0)]
