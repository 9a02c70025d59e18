"""Identical criteria in flight are judged once, whoever asks for them.

Two criteria are identical when query, report, language, text, sign and tier are. A case is cut into the criteria that
are under way already, which it joins, and the rest, which becomes one piece of work that others may join. Work ends
with its last waiter: a caller who leaves does not end what others wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from judger.batcher import Ran
from judger.engines.base import Outcome, Tier
from judger.types import Case

# The texts themselves are the key: a string's hash is computed once and kept, and equal hashes are compared in full.
Context = tuple[str, str, str, Tier]
Statement = tuple[str, bool]


@dataclass(eq=False, slots=True)
class _Work:
    task: asyncio.Task[Ran]
    waiters: int = 0


@dataclass(frozen=True, slots=True)
class Joined:
    """A case's outcomes in the order of its criteria; how many of them were somebody else's work."""

    outcomes: list[Outcome]
    joined: int
    queue_seconds: float
    engine_seconds: float


class InFlight:
    """Joins identical criteria in front of `run`, which judges a case whole."""

    def __init__(self, run: Callable[[Case, Tier], Awaitable[Ran]]) -> None:
        self._run = run
        self._works: dict[Context, dict[Statement, tuple[_Work, int]]] = {}

    async def run(self, case: Case, tier: Tier) -> Joined:
        """The outcomes of a case."""
        context = (case.query, case.report, case.language, tier)
        under_way = self._works.setdefault(context, {})
        statements = [(criterion.text, criterion.is_negative) for criterion in case.criteria]
        first: dict[Statement, int] = {}
        for position, statement in enumerate(statements):
            if statement not in under_way:
                first.setdefault(statement, position)
        if first:
            self._start(case, tier, context, first)
        places = [under_way[statement] for statement in statements]
        works = list(dict.fromkeys(work for work, _ in places))
        for work in works:
            work.waiters += 1
        try:
            ran = {work: await asyncio.shield(work.task) for work in works}
        finally:
            for work in works:
                work.waiters -= 1
                if not work.waiters and not work.task.done():
                    work.task.cancel()
                    self._forget(context, work)
        outcomes = [ran[work].outcomes[position] for work, position in places]
        return Joined(
            outcomes,
            len(statements) - len(first),
            max(one.queue_seconds for one in ran.values()),
            max(one.engine_seconds for one in ran.values()),
        )

    def _start(self, case: Case, tier: Tier, context: Context, first: dict[Statement, int]) -> None:
        if len(first) < len(case.criteria):
            case = replace(case, criteria=tuple(case.criteria[position] for position in first.values()))
        work = _Work(asyncio.ensure_future(self._run(case, tier)))
        for position, statement in enumerate(first):
            self._works[context][statement] = (work, position)
        work.task.add_done_callback(lambda task: self._end(context, work, task))

    def _end(self, context: Context, work: _Work, task: asyncio.Task[Ran]) -> None:
        self._forget(context, work)
        if not task.cancelled():
            task.exception()  # whoever waited has it; with nobody left it needs no complaint

    def _forget(self, context: Context, work: _Work) -> None:
        under_way = self._works.get(context)
        if under_way is None:
            return
        for statement in [statement for statement, (one, _) in under_way.items() if one is work]:
            del under_way[statement]
        if not under_way:
            del self._works[context]
