"""The batcher's budget, its isolation of failures, and that nobody is left waiting."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from judger.engines.base import VERDICT_TIER, Outcome, Plan, Tier
from judger.engines.scripted import ScriptedEngine
from judger.errors import Unavailable
from judger.schedule.admission import LANE_WEIGHTS, Ticket
from judger.schedule.batcher import Batcher
from judger.schedule.queue import Queue, Waiting
from judger.types import Case, Criterion, Lane, Probabilities, Reason, Unscored


class GatedEngine(ScriptedEngine):
    """A scripted engine whose first run waits until the test opens the gate; it says when it is inside."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = threading.Event()
        self.gate = threading.Event()

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        self.inside.set()
        assert self.gate.wait(30)
        return super().run(plans)


def case(name: str, *texts: str, report: str = "words " * 40) -> Case:
    criteria = tuple(Criterion(id=f"c{i}", text=text) for i, text in enumerate(texts or ("words",)))
    return Case(id=name, query="", report=report + name, criteria=criteria)


@pytest.fixture
async def gated() -> AsyncIterator[tuple[Batcher, GatedEngine]]:
    engine = GatedEngine()
    batcher = Batcher(engine, max_batch_tokens=250)
    yield batcher, engine
    engine.gate.set()
    await batcher.close()


async def started(engine: GatedEngine) -> None:
    assert await asyncio.to_thread(engine.inside.wait, 30)


async def queued(batcher: Batcher, criteria: int) -> None:
    async with asyncio.timeout(30):
        while batcher.queued[0] < criteria:  # noqa: ASYNC110 - there is no event of it: the loop turns until it is so
            await asyncio.sleep(0)


