"""Engines that crash, die, hang, run out of memory or come back as another: typed verdicts, a restart, and no hang."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from judger.config import ServeConfig
from judger.engines.base import Capabilities, Engine, Outcome, Plan, Tier
from judger.engines.scripted import OutOfMemoryError, ScriptedEngine
from judger.errors import Unavailable
from judger.judge import Judge
from judger.schedule.isolation import is_out_of_memory, within
from judger.server import process
from judger.server.process import running
from judger.types import Case, Criterion, Judgement, Probabilities, Reason, Score, Unscored
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from judger.verdict import IDENTITY
from tests.judger.schedule.engines import Gated
from tests.waiting import until


def case(name: str, *texts: str, report: str = "words " * 100) -> Case:
    criteria = tuple(Criterion(id=f"c{i}", text=text) for i, text in enumerate(texts or ("words",)))
    return Case(id=name, query="", report=report + name, criteria=criteria)


def reasons(judgement: Judgement) -> list[Reason | None]:
    return [one.result.reason if isinstance(one.result, Unscored) else None for one in judgement.verdicts]


@asynccontextmanager
async def judging(
    engine: Engine, rebuild: Callable[[], Engine] | None = None, **settings: float
) -> AsyncIterator[Judge]:
    judge = Judge(engine, rebuild=rebuild, backoff=0.05, **settings)  # type: ignore[arg-type]
    try:
        yield judge
    finally:
        await judge.close()


async def until_up(judge: Judge) -> None:
    await until(lambda: judge.work.keeper.is_up)


async def keep_judging(judge: Judge) -> None:
    for i in range(10_000):
        await judge.judge(case(f"meanwhile {i}"))


async def test_a_case_that_fails_alone_costs_its_own_verdicts_and_no_restart() -> None:
    async with judging(ScriptedEngine(), ScriptedEngine) as judge:
        assert reasons(await judge.judge(case("bad", "[[crash]]"))) == [Reason.ENGINE_ERROR]
        assert reasons(await judge.judge(case("good"))) == [None]
        assert judge.work.keeper.num_restarts == 0


async def test_a_dead_engine_is_built_anew_and_whoever_waits_meanwhile_is_told_when_to_come_back() -> None:
    first, is_there = ScriptedEngine(), threading.Event()

    def rebuild() -> Engine:
        assert is_there.wait(60)  # it stays away until somebody has been told so
        return ScriptedEngine()

    async with judging(first, rebuild) as judge:
        changes: list[bool] = []
        judge.work.keeper.on_change = changes.append
        assert reasons(await judge.judge(case("bad", "[[die]]"))) == [Reason.ENGINE_ERROR]
        with pytest.raises(Unavailable, match="being restarted") as caught:
            await keep_judging(judge)
        assert caught.value.retry_after is not None
        assert caught.value.retry_after > 0
        is_there.set()
        await until_up(judge)
        assert reasons(await judge.judge(case("after"))) == [None]
        assert judge.engine is not first
        assert changes == [False, True]


async def test_an_engine_that_can_not_be_built_is_tried_again_with_growing_pauses() -> None:
    attempts = 0

    def rebuild() -> Engine:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise OSError("the device is gone")
        return ScriptedEngine()

    async with judging(ScriptedEngine(), rebuild) as judge:
        await judge.judge(case("bad", "[[die]]"))
        await until(lambda: attempts >= 3 and judge.work.keeper.is_up)
        assert reasons(await judge.judge(case("after"))) == [None]
    assert attempts == 3


async def test_an_engine_that_comes_back_as_another_judge_is_not_taken() -> None:
    built: list[ScriptedEngine] = []

    def rebuild() -> Engine:
        engine = ScriptedEngine()
        if len(built) < 2:
            engine.identity = replace(engine.identity, weights="others")
        built.append(engine)
        return engine

    async with judging(ScriptedEngine(), rebuild) as judge:
        await judge.judge(case("bad", "[[die]]"))
        await until(lambda: len(built) >= 3 and judge.work.keeper.is_up)
        assert judge.engine is built[2]


async def test_memory_that_runs_out_halves_the_budget_and_every_case_is_judged_all_the_same() -> None:
    engine = Gated()
    engine.memory = 700
    async with judging(engine, max_batch_tokens=1000) as judge:
        asking = [asyncio.ensure_future(judge.judge(case(f"{i}"))) for i in range(30)]
        await until(lambda: engine.ran and judge.work.queued[0] + len(engine.ran[0]) == 30)
        engine.gate.set()
        results = await asyncio.gather(*asking)
        assert {reason for result in results for reason in reasons(result)} == {None}
        assert judge.work.max_batch_tokens <= 500  # type: ignore[union-attr]
        assert judge.work.keeper.num_restarts == 0


async def test_a_case_that_never_fits_is_an_engine_error_after_one_more_try() -> None:
    engine = ScriptedEngine(memory=700)
    async with judging(engine) as judge:
        assert reasons(await judge.judge(case("large", report="words " * 2000))) == [Reason.ENGINE_ERROR]
        assert engine.batches[:2] == [(1, 1), (1, 1)]
        assert reasons(await judge.judge(case("small"))) == [None]


def test_running_out_of_memory_is_known_by_its_name() -> None:
    assert is_out_of_memory(OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("out of luck"))
    plans = [Plan(case=case("x"), tier=Tier(), tokens=tokens) for tokens in (5, 3, 2, 9, 1)]
    assert [[plan.tokens for plan in part] for part in within(plans, 8)] == [[5, 3], [2], [9], [1]]


class Stuck(ScriptedEngine):
    """Its first run never ends while the test lasts."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        if any(plan.case.id == "stuck" for plan in plans):
            self.gate.wait(60)
        return super().run(plans)


