"""What is refused at once, what waits, and how lanes share."""

from __future__ import annotations

import asyncio
import math
import random
import time
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judger.cache.sqlite import CacheFile
from judger.cache.verdicts import VerdictCache
from judger.engines.base import Tier
from judger.engines.scripted import ScriptedEngine
from judger.errors import Overloaded
from judger.judge import Judge
from judger.schedule.admission import LANE_WEIGHTS, Admission, Ticket, estimated_tokens
from judger.schedule.lanes import Lanes
from judger.types import Case, Criterion, Explain, Lane, Options, Reason, Score, Unscored
from tests.judger.schedule.engines import Gated
from tests.waiting import until

IN_TIME, BULK = Ticket(deadline=math.inf), Ticket(Lane.BULK)


def case(name: str, *texts: str, report: str = "words " * 100) -> Case:
    criteria = tuple(Criterion(id=f"c{i}", text=text) for i, text in enumerate(texts or ("words",)))
    return Case(id=name, query="", report=report + name, criteria=criteria)


def within(seconds: float, lane: Lane = Lane.TRAINING) -> Ticket:
    return Ticket(lane, time.monotonic() + seconds)


def taught(admission: Admission, tokens: int) -> Admission:
    """With a pace of that many tokens a second."""
    for _ in range(3):
        admission.learn(tokens, 1.0)
    return admission


def test_a_full_lane_is_refused_with_the_time_until_there_is_room_and_the_others_are_not() -> None:
    admission = taught(Admission(1000), 100)
    with admission.holding(1000, Lane.BULK):
        with pytest.raises(Overloaded, match="lane is full") as caught:
            admission.check(300, BULK)
        assert caught.value.retry_after == pytest.approx(3.0)
        admission.check(300, IN_TIME)
    admission.check(300, BULK)


def test_a_case_larger_than_the_lane_is_taken_while_the_lane_is_empty() -> None:
    admission = Admission(1000)
    admission.check(5000, IN_TIME)
    with admission.holding(1000, Lane.TRAINING), pytest.raises(Overloaded):
        admission.check(5000, IN_TIME)


def test_what_the_deadline_leaves_no_time_for_is_refused_and_the_rest_is_not() -> None:
    admission = taught(Admission(10**6), 100)
    with admission.holding(4000, Lane.TRAINING):
        admission.check(1000, within(90))
        with pytest.raises(Overloaded, match=r"about 50\.00 s") as caught:
            admission.check(1000, within(40))
        assert caught.value.retry_after == pytest.approx(50.0)  # beyond the deadline, as its own turn is
        admission.check(10**5, IN_TIME)


def test_before_the_pace_is_known_and_while_the_engine_is_idle_nothing_is_refused_for_time() -> None:
    admission = Admission(10**6)
    with admission.holding(10**5, Lane.TRAINING):
        admission.check(1, within(0.001))
    taught(admission, 10).check(10**5, within(0.001))


def test_a_training_request_does_not_wait_for_the_bulk_ahead_of_it() -> None:
    admission = taught(Admission(10**6), 10)
    with admission.holding(60_000, Lane.BULK):
        assert admission.seconds_for(1000, Lane.TRAINING) == pytest.approx(700 / 6)
        assert admission.seconds_for(1000, Lane.BULK) == pytest.approx(6100)
        admission.check(1000, within(150))
        with pytest.raises(Overloaded):
            admission.check(1000, within(150, Lane.BULK))


async def test_a_patient_ticket_waits_for_room_instead_of_being_refused() -> None:
    admission = Admission(100)
    with admission.holding(100, Lane.BULK):
        waiting = asyncio.ensure_future(admission.enter(50, Ticket(Lane.BULK, patient=True)))
        await asyncio.sleep(0)
        assert not waiting.done()
    with await waiting:
        assert admission.held[Lane.BULK] == 50
    assert admission.held[Lane.BULK] == 0


async def test_patient_tickets_get_room_in_the_order_they_came_and_one_that_leaves_gives_its_turn_to_the_next() -> None:
    admission, patient, order = Admission(100), Ticket(Lane.BULK, patient=True), list[str]()

    async def wait(name: str) -> None:
        with await admission.enter(60, patient):
            order.append(name)

    with admission.holding(90, Lane.BULK):
        tasks = [asyncio.create_task(wait(name)) for name in "abc"]
        await asyncio.sleep(0)
    tasks[0].cancel()  # it was called and has not yet gone in
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == ["b", "c"]


