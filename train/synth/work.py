"""Many briefs at once, a bounded number in flight, with a rate and the time that is left."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TextIO, TypeVar

from judger.errors import InvalidRequest, TooLarge
from train.synth import filters
from train.synth.brief import Brief, Dropped
from train.synth.ports import Capability
from train.synth.repetition import repeated
from train.synth.rows import Rows
from train.synth.writer import Unwritten

__all__ = ["Progress", "each", "work"]

UNREADABLE, REFUSED = "unreadable", "refused by the judge"
WRITTEN = {"language mixing": filters.mixed, "repetition": repeated}
"""What holds for any text that a writer wrote."""


_Item = TypeVar("_Item")


class Progress:
    """One line: what is done, how fast, how long it will take. On a terminal it is written over."""

    def __init__(self, stream: TextIO | None = None, *, every: float = 5.0, now: Callable[[], float] = time.monotonic):
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = self._stream.isatty()
        self._every, self._now = (0.5 if self._is_terminal else every), now

    def start(self, name: str, total: int, before: int) -> None:
        """Begin with something of that many parts, so many of them done before."""
        self._name, self._total, self._done, self._before = name, total, before, before
        self._begun = self._said = self._now()

    def step(self, kept: int) -> None:
        """One more is done; `kept` of them all have been kept."""
        self._done += 1
        now = self._now()
        if self._done == self._total or now - self._said >= self._every:
            self._said = now
            rate = (self._done - self._before) / max(1e-9, now - self._begun)
            left = (self._total - self._done) / max(1e-9, rate)
            line = f"{self._name}: {self._done}/{self._total}, {kept} kept, {rate:.1f}/s, {_clock(left)} left"
            end = "\n" if not self._is_terminal or self._done == self._total else ""
            print(f"\r\x1b[K{line}" if self._is_terminal else line, end=end, file=self._stream, flush=True)


async def work(
    capability: Capability, rows: Rows, count: int, *, concurrency: int, progress: Progress | None = None
) -> None:
    """Make a row of each brief that has none yet. Whatever else than a filter's objection is raised ends it all."""
    briefs = capability.briefs(count)
    missing = [brief for brief in briefs if brief.id not in rows.done]
    if progress is not None:
        progress.start(capability.name, len(briefs), len(briefs) - len(missing))

    async def one(brief: Brief) -> None:
        try:
            rows.keep(brief.id, _checked(await capability.make(brief)))
        except Dropped as dropped:
            rows.drop(brief.id, dropped.by, dropped.reason)
        except Unwritten as error:
            rows.drop(brief.id, UNREADABLE, str(error))
        except (InvalidRequest, TooLarge) as error:
            rows.drop(brief.id, REFUSED, str(error))
        if progress is not None:
            progress.step(rows.funnel.kept)

    await each(missing, one, concurrency=concurrency)


async def each(items: Iterable[_Item], do: Callable[[_Item], Awaitable[None]], *, concurrency: int) -> None:
    """Do it for each item, so many at once. Raises an ExceptionGroup of what the first of them raised."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await do(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())


def _checked(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row, if what was written for it is in one language and says nothing over and over. Raises Dropped."""
    row = dict(row)
    written = row.pop("written", "")
    for name, rule in WRITTEN.items():
        if reason := rule(written):
            raise Dropped(name, reason)
    return row


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
