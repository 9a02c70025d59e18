"""Lanes at every place where work waits: its planning, its batch, an engine that batches by itself, and joined work."""

from __future__ import annotations

import asyncio
import math
import threading
import time

import pytest

from judger.cache.verdicts import VerdictCache
from judger.engines.base import VERDICT_TIER, Plan, Tier
from judger.engines.scripted import ScriptedEngine
from judger.errors import Unavailable
from judger.judge import Judge
from judger.schedule.admission import LANE_WEIGHTS, Admission, Ticket
from judger.schedule.batcher import Batcher
from judger.schedule.lanes import Lanes, Line, Place
from judger.schedule.pending import Pending
from judger.schedule.turns import Turns
from judger.types import Case, Criterion, Lane, Options, Reason, Score, Unscored
from tests.judger.schedule.engines import Gated, Held
from tests.waiting import until

BULK, TRAINING = Options(lane=Lane.BULK), Options(lane=Lane.TRAINING)


def case(name: str, *texts: str, report: str = "words " * 40) -> Case:
    criteria = tuple(Criterion(id=f"c{i}", text=text) for i, text in enumerate(texts or ("words",)))
    return Case(id=name, query="", report=report + name, criteria=criteria)


def test_a_place_is_left_once_from_anywhere_in_a_line_and_those_that_were_left_are_cleared_away() -> None:
    line: Line[int] = Line()
    places = [Place(number, 10, Lane.BULK) for number in range(1000)]
    for place in places:
        line.push(place)
    assert all(line.leave(place) for place in places[1:])
    assert not line.leave(places[500])
    assert (len(line), line.tokens, line.head) == (1, 10, places[0])
    assert len(line._slots) < 100
    assert line.leave(places[0])
    assert (len(line), line.tokens, line.head) == (0, 0, None)


def test_what_moves_to_another_lane_goes_to_its_end_and_comes_out_once() -> None:
    lanes: Lanes[str] = Lanes(LANE_WEIGHTS)
    places = [lanes.push(Lane.BULK, f"b{i}", 100) for i in range(20)]
    lanes.push(Lane.TRAINING, "t", 100)
    lanes.move(places[15], Lane.TRAINING)
    order = [lanes.pop() for _ in range(21)]
    assert order.index("b15") <= 4
    assert len(set(order)) == 21
    lanes.move(places[3], Lane.TRAINING)  # out already
    assert lanes.pop() is None
    assert lanes.tokens == dict.fromkeys(Lane, 0)


async def test_turns_go_by_lane_and_who_leaves_gives_theirs_to_the_next() -> None:
    turns, order = Turns(2, LANE_WEIGHTS, Pending()), list[str]()

    async def take(name: str, lane: Lane, size: int = 1) -> None:
        await turns.enter(Ticket(lane), size)
        order.append(name)
        await asyncio.sleep(0)
        turns.leave(size)

    await turns.enter(Ticket(), 2)
    tasks = {f"b{i}": asyncio.create_task(take(f"b{i}", Lane.BULK)) for i in range(8)}
    tasks |= {"large": asyncio.create_task(take("large", Lane.TRAINING, 5))}
    tasks |= {f"t{i}": asyncio.create_task(take(f"t{i}", Lane.TRAINING)) for i in range(3)}
    await asyncio.sleep(0)
    tasks["t1"].cancel()
    await asyncio.sleep(0)
    turns.leave(2)
    tasks["b1"].cancel()  # perhaps at the very moment of its turn
    async with asyncio.timeout(30):
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    assert {"b1", "t1"}.isdisjoint(order)
    assert sorted(order) == sorted(set(tasks) - {"b1", "t1"})
    assert order.index("t2") < order.index("b5")
    assert turns.under_way == 0


async def test_who_waits_for_a_turn_is_told_when_all_ends() -> None:
    pending = Pending()
    turns = Turns(1, LANE_WEIGHTS, pending)
    await turns.enter(Ticket())
    waiting = asyncio.create_task(turns.enter(Ticket()))
    await asyncio.sleep(0)
    pending.close()
    with pytest.raises(Unavailable):
        await waiting
    turns.leave()
    with pytest.raises(Unavailable):
        await turns.enter(Ticket())
    assert turns.under_way == 0


