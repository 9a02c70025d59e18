"""Identical criteria in flight are judged once, whoever asks for them.

Two criteria are identical when query, report, language, text, sign and tier are. A case is cut into the criteria that
are under way already, which it joins, and the rest, which becomes one piece of work that others may join. Work ends
with its last waiter: a caller who leaves does not end what others wait for.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from judger.batcher import Ran
from judger.engines.base import Outcome, Tier
from judger.types import Case

Key = tuple[bytes, str, bool, Tier]


@dataclass(eq=False, slots=True)
class _Work:
    keys: list[Key]
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
        self._works: dict[Key, tuple[_Work, int]] = {}

    async def run(self, case: Case, tier: Tier) -> Joined:
        """The outcomes of a case."""
        context = digest(case)
        keys: list[Key] = [(context, criterion.text, criterion.is_negative, tier) for criterion in case.criteria]
        new = [key for key in dict.fromkeys(keys) if key not in self._works]
        if new:
            self._start(case, tier, keys, new)
        places = [self._works[key] for key in keys]
        works = list(dict.fromkeys(work for work, _ in places))
        for work in works:
            work.waiters += 1
        try:
            ran = {work: await asyncio.shield(work.task) for work in works}
        finally:
            for work in works:
                work.waiters -= 1
                if not work.waiters:
                    work.task.cancel()  # does nothing to a task that is done
                    self._forget(work)
        outcomes = [ran[work].outcomes[position] for work, position in places]
        return Joined(
            outcomes,
            len(keys) - len(new),
            max(one.queue_seconds for one in ran.values()),
            max(one.engine_seconds for one in ran.values()),
        )

    def _start(self, case: Case, tier: Tier, keys: list[Key], new: list[Key]) -> None:
        if len(new) < len(keys):
            first = {key: position for position, key in reversed(list(enumerate(keys)))}
            case = replace(case, criteria=tuple(case.criteria[first[key]] for key in new))
        work = _Work(new, asyncio.ensure_future(self._run(case, tier)))
        for position, key in enumerate(new):
            self._works[key] = (work, position)
        work.task.add_done_callback(lambda task: self._end(work, task))

    def _end(self, work: _Work, task: asyncio.Task[Ran]) -> None:
        self._forget(work)
        if not task.cancelled():
            task.exception()  # whoever waited has it; with nobody left it needs no complaint

    def _forget(self, work: _Work) -> None:
        for key in work.keys:
            if self._works.get(key, (None, 0))[0] is work:
                del self._works[key]


def digest(case: Case) -> bytes:
    """What the verdict of a criterion depends on beside the criterion: query, report and declared language."""
    hashed = hashlib.blake2b(digest_size=16)
    for text in (case.query, case.report, case.language):
        data = text.encode()
        hashed.update(len(data).to_bytes(8, "little"))
        hashed.update(data)
    return hashed.digest()
