"""Identical criteria in flight are judged once, whoever asks for them.

Two criteria are identical when query, report, language, text, sign and tier are. A case is cut into the criteria that
are under way already, which it joins, and the rest, which becomes one piece of work that others may join. Work is as
urgent and as patient as the most urgent and the most patient of those who wait for it. It ends with the last of them,
unless the engine is at it: that can't be called back, so that others may still join it, and its result is kept.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from judger.engines.base import Outcome, Tier
from judger.schedule.admission import Ticket
from judger.schedule.isolation import Ran
from judger.schedule.lanes import LANE_WEIGHTS
from judger.types import Case, Lane, Reason, Unscored

# The texts themselves are the key: a string's hash is computed once and kept, and equal hashes are compared in full.
Shared = tuple[str, str, str, Tier]
Statement = tuple[str, bool]

NOT_IN_TIME = Outcome(result=Unscored(Reason.DEADLINE, "not judged before the deadline"))


@dataclass(eq=False, slots=True)
class _Work:
    task: asyncio.Task[Ran]
    ticket: Ticket
    waiters: int = 0


@dataclass(frozen=True, slots=True)
class Joined:
    """A case's outcomes in the order of its criteria; how many of them were somebody else's work, or known before."""

    outcomes: list[Outcome]
    joined: int
    known: int
    queue_seconds: float
    engine_seconds: float


class InFlight:
    """Joins identical criteria in front of `run`, which judges a case whole.

    Args:
        weights: the lanes' shares: of two lanes the one with the larger is the more urgent.
    """

    def __init__(
        self, run: Callable[[Case, Tier, Ticket], Awaitable[Ran]], weights: Mapping[Lane, float] = LANE_WEIGHTS
    ) -> None:
        self._run = run
        self._weights = weights
        self._works: dict[Shared, dict[Statement, tuple[_Work, int]]] = {}

    async def run(self, case: Case, tier: Tier, ticket: Ticket, known: Mapping[int, Outcome]) -> Joined:
        """The outcomes of a case, of which some may be known by position. What is late is unscored."""
        wanted = [position for position in range(len(case.criteria)) if position not in known]
        if not wanted:
            return Joined([known[position] for position in range(len(case.criteria))], 0, len(known), 0.0, 0.0)
        context = (case.query, case.report, case.language, tier)
        under_way = self._works.setdefault(context, {})
        chosen = {position: case.criteria[position] for position in wanted}
        statements = {position: (one.text, one.weight < 0) for position, one in chosen.items()}
        first: dict[Statement, int] = {}
        for position, statement in statements.items():
            if statement not in under_way:
                first.setdefault(statement, position)
        if first:
            self._start(case, tier, ticket, context, first)
        places = {position: under_way[statement] for position, statement in statements.items()}
        works = {work for work, _ in places.values()}
        for work in works:
            work.waiters += 1
            self._join(work.ticket, ticket)
        try:
            left = None if ticket.deadline == math.inf else max(0.0, ticket.deadline - time.monotonic())
            await asyncio.wait([work.task for work in works], timeout=left)
            ran = {work: work.task.result() for work in works if work.task.done()}
        finally:
            for work in works:
                work.waiters -= 1
                if not work.waiters and not work.task.done() and not work.ticket.in_engine:
                    work.task.cancel()
                    self._forget(context, work)
        outcomes = dict(known)
        for position, (work, index) in places.items():
            outcomes[position] = ran[work].outcomes[index] if work in ran else NOT_IN_TIME
        return Joined(
            [outcomes[position] for position in range(len(case.criteria))],
            len(wanted) - len(first),
            len(known),
            max((one.queue_seconds for one in ran.values()), default=0.0),
            max((one.engine_seconds for one in ran.values()), default=0.0),
        )

    def _start(self, case: Case, tier: Tier, ticket: Ticket, context: Shared, first: dict[Statement, int]) -> None:
        if len(first) < len(case.criteria):
            case = replace(case, criteria=tuple(case.criteria[position] for position in first.values()))
        own = ticket.handed_on()
        work = _Work(asyncio.ensure_future(self._run(case, tier, own)), own)
        for position, statement in enumerate(first):
            self._works[context][statement] = (work, position)
        work.task.add_done_callback(lambda task: self._end(context, work, task))

    def _join(self, work: Ticket, asker: Ticket) -> None:
        """Whoever asks for work gets it no later than if it were theirs alone."""
        work.deadline = max(work.deadline, asker.deadline)
        work.patient = work.patient or asker.patient
        if self._weights[asker.lane] > self._weights[work.lane]:
            work.move(asker.lane)

    def _end(self, context: Shared, work: _Work, task: asyncio.Task[Ran]) -> None:
        self._forget(context, work)
        if not task.cancelled():
            task.exception()  # whoever waited has it; with nobody left it needs no complaint

    def _forget(self, context: Shared, work: _Work) -> None:
        under_way = self._works.get(context)
        if under_way is None:
            return
        for statement in [statement for statement, (one, _) in under_way.items() if one is work]:
            del under_way[statement]
        if not under_way:
            del self._works[context]
