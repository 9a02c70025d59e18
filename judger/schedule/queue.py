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
from judger.schedule.lanes import Lanes
from judger.types import Lane, Reason, Unscored

__all__ = ["Queue", "Waiting"]

LATE = Outcome(result=Unscored(Reason.DEADLINE, "its turn came too late"))


@dataclass(eq=False, slots=True)
class Waiting:
    """A planned case, and the future that its caller waits for."""

    plan: Plan
    ticket: Ticket
    estimate: int
    """Tokens, in the unit of admission."""
    future: asyncio.Future[Ran]
    since: float
    planned_in: float
    """Seconds: the engine's own work already."""

    def refuse(self, error: Exception) -> None:
        """Tells its caller, unless they have left."""
        if not self.future.done():
            self.future.set_exception(error)


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

    def push(self, waiting: Waiting) -> None:
        """Appends a case to its lane."""
        self._lanes.push(waiting.ticket.lane, waiting, waiting.plan.tokens)
        self.num_criteria += len(waiting.plan.case.criteria)

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
            elif waiting.ticket.deadline < time.monotonic() + seconds:
                self._lanes.refund(waiting.ticket.lane, waiting.plan.tokens)
                late = [LATE] * len(waiting.plan.case.criteria)
                waiting.future.set_result(Ran(late, time.monotonic() - waiting.since, 0.0))
            else:
                batch.append(waiting)
                tokens += waiting.plan.tokens
                estimate += waiting.estimate
        return batch

    def refuse_all(self, error: Callable[[], Exception]) -> None:
        """Empties the queue; every caller gets an error of its own."""
        while (waiting := self._pop()) is not None:
            waiting.refuse(error())

    def _pop(self, room: int | None = None) -> Waiting | None:
        waiting = self._lanes.pop(room)
        if waiting is not None:
            self.num_criteria -= len(waiting.plan.case.criteria)
        return waiting
