"""However a judge ends, everybody who waits is told, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from judger.config import ServeConfig
from judger.engines.base import VERDICT_TIER, Outcome, Plan, Tier
from judger.engines.scripted import ScriptedEngine
from judger.errors import EngineError, Unavailable
from judger.judge import Judge
from judger.schedule.admission import Admission, Ticket
from judger.schedule.batcher import Batcher
from judger.schedule.direct import Direct
from judger.schedule.lanes import LANE_WEIGHTS, Lanes
from judger.server.process import running
from judger.types import Case, Criterion, Lane
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from tests.judger.schedule.engines import Held


def case(name: str) -> Case:
    return Case(id=name, query="", report=f"words {name}", criteria=(Criterion(id="c", text="words"),))


class Pondering(ScriptedEngine):
    """Plans the case named `slow` only when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def plan(self, case: Case, tier: Tier) -> Plan:
        if case.id == "slow":
            assert self.gate.wait(60)
        return super().plan(case, tier)


@pytest.mark.parametrize("turns", range(8))
async def test_a_batcher_ends_at_whatever_moment_it_is_closed_while_it_waits_for_company(turns: int) -> None:
    engine = Pondering()
    batcher = Batcher(engine, max_wait=60)
    tasks = [asyncio.ensure_future(batcher.run(case(name), VERDICT_TIER)) for name in ("slow", "one", "two")]
    async with asyncio.timeout(30):
        while batcher.queued[0] < 2:  # noqa: ASYNC110 - the loop turns until the second has just arrived
            await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        began = time.monotonic()
        await batcher.close(patience=20)
        assert time.monotonic() - began < 20  # not because patience ran out
        results = await asyncio.gather(*tasks, return_exceptions=True)
    engine.gate.set()
    assert all(isinstance(result, Unavailable) for result in results)


async def test_an_engine_that_never_closes_is_left_behind() -> None:
    gate = threading.Event()

    class Clinging(ScriptedEngine):
        def close(self) -> None:
            gate.wait(60)

    class ClingingRemote(Held):
        def close(self) -> None:
            gate.wait(60)

    async with asyncio.timeout(30):
        await Batcher(Clinging()).close(patience=0.1)
        await Direct(ClingingRemote()).close(patience=0.1)
    gate.set()


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_lane_without_a_share_is_refused(weight: float) -> None:
    weights = {**LANE_WEIGHTS, Lane.BULK: weight}
    with pytest.raises(ValueError, match="bulk"):
        Admission(1000, weights=weights)
    with pytest.raises(ValueError, match="bulk"):
        Lanes(weights)
    with pytest.raises(ValueError, match="lane_weights"):
        ServeConfig(lane_weights=(6, 3, weight))


class Faulty(ScriptedEngine):
    """Its plans are no plans: the batcher fails over the second case, in the middle of making a batch."""

    def plan(self, case: Case, tier: Tier) -> Plan:
        plan = super().plan(case, tier)
        return plan if case.id != "bad" else Plan(case=case, tier=tier, tokens="many")  # type: ignore[arg-type]


class Aborting(ScriptedEngine):
    """Fails with what no engine should raise."""

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        if any(plan.case.id == "bad" for plan in plans):
            raise SystemExit(7)
        return super().run(plans)


@pytest.mark.parametrize("engine", [Faulty, Aborting])
async def test_whatever_kills_the_batcher_is_told_to_all_who_wait_and_to_the_process(
    engine: type[ScriptedEngine],
) -> None:
    batcher = Batcher(engine(delay=0.2), max_wait=0.2)
    deaths: list[BaseException] = []
    batcher.on_death = deaths.append
    names = ("good", "bad", "later")
    async with asyncio.timeout(30):
        results = await asyncio.gather(
            *[batcher.run(case(name), VERDICT_TIER) for name in names], return_exceptions=True
        )
        assert any(isinstance(result, (Unavailable, TypeError)) for result in results)
        while not deaths:  # the bad one may have come last, to a batcher that sleeps: the next one wakes it
            await asyncio.gather(batcher.run(case("next"), VERDICT_TIER), return_exceptions=True)
        with pytest.raises(Unavailable):
            await batcher.run(case("after"), VERDICT_TIER)
        await batcher.close()


async def test_a_server_whose_judge_dies_says_so_in_its_health_and_ends_with_an_error() -> None:
    answer = health_pb2.HealthCheckResponse
    config = ServeConfig(engine="scripted", port=0, grace=1)
    statuses: list[int] = []

    async def ask(address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="judger.v1.Judger"))
            statuses.append((await watch.read()).status)
            stub = judger_pb2_grpc.JudgerStub(channel)
            asked = pb.JudgeRequest(request_id="bad", report="r", criteria=[pb.Criterion(text="x")])
            down = asyncio.ensure_future(watch.read())  # from now on, or the end of the server might be faster
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Judge(asked)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            statuses.append((await down).status)
            watch.cancel()

    asking: list[asyncio.Task[None]] = []

    async def serve() -> None:
        async with asyncio.timeout(60), running(config, Aborting()) as server:
            asking.append(asyncio.create_task(ask(server.address)))
            await asyncio.Event().wait()

    with pytest.raises(EngineError, match=r"SystemExit\(7\)"):
        await serve()
    await asyncio.gather(*asking)
    assert statuses == [answer.SERVING, answer.NOT_SERVING]


async def test_whoever_ends_a_server_otherwise_is_not_told_of_a_death() -> None:
    config = ServeConfig(engine="scripted", port=0, grace=0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1), running(config, ScriptedEngine()):
            await asyncio.Event().wait()


async def test_work_that_nobody_can_revive_ends_a_judge_of_a_self_batching_engine() -> None:
    remote = Held()
    judge = Judge(remote, backoff=0.01)
    deaths: list[BaseException] = []
    judge.work.on_death = deaths.append

    def fault(up: bool) -> None:
        raise RuntimeError("a bug")

    judge.work.keeper.on_change = fault
    remote.is_cut = True
    async with asyncio.timeout(30):
        await judge.judge(case("one"), None, Ticket())
        while not deaths:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        with pytest.raises(Unavailable):
            await judge.judge(case("two"))
        await judge.close()
