"""What teaches the pace and what doesn't, and that a smaller budget comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from judger.engines.base import Outcome, Plan
from judger.engines.scripted import OutOfMemoryError, ScriptedEngine
from judger.judge import Judge
from judger.schedule.admission import Admission, Ticket
from judger.schedule.isolation import FIRST_ATTEMPT, LAST_ATTEMPT, Budget, Isolation
from judger.schedule.pace import REMEMBERED, Pace
from judger.types import Case, Criterion, Lane, Reason, Unscored


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def case(name: str, text: str = "words", report: str = "words " * 100) -> Case:
    return Case(id=name, query="", report=report + name, criteria=(Criterion(id="c", text=text),))


def test_a_pace_is_known_after_some_full_batches_and_one_stall_changes_nothing_of_it() -> None:
    pace = Pace()
    for _ in range(2):
        pace.learn(1000, 1.0, is_full=True)
        assert pace.value is None
    pace.learn(1000, 1.0, is_full=True)
    assert pace.value == 1000
    pace.learn(1000, 600.0, is_full=True)
    assert pace.value == pytest.approx(1000)


def test_a_pace_follows_an_engine_that_has_become_slower_or_faster() -> None:
    pace = Pace()
    for seconds in (1.0, 4.0, 0.5):
        for _ in range(10):
            pace.learn(1000, seconds, is_full=True)
        assert pace.value == pytest.approx(1000 / seconds)


def test_a_batch_that_is_not_full_corrects_a_pace_that_is_too_low_and_no_other() -> None:
    pace = Pace()
    pace.learn(10, 1.0, is_full=False)
    for _ in range(3):
        pace.learn(100, 100.0, is_full=True)
    assert pace.value == 1.0
    for _ in range(4):
        pace.learn(50, 1.0, is_full=False)
    assert pace.value == pytest.approx(50)
    for _ in range(20):
        pace.learn(1, 1.0, is_full=False)
    assert pace.value == pytest.approx(50)


def test_what_was_seen_long_ago_is_forgotten() -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(5):
        pace.learn(1000, 1000.0, is_full=True)
    clock.now += REMEMBERED + 1
    assert pace.value is None


def test_nothing_and_no_time_teach_nothing() -> None:
    pace = Pace()
    for tokens, seconds in ((0, 1.0), (10, 0.0), (-1, 1.0)) * 5:
        pace.learn(tokens, seconds, is_full=True)
    assert pace.value is None


class Stalling(ScriptedEngine):
    """Takes a while for the case that is named so."""

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        if any(plan.case.id == "stall" for plan in plans):
            self.delay, before = 1.5, self.delay
            try:
                return super().run(plans)
            finally:
                self.delay = before
        return super().run(plans)


@pytest.mark.parametrize("stall_first", [True, False])
async def test_after_a_stall_what_has_time_is_not_refused(stall_first: bool) -> None:
    judge = Judge(Stalling(pace=500_000), max_batch_tokens=500, admission=Admission(10**9))
    before = [] if stall_first else [case(f"before{i}") for i in range(40)]
    await asyncio.gather(*map(judge.judge, [*before, case("stall"), *[case(f"with{i}") for i in range(6)]]))
    cases = [case(f"after{i}", report="words " * 400) for i in range(40)]  # at the pace of the stall: a minute
    ticket = Ticket(deadline=time.monotonic() + 15)
    async with asyncio.timeout(60):
        results = await asyncio.gather(*[judge.judge(one, None, ticket) for one in cases], return_exceptions=True)
    assert [result for result in results if isinstance(result, Exception)] == []
    await judge.close()


async def test_batches_that_crash_or_are_refused_in_advance_teach_no_pace() -> None:
    class Refusing(ScriptedEngine):
        def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
            if any(plan.case.id.startswith("long") for plan in plans):
                return [[Outcome(result=Unscored(Reason.TOO_LONG, "too long"))] for _ in plans]
            return super().run(plans)

    judge = Judge(Refusing(), max_batch_tokens=500)
    await asyncio.gather(*[judge.judge(case(f"bad{i}", f"{i} [[crash]]")) for i in range(40)])
    await asyncio.gather(*[judge.judge(case(f"long{i}")) for i in range(40)])
    assert judge.admission.pace is None
    await judge.close()


def test_a_budget_comes_back_after_some_good_batches_and_later_each_time() -> None:
    budget = Budget(16_384)
    waits = []
    for _ in range(12):
        budget.shrink()
        assert budget.tokens == 8192
        good = 0
        while budget.tokens < 16_384:
            budget.grow(budget.tokens)
            good += 1
        waits.append(good)
    assert waits[:3] == [2 * FIRST_ATTEMPT, 4 * FIRST_ATTEMPT, 8 * FIRST_ATTEMPT]
    assert max(waits) == LAST_ATTEMPT
    for _ in range(LAST_ATTEMPT):
        budget.grow(budget.tokens)
    budget.shrink()
    for _ in range(2 * FIRST_ATTEMPT):
        budget.grow(budget.tokens)
    assert budget.tokens == 16_384


def test_small_batches_say_nothing_of_the_budget_and_it_is_never_next_to_nothing() -> None:
    budget = Budget(16_384)
    budget.shrink()
    for _ in range(1000):
        budget.grow(100)
    assert budget.tokens == 8192
    for _ in range(100):
        budget.shrink()
    assert budget.tokens == 256


class Short(ScriptedEngine):
    """Memory runs out in its first `times` runs, of any size."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        if self.times:
            self.times -= 1
            raise OutOfMemoryError("scripted")
        return super().run(plans)


def plans(number: int) -> list[Plan]:
    return [ScriptedEngine().plan(case(f"{i}"), None) for i in range(number)]  # type: ignore[arg-type]


def test_a_case_that_has_no_room_alone_leaves_the_budget_as_it_is() -> None:
    isolation = Isolation(16_384)
    for times in (1, 2):
        isolation.run(Short(times), plans(1))
    assert isolation.budget.tokens == 16_384


def test_memory_that_ran_out_for_a_moment_costs_no_verdict_and_small_batches_only_for_a_while() -> None:
    isolation = Isolation(1000)
    outcomes = isolation.run(Short(1), plans(6))
    assert not any(isinstance(one.result, Unscored) for found in outcomes for one in found)
    assert isolation.budget.tokens == 500
    for _ in range(2 * FIRST_ATTEMPT):
        isolation.run(ScriptedEngine(), plans(3))
    assert isolation.budget.tokens == 1000


async def test_two_small_cases_that_find_no_memory_do_not_make_every_later_batch_a_single_case() -> None:
    judge = Judge(Short(1))
    await asyncio.gather(*[judge.judge(case(f"{i}", report="r")) for i in range(2)])
    assert judge.work.max_batch_tokens >= 16_384 // 2  # type: ignore[union-attr]
    await judge.close()
    assert judge.admission.held == dict.fromkeys(Lane, 0)
