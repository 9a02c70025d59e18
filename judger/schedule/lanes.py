"""Queues that share one engine by weight: start-time fair queueing (Goyal, Vin and Cheng 1996), by tokens.

Each lane has a virtual time: the tokens it was given, divided by its weight. The lane that is furthest behind goes
next. A lane that was empty starts at the others' time: it can't save up, and its first case need not wait for what
others were given meanwhile.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from judger.types import Lane

__all__ = ["LANE_WEIGHTS", "Lanes", "Line", "Place", "check_weights"]

T = TypeVar("T")

LANE_WEIGHTS: Mapping[Lane, float] = {Lane.TRAINING: 6.0, Lane.EVALUATION: 3.0, Lane.BULK: 1.0}
"""Shares of the engine while all lanes have work; what a lane doesn't use is the others'."""

MOST_GONE = 64
"""Places that were given up and are still in a line, before it is cleared of them."""


def check_weights(weights: Mapping[Lane, float]) -> None:
    """Raises ValueError for weights that are no shares: of nothing a lane would never get its turn."""
    for lane, weight in weights.items():
        if not (math.isfinite(weight) and weight > 0):
            raise ValueError(f"the {lane} lane's weight is {weight:g}: it must be a number above 0")


@dataclass(eq=False, slots=True)
class Place(Generic[T]):
    """One that waits in a line."""

    item: T
    tokens: int
    lane: Lane
    slot: list[Place[T]] = field(default_factory=list)
    """Where it stands in its line, which holds the same list; empty when it waits no more."""


class Line(Generic[T]):
    """First in, first out; whoever waits may leave from anywhere. `head` and `tokens` may be read from any thread."""

    def __init__(self) -> None:
        self._slots: deque[list[Place[T]]] = deque()  # the first of them is not empty
        self._num_waiting = 0
        self.tokens = 0

    def __len__(self) -> int:
        return self._num_waiting

    @property
    def head(self) -> Place[T] | None:
        """Whoever is next."""
        with contextlib.suppress(IndexError):  # between a look from another thread and the next it may run empty
            return self._slots[0][0]
        return None

    def push(self, place: Place[T]) -> None:
        """Appends a place, which is in no line."""
        place.slot = [place]
        self._slots.append(place.slot)
        self._num_waiting += 1
        self.tokens += place.tokens

    def leave(self, place: Place[T]) -> bool:
        """Takes a place out, wherever in the line it is; False where it was out already."""
        if not place.slot:
            return False
        place.slot.clear()
        self._num_waiting -= 1
        self.tokens -= place.tokens
        while self._slots and not self._slots[0]:
            self._slots.popleft()
        if len(self._slots) > MOST_GONE + 2 * self._num_waiting:
            self._slots = deque(filter(None, self._slots))
        return True


class Lanes(Generic[T]):
    """Items with their tokens in three lines; each is first in, first out. Raises ValueError as `check_weights`."""

    def __init__(self, weights: Mapping[Lane, float]) -> None:
        check_weights(weights)
        self._weights = weights
        self._lines: dict[Lane, Line[T]] = {lane: Line() for lane in Lane}
        self._times = dict.fromkeys(Lane, 0.0)
        self._now = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    @property
    def tokens(self) -> dict[Lane, int]:
        """Queued, by lane."""
        return {lane: line.tokens for lane, line in self._lines.items()}

    def heads(self) -> list[T]:
        """The first of each lane. From any thread."""
        return [place.item for line in self._lines.values() if (place := line.head) is not None]

    def push(self, lane: Lane, item: T, tokens: int) -> Place[T]:
        """Appends an item to a lane."""
        place = Place(item, tokens, lane)
        self._join(place)
        return place

    def move(self, place: Place[T], lane: Lane) -> None:
        """To the end of another lane. Nothing for one that waits no more."""
        if self.leave(place):
            place.lane = lane
            self._join(place)

    def leave(self, place: Place[T]) -> bool:
        """Takes an item out before its turn; False where it is out already."""
        return self._lines[place.lane].leave(place)

    def pop(self, room: int | None = None) -> T | None:
        """The next item. None if there is none, or if it has more than `room` tokens: then it keeps its turn."""
        lane = min((one for one in Lane if self._lines[one]), key=self._times.__getitem__, default=None)
        place = None if lane is None else self._lines[lane].head
        if lane is None or place is None or (room is not None and place.tokens > room):
            return None
        self._now = self._times[lane]
        self._times[lane] += place.tokens / self._weights[lane]
        self._lines[lane].leave(place)
        return place.item

    def refund(self, lane: Lane, tokens: int) -> None:
        """What was popped is not run after all: its lane has not had it."""
        self._times[lane] -= tokens / self._weights[lane]

    def _join(self, place: Place[T]) -> None:
        line = self._lines[place.lane]
        if not line:
            self._times[place.lane] = max(self._times[place.lane], self._now)
        line.push(place)