class Planning(ScriptedEngine):
    """Plans one case for each leave that the test gives, and notes whose: when it begins, and when it has leave."""

    def __init__(self) -> None:
        super().__init__()
        self.leave = threading.Semaphore(0)
        self.begun: list[str] = []
        self.planned: list[str] = []

    def plan(self, case: Case, tier: Tier) -> Plan:
        self.begun.append(case.id)
        assert self.leave.acquire(timeout=60)
        self.planned.append(case.id)
        return super().plan(case, tier)


async def test_a_training_case_is_planned_before_the_bulk_that_waits_for_it_and_so_is_what_training_joins() -> None:
    engine = Planning()
    batcher = Batcher(engine)
    tickets = [Ticket(Lane.BULK) for _ in range(50)]
    tasks = [asyncio.create_task(batcher.run(case(f"b{i}"), VERDICT_TIER, ticket)) for i, ticket in enumerate(tickets)]
    await until(lambda: len(engine.begun) == 2)  # both threads have a case, and neither ends before it has leave
    tasks.append(asyncio.create_task(batcher.run(case("urgent"), VERDICT_TIER, Ticket(Lane.TRAINING))))
    await asyncio.sleep(0)
    tickets[-1].move(Lane.TRAINING)
    for number in (3, 4):
        engine.leave.release()
        await until(lambda number=number: len(engine.begun) == number)  # type: ignore[misc]
    assert engine.begun[2:] == ["urgent", "b49"]
    engine.leave.release(len(tasks) - 2)
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks)
    await batcher.close()


async def test_a_planning_thread_whose_caller_has_left_is_not_given_to_another_before_it_is_free() -> None:
    engine = Planning()
    batcher = Batcher(engine)
    leaving = [asyncio.create_task(batcher.run(case(f"l{i}"), VERDICT_TIER)) for i in range(10)]
    await until(lambda: len(engine.begun) == 2)
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    stays = asyncio.create_task(batcher.run(case("stays"), VERDICT_TIER))
    for _ in range(3):
        engine.leave.release()
    async with asyncio.timeout(60):
        await stays
    await until(lambda: len(engine.planned) == 3)  # the other thread may write its line after `stays` is answered
    assert set(engine.begun) == {*engine.begun[:2], "stays"}  # two that were begun, and the one that is waited for
    await batcher.close()


@pytest.mark.parametrize("stage", ["planning", "queue", "engine"])
async def test_work_that_training_joins_is_in_its_lane_from_then_on(stage: str) -> None:
    engine = Gated()
    judge = Judge(engine, max_batch_tokens=150)
    if stage != "engine":  # something else has the device
        first = asyncio.create_task(judge.judge(case("first")))
        await engine.entered()
    bulk = [asyncio.create_task(judge.judge(case(f"b{i}"), BULK)) for i in range(40)]
    last = asyncio.create_task(judge.judge(case("shared"), BULK))
    if stage == "planning":
        await asyncio.sleep(0)
    elif stage == "queue":
        await until(lambda: judge.work.queued[0] == 41)
    else:
        await engine.entered()
    joined = asyncio.create_task(judge.judge(case("shared"), TRAINING))
    await until(lambda: judge.admission.held[Lane.TRAINING] > (0 if stage == "engine" else 80))
    # A planning thread that is held up would let any number of batches pass: all that waits has come to the queue.
    await until(lambda: judge.work.queued[0] + len(engine.ran[0]) == 41 + (stage != "engine"))
    engine.gate.set()
    async with asyncio.timeout(60):
        assert (await joined).usage.joined_criteria == 1
        done = sum(task.done() for task in bulk)
        await asyncio.gather(*bulk, last, *([first] if stage != "engine" else []))
    (position,) = [number for number, names in enumerate(engine.ran) if "shared" in names]
    assert position <= 6
    assert done < 40
    assert judge.admission.held == dict.fromkeys(Lane, 0)
    await judge.close()


async def test_bulk_that_joins_training_leaves_it_where_it_is() -> None:
    engine = Gated()
    judge = Judge(engine)
    first = asyncio.create_task(judge.judge(case("one"), TRAINING))
    await engine.entered()
    second = asyncio.create_task(judge.judge(case("one"), BULK))
    await asyncio.sleep(0)
    assert judge.admission.held[Lane.BULK] == 0
    engine.gate.set()
    await asyncio.gather(first, second)
    await judge.close()