async def test_cases_that_wait_together_run_together_within_the_token_budget(
    gated: tuple[Batcher, GatedEngine],
) -> None:
    batcher, engine = gated
    tasks = [asyncio.ensure_future(batcher.run(case("first"), VERDICT_TIER))]
    await started(engine)
    tasks += [asyncio.ensure_future(batcher.run(case(f"later{i}"), VERDICT_TIER)) for i in range(6)]
    await queued(batcher, 6)
    cost = engine.plan(case("later0"), VERDICT_TIER).tokens
    engine.gate.set()
    await asyncio.gather(*tasks)
    fit = 250 // cost
    assert fit >= 2
    assert [cases for cases, _ in engine.batches] == [1, *[fit] * (6 // fit), *[6 % fit] * (6 % fit > 0)]


async def test_a_case_over_the_budget_runs_alone_and_is_not_refused(gated: tuple[Batcher, GatedEngine]) -> None:
    batcher, engine = gated
    engine.gate.set()
    ran = await batcher.run(case("long", report="words " * 5000), VERDICT_TIER)
    assert isinstance(ran.outcomes[0].result, Probabilities)


async def test_a_caller_who_left_is_dropped_before_the_engine_sees_the_case(
    gated: tuple[Batcher, GatedEngine],
) -> None:
    batcher, engine = gated
    first = asyncio.ensure_future(batcher.run(case("first"), VERDICT_TIER))
    await started(engine)
    left = asyncio.ensure_future(batcher.run(case("left", "a", "b", "c"), VERDICT_TIER))
    await queued(batcher, 3)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    stays = asyncio.ensure_future(batcher.run(case("stays"), VERDICT_TIER))
    await queued(batcher, 4)
    engine.gate.set()
    await asyncio.gather(first, stays)
    assert engine.batches == [(1, 1), (1, 1)]


async def test_a_case_that_crashes_the_engine_takes_nobody_with_it(gated: tuple[Batcher, GatedEngine]) -> None:
    batcher, engine = gated
    first = asyncio.ensure_future(batcher.run(case("first"), VERDICT_TIER))
    await started(engine)
    tasks = [
        asyncio.ensure_future(batcher.run(case(name, text), VERDICT_TIER))
        for name, text in (("good", "[[fully]]"), ("bad", "[[crash]]"), ("fine", "[[not]]"))
    ]
    await queued(batcher, 3)
    engine.gate.set()
    good, bad, fine = await asyncio.gather(*tasks)
    await first
    assert isinstance(good.outcomes[0].result, Probabilities)
    assert isinstance(fine.outcomes[0].result, Probabilities)
    assert isinstance(bad.outcomes[0].result, Unscored)
    assert bad.outcomes[0].result.reason is Reason.ENGINE_ERROR
    assert "ScriptedCrash" in bad.outcomes[0].result.detail


async def test_an_engine_that_forgets_a_criterion_is_an_engine_error() -> None:
    class Forgetful(ScriptedEngine):
        def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
            return [outcomes[:-1] for outcomes in super().run(plans)]

    batcher = Batcher(Forgetful())
    ran = await batcher.run(case("one", "a", "b"), VERDICT_TIER)
    await batcher.close()
    assert [isinstance(outcome.result, Unscored) for outcome in ran.outcomes] == [True, True]


async def test_a_plan_that_fails_is_an_engine_error() -> None:
    class Clumsy(ScriptedEngine):
        def plan(self, case: Case, tier: Tier) -> Plan:
            raise KeyError("vocabulary")

    batcher = Batcher(Clumsy())
    ran = await batcher.run(case("one"), VERDICT_TIER)
    await batcher.close()
    assert isinstance(ran.outcomes[0].result, Unscored)


async def test_when_the_batcher_dies_every_waiting_caller_is_told_at_once(
    gated: tuple[Batcher, GatedEngine],
) -> None:
    batcher, engine = gated
    tasks = [asyncio.ensure_future(batcher.run(case("first"), VERDICT_TIER))]
    await started(engine)
    tasks += [asyncio.ensure_future(batcher.run(case(f"later{i}"), VERDICT_TIER)) for i in range(3)]
    await queued(batcher, 3)
    engine.gate.set()
    await batcher.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)


async def test_whose_case_is_being_planned_or_waits_for_that_is_told_at_once_when_the_batcher_is_closed() -> None:
    class Pondering(ScriptedEngine):
        inside, gate = threading.Event(), threading.Event()

        def plan(self, case: Case, tier: Tier) -> Plan:
            self.inside.set()
            assert self.gate.wait(30)
            return super().plan(case, tier)

    engine = Pondering()
    batcher = Batcher(engine)
    tasks = [asyncio.ensure_future(batcher.run(case(f"case{i}"), VERDICT_TIER)) for i in range(5)]
    assert await asyncio.to_thread(engine.inside.wait, 30)
    await batcher.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    engine.gate.set()
    assert all(isinstance(result, Unavailable) and result.retry_after for result in results)


async def test_a_closed_batcher_refuses() -> None:
    batcher = Batcher(ScriptedEngine())
    await batcher.close()
    with pytest.raises(Unavailable):
        await batcher.run(case("late"), VERDICT_TIER)


async def test_the_figures_of_a_queue_may_be_read_while_it_changes() -> None:
    queue, ended, found = Queue(LANE_WEIGHTS), threading.Event(), list[Exception]()
    plan = ScriptedEngine().plan(case("a", "words", "more"), VERDICT_TIER)
    loop = asyncio.get_running_loop()

    def read() -> None:
        while not ended.is_set():
            try:
                assert (queue.num_criteria, queue.num_tokens, queue.oldest) >= (0, 0, 0.0)
            except (RuntimeError, IndexError) as error:
                found.append(error)
                return

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(3000):
            for lane in Lane:
                queue.push(Waiting(plan, Ticket(lane), 1, loop.create_future(), time.monotonic(), 0.0, 0.0))
            while len(queue) > 600 or (queue and turn > 2000):
                queue.take(1, None)
    finally:
        ended.set()
        reader.join()
        sys.setswitchinterval(before)
    assert found == []
    assert queue.num_criteria == queue.num_tokens == 0