async def test_a_run_that_does_not_end_is_given_up_and_the_engine_built_anew() -> None:
    stuck = Stuck()
    async with judging(stuck, ScriptedEngine, engine_timeout=0.3) as judge:
        assert reasons(await judge.judge(case("stuck"))) == [Reason.ENGINE_ERROR]
        judge.work.engine_timeout = 60.0  # the new one's own, on a crowded machine
        await until(lambda: judge.engine is not stuck and judge.work.keeper.is_up)
        assert reasons(await judge.judge(case("after"))) == [None]
    stuck.gate.set()


class Remote:
    """An engine that batches by itself, on a line that may be cut."""

    identity = replace(ScriptedEngine().identity, engine="openai")
    calibration = IDENTITY
    capabilities = Capabilities()

    def __init__(self) -> None:
        self.is_cut = False

    async def judge(self, case: Case, tier: Tier) -> list[Outcome]:
        await asyncio.sleep(0)
        if self.is_cut:
            raise ConnectionError("gone")
        return [Outcome(result=Probabilities(0.0, 0.0, 1.0)) for _ in case.criteria]

    def close(self) -> None:
        pass


async def test_a_remote_engine_that_is_cut_off_is_down_until_it_answers_again() -> None:
    remote = Remote()
    judge = Judge(remote, backoff=0.05)
    assert reasons(await judge.judge(case("before"))) == [None]
    remote.is_cut = True
    assert reasons(await judge.judge(case("cut"))) == [Reason.ENGINE_ERROR]
    with pytest.raises(Unavailable):
        await keep_judging(judge)
    remote.is_cut = False
    await until_up(judge)
    assert isinstance((await judge.judge(case("after"))).verdicts[0].result, Score)
    await judge.close()


async def test_health_tells_the_truth_while_the_engine_is_down_and_clients_are_told_when_to_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = health_pb2.HealthCheckResponse
    config = ServeConfig(engine="scripted", port=0, grace=1, restart_backoff=0.05)
    is_there = threading.Event()
    is_there.set()

    def build(config: ServeConfig) -> Engine:
        assert is_there.wait(60)
        return ScriptedEngine()

    monkeypatch.setattr(process, "build_engine", build)
    async with running(config) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = judger_pb2_grpc.JudgerStub(channel)
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="judger.v1.Judger"))
        assert (await watch.read()).status == answer.SERVING
        is_there.clear()  # once it has died it stays away until a caller has been told so
        dying = await stub.Judge(pb.JudgeRequest(report="r", criteria=[pb.Criterion(text="[[die]]")]))
        assert dying.verdicts[0].unscored.reason == pb.Unscored.ENGINE_ERROR
        assert (await watch.read()).status == answer.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Judge(pb.JudgeRequest(report="r", criteria=[pb.Criterion(text="[[fully]]")]))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert retry_delay(caught.value) > 0
        is_there.set()
        assert (await watch.read()).status == answer.SERVING
        after = await stub.Judge(pb.JudgeRequest(report="r", criteria=[pb.Criterion(text="[[fully]]")]))
        assert after.reward.value == 1.0
        watch.cancel()


def retry_delay(error: grpc.aio.AioRpcError) -> float:
    (details,) = [value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
    info = error_details_pb2.RetryInfo()
    assert status_pb2.Status.FromString(details).details[0].Unpack(info)
    return info.retry_delay.ToNanoseconds() / 1e9
