"""The engine's pace: the median of its last full batches, so that one stall says nothing of the next batch.

A batch that is not full is slower by the token than a full one. So it only ever corrects a pace that is too low: an
engine that did more than that a second can. What failed or was refused is nobody's pace. What was seen long ago is
forgotten, and then nothing is known: or a wrong pace would refuse for ever the work that could correct it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median

__all__ = ["Pace"]

SEEN = 15
"""Batches that the pace is the median of."""
ENOUGH = 3
"""Batches that have to be seen before there is a pace: a first one may be slow."""
REMEMBERED = 60.0
"""Seconds that a batch is remembered for."""


class Pace:
    """Learns from (tokens, seconds) of batches. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, float]] = deque(maxlen=SEEN)
        """(when, tokens a second), oldest first."""

    @property
    def value(self) -> float | None:
        """Tokens a second of an engine with enough to do; None while that is unknown. From any thread."""
        oldest = self._clock() - REMEMBERED
        rates = [rate for at, rate in tuple(self._seen) if at >= oldest]
        return median(rates) if len(rates) >= ENOUGH else None

    def learn(self, tokens: int, seconds: float, *, is_full: bool) -> None:
        """A batch of that many tokens took that long.

        Args:
            is_full: it left others waiting, so that this is what the engine can do.
        """
        if tokens <= 0 or seconds <= 0:
            return
        rate, known = tokens / seconds, self.value
        if is_full or (known is not None and rate > known):
            self._seen.append((self._clock(), rate))
