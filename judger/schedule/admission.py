"""What can't be done in time is refused at once, with when to come back; what can waits its turn.

Tokens here are estimated from the texts before any of them is tokenised, and the engine's pace is learned in the same
unit. Work holds its tokens from its admission until it is done. A lane holds at most `max_queued_tokens`, so that a
flood in one lane never closes another; a request with a deadline is refused when the work ahead of it in its lane, at
the lane's share of the pace, would take longer.

Who comes into a lane that is full is refused, or waits, if that is a stream. The last one before a lane is full may
need more room than is left: it waits for that too, and nobody passes it. So large work is let in as readily as small.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from judger.engines.base import VERDICT_TIER, Tier
from judger.errors import Overloaded
from judger.schedule.lanes import LANE_WEIGHTS, Line, Place, check_weights
from judger.schedule.pace import Pace
from judger.schedule.ticket import Room, Ticket
from judger.types import Case, Explain, Lane

__all__ = ["LANE_WEIGHTS", "Admission", "Room", "Ticket", "estimated_tokens"]

SHORTEST_DELAY = 0.05
"""Seconds: nobody is told to come back sooner."""
REASON_TOKENS = 128
"""About what a written reason takes: half of what the engines let it have."""


@dataclass(eq=False, slots=True)
class _Wish:
    """Somebody who waits for room."""

    room: asyncio.Future[Room]
    is_patient: bool


class Admission:
    """The permits, and the engine's pace.

    Args:
        max_queued_tokens: a lane's, estimated, of work that is queued or runs. What alone has more is taken while its
            lane is empty.
        weights: the lanes' shares.
        batch_tokens: of a batch: work ends when its batch does, half a batch later on average.
        clock: seconds, for the pace.

    Raises:
        ValueError: a weight is no share.
    """

    def __init__(
        self,
        max_queued_tokens: int,
        *,
        weights: Mapping[Lane, float] = LANE_WEIGHTS,
        batch_tokens: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_weights(weights)
        self.max_queued_tokens = max_queued_tokens
        self.weights = weights
        self.batch_tokens = batch_tokens
        self.held = dict.fromkeys(Lane, 0)
        self.promised = dict.fromkeys(Lane, 0)
        """Tokens of those who wait for room and will not be refused any more, but for the streams'."""
        self._pace = Pace(clock)
        self._lines: dict[Lane, Line[_Wish]] = {lane: Line() for lane in Lane}
        """Who waits for room."""

    @property
    def pace(self) -> float | None:
        """Tokens a second of an engine with enough to do; None while that is unknown."""
        return self._pace.value

    def learn(self, tokens: int, seconds: float, *, is_full: bool = True) -> None:
        """A batch took that long; `is_full`: it left others waiting. Not for what failed."""
        self._pace.learn(tokens, seconds, is_full=is_full)

    def seconds_for(self, tokens: int, lane: Lane) -> float:
        """About how long that much more work in a lane takes from now; 0 while the pace is unknown."""
        pace = self.pace
        if pace is None:
            return 0.0
        ahead = {one: self.held[one] + self._lines[one].tokens for one in Lane}
        active = sum(weight for one, weight in self.weights.items() if one is lane or ahead[one])
        in_lane = (ahead[lane] + tokens) * active / self.weights[lane]
        return (min(in_lane, sum(ahead.values()) + tokens) + self.batch_tokens / 2) / pace

    def check(self, tokens: int, ticket: Ticket) -> None:
        """Raises Overloaded where there is no room, or no time. An idle engine takes everything: it may be faster."""
        taken, pace = self.held[ticket.lane] + self.promised[ticket.lane], self.pace
        if taken >= self.max_queued_tokens:
            excess = min(taken, taken + tokens - self.max_queued_tokens)
            raise Overloaded(
                f"the {ticket.lane} lane is full: {taken:,} tokens of {self.max_queued_tokens:,}",
                self._delay(excess / pace if pace else 1.0),
            )
        if pace is not None and ticket.deadline < math.inf and any(self.held.values()):
            seconds, left = self.seconds_for(tokens, ticket.lane), ticket.deadline - time.monotonic()
            if seconds > left:
                raise Overloaded(
                    f"the {ticket.lane} lane needs about {seconds:.2f} s, the deadline leaves {max(0.0, left):.2f} s",
                    self._delay(seconds),  # when it would be this one's turn; sooner is no use, whatever the deadline
                )

    async def enter(self, tokens: int, ticket: Ticket) -> Room:
        """Room for that much, held until it is given back. Who is not refused waits for it behind those who came first.

        Raises:
            Overloaded: as `check`, at once; never for a patient ticket.
        """
        if not ticket.patient:
            self.check(tokens, ticket)
        lane = ticket.lane
        if not self._lines[lane] and self._has_room(tokens, lane):
            return self.holding(tokens, lane)
        wish = _Wish(asyncio.get_running_loop().create_future(), ticket.patient)
        place = Place(wish, tokens, lane)
        self._join(place)
        with ticket.followed(partial(self._move, place)):
            try:
                return await wish.room
            except asyncio.CancelledError:
                if self._leave(place):
                    self._call(place.lane)
                elif not wish.room.cancelled():  # the room came, and nobody is there to take it
                    wish.room.result().give_back()
                raise

    def holding(self, tokens: int, lane: Lane) -> Room:
        """Room for that much, whether there is any or not."""
        return Room(self.held, tokens, lane, self._call)

    def _has_room(self, tokens: int, lane: Lane) -> bool:
        """A lane that is empty takes everything."""
        return not self.held[lane] or self.held[lane] + tokens <= self.max_queued_tokens

    def _join(self, place: Place[_Wish]) -> None:
        self._lines[place.lane].push(place)
        self.promised[place.lane] += 0 if place.item.is_patient else place.tokens

    def _leave(self, place: Place[_Wish]) -> bool:
        waited = self._lines[place.lane].leave(place)
        if waited and not place.item.is_patient:
            self.promised[place.lane] -= place.tokens
        return waited

    def _move(self, place: Place[_Wish], lane: Lane) -> None:
        """To the end of another lane's line."""
        before = place.lane
        if self._leave(place):
            place.lane = lane
            self._join(place)
            self._call(before)
            self._call(lane)

    def _call(self, lane: Lane) -> None:
        """Lets in those who have waited longest, as many as there is room for: thousands may wait."""
        while (place := self._lines[lane].head) is not None:
            room = place.item.room
            if not room.done() and not self._has_room(place.tokens, lane):
                return
            self._leave(place)
            if not room.done():  # else its caller is just leaving
                room.set_result(self.holding(place.tokens, lane))

    @staticmethod
    def _delay(seconds: float) -> float:
        return max(SHORTEST_DELAY, seconds)


def estimated_tokens(case: Case, tier: Tier = VERDICT_TIER) -> int:
    """Four characters a token, as a rule of thumb, and what is written: enough to compare cases by.

    A reason is written for each criterion and in each trial. With `UNDER_MARGIN` nobody knows yet for which.
    """
    read = (len(case.query) + len(case.report) + sum(len(one.text) for one in case.criteria)) // 4 + 1
    written = 0 if tier.explain is Explain.NEVER else REASON_TOKENS * len(case.criteria) * tier.trials
    return read + written
