"""Turns at what takes only so much at a time: by lane, and in a lane in the order of coming.

A flood in one lane that waits here delays another lane's next by what is under way, and not by the flood.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from judger.schedule.lanes import Lanes
from judger.schedule.pending import Pending
from judger.schedule.ticket import Ticket
from judger.types import Lane

__all__ = ["Turns"]


@dataclass(eq=False, slots=True)
class _Turn:
    come: asyncio.Future[None]
    size: int
    since: float


class Turns:
    """Lives on one event loop.

    Args:
        capacity: what may be under way; what alone is more has its turn when nothing else is.
        weights: the lanes' shares.
        pending: its end is that of everybody who waits.
    """

    def __init__(self, capacity: int, weights: Mapping[Lane, float], pending: Pending) -> None:
        self.capacity = capacity
        self.under_way = 0
        self._pending = pending
        self._lanes: Lanes[_Turn] = Lanes(weights)

    @property
    def num_waiting(self) -> int:
        return len(self._lanes)

    @property
    def tokens_waiting(self) -> int:
        return sum(self._lanes.tokens.values())

    @property
    def oldest(self) -> float:
        """Seconds that the oldest has waited; 0 where nobody does. From any thread."""
        return max((time.monotonic() - one.since for one in self._lanes.heads()), default=0.0)

    async def enter(self, ticket: Ticket, size: int = 1) -> None:
        """Returns at its turn; then `leave` has to follow. Raises Unavailable once all is closed."""
        turn = _Turn(asyncio.get_running_loop().create_future(), size, time.monotonic())
        place = self._lanes.push(ticket.lane, turn, size)
        self._call()
        with ticket.followed(partial(self._lanes.move, place)):
            try:
                await self._pending.until(turn.come)
            except BaseException:
                if turn.come.cancelled():
                    self._lanes.leave(place)
                    self._call()  # what was too large for the room that is left may have held up the next
                else:
                    self.leave(size)
                raise

    def leave(self, size: int = 1) -> None:
        """What had its turn is done."""
        self.under_way -= size
        self._call()

    def _call(self) -> None:
        while True:
            turn = self._lanes.pop(self.capacity - self.under_way if self.under_way else None)
            if turn is None:
                return
            if not turn.come.done():  # else its caller has just left, and takes itself out
                self.under_way += turn.size
                turn.come.set_result(None)
