"""Queues that share one engine by weight: start-time fair queueing (Goyal, Vin and Cheng 1996), by tokens.

Each lane has a virtual time: the tokens it was given, divided by its weight. The lane that is furthest behind goes
next. A lane that was empty starts at the others' time: it can't save up, and its first case need not wait for what
others were given meanwhile.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping
from typing import Generic, TypeVar

from judger.types import Lane

T = TypeVar("T")


class Lanes(Generic[T]):
    """Items with their tokens in three queues; each is first in, first out."""

    def __init__(self, weights: Mapping[Lane, float]) -> None:
        self._weights = weights
        self._queues: dict[Lane, deque[tuple[T, int]]] = {lane: deque() for lane in Lane}
        self._times = dict.fromkeys(Lane, 0.0)
        self._now = 0.0
        self.tokens = dict.fromkeys(Lane, 0)
        """Queued, by lane."""

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def heads(self) -> list[T]:
        """The first of each lane. From any thread: a lane may run empty between a look and the next."""
        found = []
        for queue in self._queues.values():
            with contextlib.suppress(IndexError):
                found.append(queue[0][0])
        return found

    def push(self, lane: Lane, item: T, tokens: int) -> None:
        """Appends an item to a lane."""
        if not self._queues[lane]:
            self._times[lane] = max(self._times[lane], self._now)
        self._queues[lane].append((item, tokens))
        self.tokens[lane] += tokens

    def pop(self, room: int | None = None) -> T | None:
        """The next item. None if there is none, or if it has more than `room` tokens: then it keeps its turn."""
        lane = min((one for one in Lane if self._queues[one]), key=self._times.__getitem__, default=None)
        if lane is None or (room is not None and self._queues[lane][0][1] > room):
            return None
        item, tokens = self._queues[lane].popleft()
        self.tokens[lane] -= tokens
        self._now = self._times[lane]
        self._times[lane] += tokens / self._weights[lane]
        return item

    def refund(self, lane: Lane, tokens: int) -> None:
        """What was popped is not run after all: its lane has not had it."""
        self._times[lane] -= tokens / self._weights[lane]