def test_lanes_with_work_get_their_shares_of_the_tokens_within_a_case() -> None:
    chance = random.Random(0)
    lanes: Lanes[tuple[Lane, int]] = Lanes(LANE_WEIGHTS)
    for lane in Lane:
        for _ in range(3000):
            tokens = chance.randint(1, 5000)
            lanes.push(lane, (lane, tokens), tokens)
    given_tokens = dict.fromkeys(Lane, 0)
    for _ in range(2500):
        lane, tokens = lanes.pop() or (Lane.BULK, 0)
        given_tokens[lane] += tokens
    total, weights = sum(given_tokens.values()), sum(LANE_WEIGHTS.values())
    for lane in Lane:
        assert given_tokens[lane] / total == pytest.approx(LANE_WEIGHTS[lane] / weights, abs=0.01)


def test_a_lane_that_was_idle_neither_saves_up_nor_waits_for_what_others_had() -> None:
    lanes: Lanes[str] = Lanes(LANE_WEIGHTS)
    for _ in range(1000):
        lanes.push(Lane.BULK, "bulk", 100)
    for _ in range(500):
        lanes.pop()
    for _ in range(20):
        lanes.push(Lane.TRAINING, "training", 100)
    order = [lanes.pop() for _ in range(14)]
    assert order.count("bulk") == pytest.approx(2, abs=1)


@given(st.lists(st.tuples(st.sampled_from(list(Lane)), st.integers(1, 9999)), max_size=60), st.integers(1, 20_000))
def test_every_item_comes_out_once_and_in_the_order_of_its_lane(items: list[tuple[Lane, int]], room: int) -> None:
    lanes: Lanes[tuple[int, Lane]] = Lanes(LANE_WEIGHTS)
    for number, (lane, tokens) in enumerate(items):
        lanes.push(lane, (number, lane), tokens)
    out: list[tuple[int, Lane]] = []
    while len(lanes):
        item = lanes.pop(room) or lanes.pop()
        assert item is not None
        out.append(item)
    assert sorted(number for number, _ in out) == list(range(len(items)))
    for lane in Lane:
        numbers = [number for number, one in out if one is lane]
        assert numbers == sorted(numbers)
    assert set(lanes.tokens.values()) == {0}


async def test_a_bulk_flood_does_not_hold_up_training() -> None:
    engine = Gated()
    judge = Judge(engine, max_batch_tokens=500)
    flood = [asyncio.ensure_future(judge.judge(case(f"b{i}"), Options(lane=Lane.BULK))) for i in range(100)]
    await engine.entered()
    urgent = asyncio.ensure_future(judge.judge(case("urgent"), Options(lane=Lane.TRAINING)))
    await until(lambda: judge.work.queued[0] + len(engine.ran[0]) == 101)  # all are planned, in threads
    engine.gate.set()
    await urgent
    assert sum(task.done() for task in flood) < 50
    assert "urgent" in engine.ran[1]
    await asyncio.gather(*flood)
    await judge.close()


async def test_what_can_not_be_done_in_time_is_refused_at_once_under_load() -> None:
    engine = ScriptedEngine(pace=20_000)
    judge = Judge(engine, max_batch_tokens=500, admission=Admission(10**6))
    load = [asyncio.ensure_future(judge.judge(case(f"l{i}"))) for i in range(200)]
    await until(lambda: judge.admission.pace is not None)  # the first full batches teach it
    done = sum(task.done() for task in load)
    with pytest.raises(Overloaded) as caught:
        await judge.judge(case("late"), Options(), within(0.3))
    assert sum(task.done() for task in load) - done < 20  # at its deadline it would be forty
    assert caught.value.retry_after >= 0.05
    await asyncio.gather(*load)
    await judge.close()


