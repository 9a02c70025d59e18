"""What one caller may have in hand: bytes of requests, watches of the health. A large message holds up nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from judger.engines.base import Outcome, Plan
from judger.engines.scripted import ScriptedEngine
from judger.errors import Overloaded
from judger.judge import Judge
from judger.observe.metrics import Metrics
from judger.schedule.beside import LONG, beside
from judger.schedule.inhand import BytesInHand
from judger.server.handlers import handlers
from judger.server.process import Running
from judger.server.rpcs import JudgerService
from judger.types import LIMITS
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from tests.waiting import until

KILOBYTE = 2**10


class Gated(ScriptedEngine):
    """Judges nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        self.gate.wait(60)
        return super().run(plans)


class Watched(BytesInHand):
    """Lets a gate open once there is no more room, and remembers the most that was held."""

    def __init__(self, most: int, gate: threading.Event) -> None:
        super().__init__(most)
        self.gate = gate
        self.peak = 0

    def take(self, caller: str, size: int) -> None:
        super().take(caller, size)
        self.peak = max(self.peak, self.held(caller))
        if self.held(caller) >= self.most:
            self.gate.set()


@asynccontextmanager
async def gated(most: int) -> AsyncIterator[tuple[Any, Gated, Watched]]:
    """A server whose callers may have `most` bytes in hand, and whose engine waits until one of them has."""
    judge = Judge(engine := Gated())
    service = JudgerService(judge, Metrics(judge), stream_in_flight=1000)
    service.in_hand = in_hand = Watched(most, engine.gate)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers(service),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = judger_pb2_grpc.JudgerStub(channel)
            stub.address = f"127.0.0.1:{port}"
            yield stub, engine, in_hand
    finally:
        engine.gate.set()
        await judge.close()
        await server.stop(0)


def request(size: int, name: str = "") -> pb.JudgeRequest:
    criteria = [pb.Criterion(text="[[fully]]")]
    return pb.JudgeRequest(request_id=name, report=f"{name} ".ljust(size, "x"), criteria=criteria)


async def test_a_stream_is_read_no_further_than_its_caller_may_have_in_hand() -> None:
    size = 100 * KILOBYTE
    async with gated(5 * size) as (stub, _, in_hand):
        answers = [one async for one in stub.JudgeStream(iter([request(size, str(i)) for i in range(60)]))]
        assert sorted(int(one.request_id) for one in answers) == list(range(60))
        assert not any(one.HasField("error") for one in answers)
        assert 5 * size <= in_hand.peak <= 6 * size
        assert not in_hand._held
        assert not in_hand._waiting


async def test_streams_share_what_their_caller_may_have_and_what_is_refused_says_when_to_come_back() -> None:
    size = 100 * KILOBYTE
    async with gated(3 * size) as (stub, _, in_hand):

        async def judged(name: str) -> int:
            """Sends again what is refused."""
            left, count = [request(size, f"{name}{i}") for i in range(10)], 0
            while left:
                asked, left = left, []
                async for one in stub.JudgeStream(iter(asked)):
                    count += 1
                    if one.HasField("error"):
                        assert one.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
                        assert one.error.details[0].Is(error_details_pb2.RetryInfo.DESCRIPTOR)
                        left.append(asked[one.index])
            return count

        counts = await asyncio.gather(*(judged(name) for name in "abcdefgh"))
        assert min(counts) >= 10
        assert in_hand.peak <= 4 * size
        assert not in_hand._held


async def test_other_calls_beyond_it_are_refused_at_once_with_when_to_come_back() -> None:
    size = 100 * KILOBYTE
    group = pb.JudgeGroupRequest(reports=[f"{i} ".ljust(size) + "." for i in range(3)], criteria=request(1).criteria)
    async with gated(2**40) as (stub, engine, in_hand):
        in_hand.most = 2 * size
        in_hand.gate = threading.Event()  # not by itself, here
        held = [asyncio.ensure_future(stub.Judge(request(size, str(i)))) for i in range(3)]
        await until(lambda: in_hand.held("ipv4:127.0.0.1") >= 2 * size)
        compare = pb.CompareRequest(report_a="a", report_b="b", criteria=group.criteria)
        for call in (stub.Judge(request(1)), anext(aiter(stub.JudgeGroup(group))), stub.Compare(compare)):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            (status,) = [value for key, value in caught.value.trailing_metadata() if key == "grpc-status-details-bin"]
            info = error_details_pb2.RetryInfo()
            assert status_pb2.Status.FromString(status).details[0].Unpack(info)
            assert info.retry_delay.ToNanoseconds() > 0
        engine.gate.set()
        codes = [error.code() for error in await asyncio.gather(*held, return_exceptions=True) if is_error(error)]
        assert codes in ([], [grpc.StatusCode.RESOURCE_EXHAUSTED])  # the third may have come too late
        assert not in_hand._held
        assert len([one async for one in stub.JudgeGroup(group)]) == 3  # more than the limit, with nothing in hand
        assert not in_hand._held


def is_error(answer: object) -> bool:
    return isinstance(answer, grpc.aio.AioRpcError)


async def test_a_caller_is_bounded_by_its_own_and_a_waiter_that_leaves_takes_no_turn() -> None:
    in_hand = BytesInHand(10)
    in_hand.take("a", 12)
    with pytest.raises(Overloaded, match="in hand"):
        in_hand.take("a", 1)
    in_hand.take("b", 100)
    left, patient = (asyncio.ensure_future(in_hand.wait("a")) for _ in range(2))
    await asyncio.sleep(0)
    left.cancel()
    in_hand.leave("a", 12)
    await patient
    in_hand.take("a", 1)
    await in_hand.wait("a")


async def test_a_large_message_is_read_beside_the_loop_and_a_small_one_on_it() -> None:
    assert await beside(LONG, threading.get_ident) != threading.get_ident()
    assert await beside(LONG - 1, threading.get_ident) == threading.get_ident()


async def test_a_host_has_so_many_watches_and_gets_them_back(scripted_server: Running) -> None:
    asked = health_pb2.HealthCheckRequest()
    async with grpc.aio.insecure_channel(scripted_server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(asked) for _ in range(LIMITS.watches)]
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        for _ in range(3):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await anext(aiter(stub.Watch(asked)))
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await stub.Check(asked)).status == health_pb2.HealthCheckResponse.SERVING
        watches[0].cancel()
        async with asyncio.timeout(30):
            while True:
                again = stub.Watch(asked)
                try:
                    assert (await again.read()).status == health_pb2.HealthCheckResponse.SERVING
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0)
        info = await judger_pb2_grpc.JudgerStub(channel).GetJudge(pb.GetJudgeRequest())
        assert (info.limits.in_flight_bytes, info.limits.watches) == (LIMITS.in_flight_bytes, LIMITS.watches)
