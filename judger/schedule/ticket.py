"""A caller's ticket: whose work it is, by when it is wanted, and the room that is held for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from judger.types import Lane

__all__ = ["Room", "Ticket"]


class Room:
    """Tokens that are held in a lane, until they are given back. Used as a block, it gives them back at its end.

    Args:
        held: the tokens of all, by lane.
        on_free: told of a lane in which there is more room now.
    """

    def __init__(self, held: dict[Lane, int], tokens: int, lane: Lane, on_free: Callable[[Lane], None]) -> None:
        self.tokens = tokens
        self.lane = lane
        self._held = held
        self._on_free = on_free
        held[lane] += tokens

    def give_back(self) -> None:
        """All of it; once is enough."""
        tokens, self.tokens = self.tokens, 0
        if tokens:
            self._held[self.lane] -= tokens
            self._on_free(self.lane)

    def move(self, lane: Lane) -> None:
        """It counts against another lane from now on, full as that may be: no work is added by it."""
        if self.tokens:
            before, self.lane = self.lane, lane
            self._held[before] -= self.tokens
            self._held[lane] += self.tokens
            self._on_free(before)

    def part(self, tokens: int) -> Room:
        """Some of it, to be given back by itself."""
        self.tokens -= tokens
        self._held[self.lane] -= tokens
        return Room(self._held, tokens, self.lane, self._on_free)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()


@dataclass(eq=False, slots=True)
class Ticket:
    """Whose work it is, and the instant (of `time.monotonic`) at which it is worth nothing any more."""

    lane: Lane = Lane.TRAINING
    deadline: float = math.inf
    patient: bool = False
    """Waits for room instead of being refused: a stream, whose writer is held back meanwhile."""
    room: Room | None = None
    """Its group was let in whole, and this is its share."""
    in_engine: bool = False
    """The engine is at it, and can't be called back."""
    _followers: list[Callable[[Lane], object]] = field(default_factory=list, init=False, repr=False)

    def handed_on(self) -> Ticket:
        """The same for a piece of work, which may come to be other callers' too. The room goes with it."""
        room, self.room = self.room, None
        return Ticket(self.lane, self.deadline, self.patient, room)

    def give_back(self) -> None:
        """The room, where no work has taken it."""
        if self.room is not None:
            self.room.give_back()
            self.room = None

    def move(self, lane: Lane) -> None:
        """To another lane, in whatever line it stands."""
        self.lane = lane
        for follow in tuple(self._followers):
            follow(lane)

    @contextmanager
    def followed(self, follow: Callable[[Lane], object]) -> Iterator[None]:
        """While the block runs `follow` is told of a new lane."""
        self._followers.append(follow)
        try:
            yield
        finally:
            self._followers.remove(follow)