async def test_what_is_known_is_answered_in_time_and_the_rest_is_unscored_for_its_deadline() -> None:
    engine = Gated()
    judge = Judge(engine, cache=VerdictCache)
    engine.gate.set()
    await judge.judge(case("x", "[[fully]]"))
    engine.gate.clear()  # the engine ends nothing any more
    async with asyncio.timeout(30):
        result = await judge.judge(case("x", "alpha", "[[fully]]"), Options(), within(0.3))
    engine.gate.set()
    late, known = (verdict.result for verdict in result.verdicts)
    assert late == Unscored(Reason.DEADLINE, "not judged before the deadline")
    assert isinstance(known, Score)
    assert result.reward.value is None
    await judge.close()


async def test_the_patient_asker_of_joined_work_gets_it_after_the_impatient_one_has_left() -> None:
    engine = Gated()
    judge = Judge(engine)
    blocker = asyncio.ensure_future(judge.judge(case("blocker")))
    await engine.entered()
    impatient = asyncio.ensure_future(judge.judge(case("shared"), Options(), within(0.05)))
    patient = asyncio.ensure_future(judge.judge(case("shared"), Options(), within(30)))
    assert isinstance((await impatient).verdicts[0].result, Unscored)
    engine.gate.set()
    assert isinstance((await patient).verdicts[0].result, Score)
    await blocker
    await judge.close()


async def test_expired_work_is_dropped_before_the_engine_sees_it() -> None:
    engine = Gated()
    judge = Judge(engine)
    blocker = asyncio.ensure_future(judge.judge(case("blocker")))
    await engine.entered()
    late = await judge.judge(case("late"), Options(), within(0.05))
    assert isinstance(late.verdicts[0].result, Unscored)
    engine.gate.set()
    await blocker
    await judge.judge(case("next"))
    assert [cases for cases, _ in engine.batches] == [1, 1]
    await judge.close()


async def test_a_group_is_admitted_whole_or_not_at_all_and_what_is_known_of_it_costs_nothing() -> None:
    cases = [case(f"g{i}") for i in range(10)]
    tokens = estimated_tokens(cases[0])
    judge = Judge(ScriptedEngine(), cache=VerdictCache, admission=Admission(5 * tokens))
    with pytest.raises(Overloaded), judge.admission.holding(5 * tokens, Lane.TRAINING):
        await judge.admit(cases, Options(), Ticket())
    with judge.admission.holding(1, Lane.TRAINING):
        for one in cases[:6]:
            await judge.judge(one)
        tickets = await judge.admit(cases, Options(), Ticket())
        assert judge.admission.held[Lane.TRAINING] == 4 * tokens + 1
        await asyncio.gather(*map(judge.judge, cases, [Options()] * 10, tickets))
        assert judge.admission.held[Lane.TRAINING] == 1
    await judge.close()


def test_what_is_written_is_part_of_the_estimate() -> None:
    case = Case(id="a", query="", report="x" * 400, criteria=tuple(Criterion(id=str(i), text="text") for i in range(5)))
    plain = estimated_tokens(case)
    assert plain == estimated_tokens(case, Tier(trials=3))  # without a reason to write a trial adds none
    always = [estimated_tokens(case, Tier(explain=Explain.ALWAYS, trials=trials)) - plain for trials in (1, 2, 3)]
    assert always == [always[0], 2 * always[0], 3 * always[0]]
    assert always[0] >= 5 * 100
    assert estimated_tokens(case, Tier(explain=Explain.UNDER_MARGIN, explain_margin=0.1)) == plain + always[0]


async def test_groups_that_are_looked_up_at_the_same_time_hold_no_more_than_their_lane_has(tmp_path: Path) -> None:
    groups = [[case(f"g{group}-{i}") for i in range(4)] for group in range(40)]
    tokens = sum(map(estimated_tokens, groups[0]))
    file = CacheFile(tmp_path / "cache", 2**20)
    engine = Gated()  # or a group might be judged before the file is asked for the next, and none be refused
    judge = Judge(engine, cache=partial(VerdictCache, memory_bytes=2**20, file=file), admission=Admission(5 * tokens))
    most = 0

    async def ask(cases: list[Case]) -> int:
        nonlocal most
        try:
            tickets = await judge.admit(cases, Options(), Ticket())
        except Overloaded:
            engine.gate.set()
            return 0
        most = max(most, judge.admission.held[Lane.TRAINING])
        await asyncio.gather(*map(judge.judge, cases, [Options()] * 4, tickets))
        return 1

    async with asyncio.timeout(60):
        judged = sum(await asyncio.gather(*map(ask, groups)))
    assert most <= 5 * tokens
    assert 5 <= judged < 40
    assert judge.admission.held == judge.admission.promised == dict.fromkeys(Lane, 0)
    await judge.close()