async def test_work_that_waits_for_room_goes_to_the_lane_of_whoever_joins_it() -> None:
    engine = Gated()
    judge = Judge(engine, admission=Admission(100))
    with judge.admission.holding(100, Lane.BULK):
        ticket = Ticket(Lane.BULK, patient=True)
        bulk = asyncio.create_task(judge.judge(case("shared"), BULK, ticket))
        await asyncio.sleep(0)
        joined = asyncio.create_task(judge.judge(case("shared"), TRAINING))
        engine.gate.set()
        async with asyncio.timeout(60):
            await asyncio.gather(bulk, joined)
    assert judge.admission.promised == judge.admission.held == dict.fromkeys(Lane, 0)
    await judge.close()


async def test_an_engine_that_batches_by_itself_is_given_work_by_lane() -> None:
    engine = Held(leave=0)
    judge = Judge(engine, max_batch_tokens=100)  # some six cases at a time
    bulk = [asyncio.create_task(judge.judge(case(f"b{i}"), BULK)) for i in range(40)]
    await until(lambda: engine.asked)
    await asyncio.sleep(0)
    at_once = len(engine.asked)
    assert at_once < 10
    assert judge.work.queued[0] == 40 - at_once
    assert judge.work.oldest >= 0
    urgent = asyncio.create_task(judge.judge(case("urgent"), TRAINING))
    await asyncio.sleep(0)
    engine.let(41)
    async with asyncio.timeout(60):
        await asyncio.gather(urgent, *bulk)
    assert engine.asked.index("urgent") <= at_once + 2
    assert judge.work.queued == (0, 0)
    await judge.close()


async def test_an_engine_that_batches_by_itself_is_not_given_what_is_late_and_its_pace_is_learned() -> None:
    engine = Held(leave=0)
    judge = Judge(engine, max_batch_tokens=100, admission=Admission(10**6))
    first = [asyncio.create_task(judge.judge(case(f"b{i}"))) for i in range(60)]
    late = asyncio.create_task(judge.work.run(case("late"), VERDICT_TIER, Ticket(deadline=time.monotonic()), 60))
    await asyncio.sleep(0.01)
    for _ in range(61):
        engine.let()
        await asyncio.sleep(0.002)
    async with asyncio.timeout(60):
        assert (await late).outcomes[0].result == Unscored(Reason.DEADLINE, "its turn came too late")
        await asyncio.gather(*first)
    assert "late" not in engine.asked
    assert judge.admission.pace is not None
    assert 0 < judge.admission.pace < math.inf
    await judge.close()


async def test_what_leaves_an_engine_that_batches_by_itself_frees_its_place() -> None:
    engine = Held(leave=0)
    judge = Judge(engine, max_batch_tokens=100)
    tasks = [asyncio.create_task(judge.judge(case(f"b{i}"))) for i in range(20)]
    await until(lambda: engine.asked)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    stays = asyncio.create_task(judge.judge(case("stays")))
    await until(lambda: "stays" in engine.asked)
    engine.let()
    assert isinstance((await stays).verdicts[0].result, Score)
    assert set(engine.left) == set(engine.asked) - {"stays"}
    await judge.close()


async def test_what_the_engine_is_at_when_its_last_caller_leaves_is_kept() -> None:
    engine = Gated()
    judge = Judge(engine, cache=VerdictCache)
    leaving = asyncio.create_task(judge.judge(case("one")))
    await engine.entered()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert judge.admission.held[Lane.TRAINING] > 0  # the engine is still at it
    engine.gate.set()
    await until(lambda: judge.admission.held[Lane.TRAINING] == 0)
    again = await judge.judge(case("one"))
    assert again.usage.cached_criteria == 1
    assert engine.ran == [["one"]]
    await judge.close()


async def test_attempts_that_are_shorter_than_the_run_cost_one_run_in_all() -> None:
    engine = Gated()
    judge = Judge(engine, cache=VerdictCache)
    for _ in range(4):
        late = await judge.judge(case("one"), None, Ticket(deadline=time.monotonic() + 0.1))
        assert isinstance(late.verdicts[0].result, Unscored)
    joined = asyncio.create_task(judge.judge(case("one")))
    await asyncio.sleep(0)
    engine.gate.set()
    assert isinstance((await joined).verdicts[0].result, Score)
    assert engine.ran == [["one"]]
    await judge.close()
