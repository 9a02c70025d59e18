"""The vLLM engine for real: vLLM's CPU build and a small random-weight model, against the torch engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from judger.config import ServeConfig
from judger.engines.base import PAIR_TIER, VERDICT_TIER, Outcome, Tier
from judger.errors import EngineError
from judger.pairwise import duels
from judger.server.process import SERVICE, running
from judger.types import Case, Explain, Judgement, Probabilities, Reason, Unscored
from tests.judger.engines.generative import tiny

Run = Callable[[Awaitable[Any]], Any]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """One event loop for the whole module: a vLLM engine lives on the loop that first used it."""
    with asyncio.Runner() as runner:

        async def wrapped(call: Awaitable[Any]) -> Any:
            return await call

        yield lambda call: runner.run(wrapped(call))


@pytest.fixture(scope="module")
def engine(make_engine: Callable[..., Any]) -> Any:
    return make_engine(reason_tokens=1200)


async def until(holds: Callable[[int], bool], engine: Any) -> None:
    """Returns once it holds of the number of requests in vLLM, however fast or slow this machine is."""
    async with asyncio.timeout(60):
        while not holds(engine._engine.get_num_unfinished_requests()):  # noqa: ASYNC110  (vLLM has no event)
            await asyncio.sleep(0.001)


def test_its_verdicts_are_those_of_the_torch_engine(engine: Any, checkpoint: str, run: Run) -> None:
    from judger.engines.torch import TorchEngine

    torch_engine = TorchEngine.load(checkpoint, device="cpu", dtype="float32")
    for seed in range(4):
        case = tiny.case(6, seed=seed, report_words=80 * (seed + 1))
        (expected,) = torch_engine.run([torch_engine.plan(case, VERDICT_TIER)])
        for got, want in zip(run(engine.judge(case, VERDICT_TIER)), expected, strict=True):
            assert isinstance(got.result, Probabilities)
            assert isinstance(want.result, Probabilities)
            assert abs(got.result.p_not - want.result.p_not) < 0.01
            assert abs(got.result.p_full - want.result.p_full) < 0.01
            assert got.prompt_tokens == want.prompt_tokens
    assert engine.identity.prompt == torch_engine.identity.prompt
    assert engine.identity.tokenizer == torch_engine.identity.tokenizer
    assert engine.identity.precision == "float32"


def test_the_first_criterion_warms_the_cache_for_the_others(engine: Any, run: Run) -> None:
    outcomes: list[Outcome] = run(engine.judge(tiny.case(5, seed=11, report_words=700), VERDICT_TIER))
    assert all(outcome.shared_tokens > 500 for outcome in outcomes[1:])


def test_a_prompt_over_the_limit_is_refused_with_both_counts(engine: Any, run: Run) -> None:
    (outcome,) = run(engine.judge(tiny.case(1, report_words=4000), VERDICT_TIER))
    assert isinstance(outcome.result, Unscored)
    assert outcome.result.reason is Reason.TOO_LONG
    assert "the limit is 2000" in outcome.result.detail
    assert str(outcome.prompt_tokens) in outcome.result.detail


def test_an_explained_verdict_carries_a_reason_or_is_unparsable(engine: Any, run: Run) -> None:
    case = tiny.case(4, seed=3, report_words=60)
    outcomes = run(engine.judge(case, Tier(explain=Explain.ALWAYS)))
    assert any(isinstance(outcome.result, Probabilities) for outcome in outcomes)
    for outcome in outcomes:
        if isinstance(outcome.result, Unscored):
            assert outcome.result.reason in (Reason.UNPARSABLE, Reason.TOO_LONG)
        else:
            assert outcome.rationale
            total = outcome.result.p_not + outcome.result.p_partial + outcome.result.p_full
            assert total == pytest.approx(1.0)


def test_leaving_early_frees_the_request(engine: Any, run: Run) -> None:
    async def leave() -> None:
        call = asyncio.ensure_future(engine.judge(tiny.case(30, seed=21, report_words=900), VERDICT_TIER))
        await until(lambda waiting: waiting > 0, engine)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda waiting: waiting == 0, engine)

    run(leave())
    case: Case = replace(tiny.case(1, seed=22), id="after")
    assert isinstance(run(engine.judge(case, VERDICT_TIER))[0].result, Probabilities)


def test_two_reports_are_compared_as_the_torch_engine_compares_them(engine: Any, checkpoint: str, run: Run) -> None:
    from judger.engines.torch import TorchEngine

    torch_engine = TorchEngine.load(checkpoint, device="cpu", dtype="float32")
    case = replace(tiny.case(1, report_words=200), criteria=())
    for duel in duels(case, replace(case, report=tiny.words(150, 4))):
        (got,) = run(engine.judge(duel, PAIR_TIER))
        ((want,),) = torch_engine.run([torch_engine.plan(duel, PAIR_TIER)])
        assert isinstance(got.result, Probabilities)
        assert abs(got.result.p_full - want.result.p_full) < 0.01
        assert abs(got.result.p_not - want.result.p_not) < 0.01


def test_a_dead_engine_fails_everyone_who_waits_at_once_and_the_server_says_not_serving(engine: Any, run: Run) -> None:
    async def die() -> tuple[list[Any], Judgement, float, list[int]]:
        async with (
            running(ServeConfig(port=0, grace=1.0), engine) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
            states = [(await watch.read()).status]
            cases = [tiny.case(20, seed=30 + i, report_words=900) for i in range(4)]
            served = asyncio.ensure_future(server.judge.judge(cases[0]))
            calls = [asyncio.ensure_future(engine.judge(case, VERDICT_TIER)) for case in cases[1:]]
            await until(lambda waiting: waiting >= len(cases), engine)
            for process in engine._engine.engine_core.resources.engine_manager.processes:
                process.kill()
            since = time.monotonic()
            results = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 60)
            judgement = await asyncio.wait_for(served, 60)
            seconds = time.monotonic() - since
            states.append((await asyncio.wait_for(watch.read(), 60)).status)
            return results, judgement, seconds, states

    assert engine.is_healthy
    results, judgement, seconds, states = run(die())
    assert all(isinstance(result, EngineError) for result in results), results
    assert {verdict.result.reason for verdict in judgement.verdicts} == {Reason.ENGINE_ERROR}
    assert judgement.reward.value is None
    assert seconds < 30  # at once, on a machine that may have ten times more work than cores
    assert states == [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]
    assert not engine.is_healthy
    with pytest.raises(EngineError):
        run(engine.judge(tiny.case(1), VERDICT_TIER))