async def test_what_a_group_holds_for_a_case_that_was_never_begun_can_be_given_back() -> None:
    judge = Judge(ScriptedEngine(), admission=Admission(1000))
    tickets = await judge.admit([case("a"), case("b")], Options(), Ticket())
    assert judge.admission.held[Lane.TRAINING] > 0
    for ticket in tickets * 2:  # twice is once
        ticket.give_back()
    assert judge.admission.held[Lane.TRAINING] == 0
    await judge.close()


async def test_large_work_that_waits_is_not_passed_by_whoever_comes_later() -> None:
    admission, order = Admission(1000), list[str]()

    async def work(name: str, tokens: int, ticket: Ticket) -> None:
        with await admission.enter(tokens, ticket):
            order.append(name)
            await asyncio.sleep(0.001)

    for patient in (True, False):
        order.clear()
        tasks = [asyncio.create_task(work(f"early{i}", 300, Ticket())) for i in range(2)]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(work("large", 900, Ticket(patient=patient))))
        await asyncio.sleep(0)
        for i in range(20):  # each would fit in, as long as there is a place beside the early ones
            tasks.append(asyncio.create_task(work(f"late{i}", 300, Ticket(patient=i % 2 == 0))))
        async with asyncio.timeout(30):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        refused = sum(isinstance(result, Overloaded) for result in results)
        assert order.index("large") == 2
        assert refused == (8 if patient else 10)  # what a stream waits for is not yet room that is taken
        assert len(order) == 23 - refused
        assert admission.held == admission.promised == dict.fromkeys(Lane, 0)


async def test_large_work_is_let_in_as_readily_as_small_under_a_flood() -> None:
    admission, chance = Admission(1000), random.Random(0)
    let_in, refused = dict.fromkeys((90, 950), 0), dict.fromkeys((90, 950), 0)

    async def asker(tokens: int) -> None:
        while let_in[950] < 20:
            try:
                with await admission.enter(tokens, Ticket()):
                    let_in[tokens] += 1
                    await asyncio.sleep(0)
            except Overloaded:
                refused[tokens] += 1
            for _ in range(chance.randint(1, 9)):
                await asyncio.sleep(0)

    async with asyncio.timeout(60):
        await asyncio.gather(*map(asker, [90] * 60 + [950]))
    small, large = (let_in[tokens] / (let_in[tokens] + refused[tokens]) for tokens in (90, 950))
    assert small < 0.8  # the lane was full
    assert large > small / 2


async def test_who_waits_for_room_and_leaves_holds_up_nobody_and_holds_nothing() -> None:
    admission = Admission(1000)
    room = admission.holding(900, Lane.TRAINING)
    large = asyncio.create_task(admission.enter(900, Ticket(patient=True)))
    await asyncio.sleep(0)
    small = [asyncio.create_task(admission.enter(50, Ticket(patient=True))) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in small)
    large.cancel()
    await asyncio.gather(large, return_exceptions=True)
    rooms = await asyncio.gather(*small)
    assert admission.held[Lane.TRAINING] == 1000
    for one in (room, *rooms):
        one.give_back()
    room = admission.holding(1000, Lane.TRAINING)
    called = asyncio.create_task(admission.enter(50, Ticket(patient=True)))
    await asyncio.sleep(0)
    room.give_back()
    called.cancel()  # its room has come, and it has not yet taken it
    await asyncio.gather(called, return_exceptions=True)
    assert admission.held == admission.promised == dict.fromkeys(Lane, 0)


async def test_the_time_that_work_takes_includes_what_waits_for_room_before_it() -> None:
    admission = taught(Admission(1000), 100)
    with admission.holding(900, Lane.TRAINING):
        waiting = asyncio.create_task(admission.enter(900, Ticket(patient=True)))
        await asyncio.sleep(0)
        assert admission.seconds_for(100, Lane.TRAINING) == pytest.approx(19)
        with pytest.raises(Overloaded):
            await admission.enter(50, within(10))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
