"""Planned cases that wait for the engine, and the choice of those that make the next batch.

A case whose caller has left, or whose deadline it can't meet any more, is dropped before the engine sees it; its lane
is not charged for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from judger.engines.base import Outcome, Plan
from judger.schedule.admission import Ticket
from judger.schedule.isolation import Ran
from judger.schedule.lanes import Lanes, Place
from judger.types import Case, Lane, Reason, Unscored

__all__ = ["Queue", "Waiting", "is_late", "late"]

LATE = Outcome(result=Unscored(Reason.DEADLINE, "its turn came too late"))


def is_late(ticket: Ticket, seconds: float) -> bool:
    """Whether what takes that long from now is worth nothing any more."""
    return ticket.deadline < time.monotonic() + seconds


def late(case: Case) -> list[Outcome]:
    """What becomes of a case whose deadline can't be met."""
    return [LATE] * len(case.criteria)


@dataclass(eq=False, slots=True)
class Waiting:
    """A planned case, and the future that its caller waits for."""

    plan: Plan
    ticket: Ticket
    estimate: int
    """Tokens, in the unit of admission."""
    future: asyncio.Future[Ran]
    since: float
    """The instant from which it has waited in the queue."""
    waited: float
    """Seconds before it was planned."""
    planned_in: float
    """Seconds: the engine's own work already."""


class Queue:
    """The cases of all lanes. Its figures may be read from any thread, as metrics do."""

    def __init__(self, weights: Mapping[Lane, float]) -> None:
        self._lanes: Lanes[Waiting] = Lanes(weights)
        self.num_criteria = 0

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def num_tokens(self) -> int:
        return sum(self._lanes.tokens.values())

    @property
    def oldest(self) -> float:
        """Seconds that the oldest case has waited; 0 where there is none."""
        return max((time.monotonic() - one.since for one in self._lanes.heads()), default=0.0)

    def push(self, waiting: Waiting) -> Place[Waiting]:
        """Appends a case to its lane."""
        self.num_criteria += len(waiting.plan.case.criteria)
        return self._lanes.push(waiting.ticket.lane, waiting, waiting.plan.tokens)

    def move(self, place: Place[Waiting], lane: Lane) -> None:
        """To the end of another lane; nothing for a case that is out already."""
        self._lanes.move(place, lane)

    def take(self, max_tokens: int, pace: float | None) -> list[Waiting]:
        """The next batch: up to so many tokens, or one case. May be empty where all that waited is dropped.

        Args:
            pace: the engine's, in estimated tokens a second; None while it is unknown.
        """
        batch: list[Waiting] = []
        tokens = estimate = 0
        while (waiting := self._pop(max_tokens - tokens if batch else None)) is not None:
            # What is alone may be faster than the pace of full batches.
            is_alone = not (batch or self._lanes)
            seconds = 0.0 if is_alone or pace is None else (estimate + waiting.estimate) / pace
            if waiting.future.done():  # its caller has left
                self._lanes.refund(waiting.ticket.lane, waiting.plan.tokens)
            elif is_late(waiting.ticket, seconds):
                self._lanes.refund(waiting.ticket.lane, waiting.plan.tokens)
                waiting.future.set_result(Ran(late(waiting.plan.case), time.monotonic() - waiting.since, 0.0))
            else:
                batch.append(waiting)
                tokens += waiting.plan.tokens
                estimate += waiting.estimate
        return batch

    def refuse_all(self, error: Callable[[], Exception]) -> None:
        """Empties the queue; every caller gets an error of its own."""
        while (waiting := self._pop()) is not None:
            if not waiting.future.done():
                waiting.future.set_exception(error())

    def _pop(self, room: int | None = None) -> Waiting | None:
        waiting = self._lanes.pop(room)
        if waiting is not None:
            self.num_criteria -= len(waiting.plan.case.criteria)
        return waiting
