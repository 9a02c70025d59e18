"""What can't be done in time is refused at once, with when to come back; what can waits its turn.

Tokens here are estimated from the texts before any of them is tokenised, and the engine's pace is learned in the same
unit. Work holds its tokens from its admission until it is done. A lane holds at most `max_queued_tokens`, so that a
flood in one lane never closes another; a request with a deadline is refused when the work ahead of it in its lane, at
the lane's share of the pace, would take longer.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from judger.errors import Overloaded
from judger.types import Case, Lane

__all__ = ["LANE_WEIGHTS", "Admission", "Ticket", "estimated_tokens"]

LANE_WEIGHTS: Mapping[Lane, float] = {Lane.TRAINING: 6.0, Lane.EVALUATION: 3.0, Lane.BULK: 1.0}
"""Shares of the engine while all lanes have work; what a lane doesn't use is the others'."""

SHORTEST_DELAY = 0.05
"""Seconds: nobody is told to come back sooner."""
SMOOTHING = 0.2
"""The weight of the latest batch in the learned pace."""


@dataclass(eq=False, slots=True)
class Ticket:
    """Whose work it is, and the instant (of `time.monotonic`) at which it is worth nothing any more."""

    lane: Lane = Lane.TRAINING
    deadline: float = math.inf
    admitted: bool = False
    """Its group was admitted whole."""
    patient: bool = False
    """Waits for room instead of being refused: a stream, whose writer is held back meanwhile."""


class Admission:
    """The permits, and the engine's pace.

    Args:
        max_queued_tokens: a lane's, estimated, of work that is queued or runs. A case that alone has more is taken
            while its lane is empty.
        weights: the lanes' shares.
        batch_tokens: of a batch: work ends when its batch does, half a batch later on average.
    """

    def __init__(
        self,
        max_queued_tokens: int,
        *,
        weights: Mapping[Lane, float] = LANE_WEIGHTS,
        batch_tokens: int = 0,
    ) -> None:
        self.max_queued_tokens = max_queued_tokens
        self.weights = weights
        self.batch_tokens = batch_tokens
        self.held = dict.fromkeys(Lane, 0)
        self.pace: float | None = None
        """Tokens a second of an engine with enough to do; None until that was seen."""
        self._waiting: dict[Lane, deque[tuple[asyncio.Future[None], int]]] = {lane: deque() for lane in Lane}
        """Who waits for room, by lane, with the tokens they want."""

    def learn(self, tokens: int, seconds: float) -> None:
        """A batch took that long. Only for batches that left others waiting: a small one tells little of the pace."""
        if tokens and seconds > 0:
            latest = tokens / seconds
            self.pace = latest if self.pace is None else self.pace + SMOOTHING * (latest - self.pace)

    def seconds_for(self, tokens: int, lane: Lane) -> float:
        """About how long that much more work in a lane takes from now; 0 while the pace is unknown."""
        if self.pace is None:
            return 0.0
        active = sum(weight for one, weight in self.weights.items() if one is lane or self.held[one])
        in_lane = (self.held[lane] + tokens) * active / self.weights[lane]
        return (min(in_lane, sum(self.held.values()) + tokens) + self.batch_tokens / 2) / self.pace

    def check(self, tokens: int, ticket: Ticket) -> None:
        """Raises Overloaded where there is no room, or no time. An idle engine takes everything: it may be faster."""
        held = self.held[ticket.lane]
        if not self._has_room(tokens, ticket.lane):
            excess = held + tokens - self.max_queued_tokens
            raise Overloaded(
                f"the {ticket.lane} lane is full: {held:,} tokens of {self.max_queued_tokens:,}",
                self._delay(excess / self.pace if self.pace else 1.0),
            )
        if self.pace is not None and ticket.deadline < math.inf and any(self.held.values()):
            seconds, left = self.seconds_for(tokens, ticket.lane), ticket.deadline - time.monotonic()
            if seconds > left:
                raise Overloaded(
                    f"the {ticket.lane} lane needs about {seconds:.2f} s, the deadline leaves {max(0.0, left):.2f} s",
                    self._delay(seconds),  # when it would be this one's turn; sooner is no use, whatever the deadline
                )

    async def enter(self, tokens: int, ticket: Ticket) -> None:
        """`check`, unless it was done; a patient one waits for room."""
        if not ticket.patient:
            if not ticket.admitted:
                self.check(tokens, ticket)
            return
        while not self._has_room(tokens, ticket.lane):
            turn = asyncio.get_running_loop().create_future()
            self._waiting[ticket.lane].append((turn, tokens))
            try:
                await turn
            except asyncio.CancelledError:
                self._call(ticket.lane)  # the room that was to be theirs is the next one's
                raise

    @contextmanager
    def holding(self, tokens: int, lane: Lane) -> Iterator[None]:
        """Holds the tokens while the block runs."""
        self.held[lane] += tokens
        try:
            yield
        finally:
            self.held[lane] -= tokens
            self._call(lane)

    def _has_room(self, tokens: int, lane: Lane, promised: int = 0) -> bool:
        """A lane that is empty takes everything."""
        held = self.held[lane] + promised
        return not held or held + tokens <= self.max_queued_tokens

    def _call(self, lane: Lane) -> None:
        """Wakes those who have waited longest, as many as there is room for: thousands may wait."""
        queue, promised = self._waiting[lane], 0
        while queue and (queue[0][0].done() or self._has_room(queue[0][1], lane, promised)):
            turn, tokens = queue.popleft()
            if not turn.done():  # else its caller has left
                turn.set_result(None)
                promised += tokens

    @staticmethod
    def _delay(seconds: float) -> float:
        return max(SHORTEST_DELAY, seconds)


def estimated_tokens(case: Case) -> int:
    """Four characters a token, as a rule of thumb: enough to compare cases by."""
    return (len(case.query) + len(case.report) + sum(len(one.text) for one in case.criteria)) // 4 + 1
