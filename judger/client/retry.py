"""When to try again. Pure but for the clock and the dice."""

from __future__ import annotations

import random
import time

from judger.client.channel import Closed
from judger.client.settings import Settings
from judger.errors import JudgerError, Overloaded, Unavailable

MAX_BACKOFF = 10.0  # seconds


class Attempts:
    """The attempts of one call, under one deadline.

    An overloaded server that says when to come back is obeyed for as long as the deadline allows; an unavailable one
    is tried `max_attempts` times. All calls are idempotent: the same request, with the same id, is sent again. Nothing
    else is retried: it would fail again, or its time is up.
    """

    def __init__(self, settings: Settings, timeout: float) -> None:
        self._settings = settings
        self._ends = time.monotonic() + timeout
        self._num_failed = 0

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, at least a hair: gRPC answers a passed deadline itself."""
        return max(1e-3, self._ends - time.monotonic())

    def pause(self, error: JudgerError) -> float:
        """Seconds to wait before the next attempt; raises the error where there is none, or no time for one."""
        match error:
            case Overloaded():
                seconds = error.retry_after * random.uniform(1.0, 1.2)
            case Unavailable() if not isinstance(error, Closed):
                self._num_failed += 1
                if self._num_failed >= self._settings.max_attempts:
                    raise error
                doubled = self._settings.backoff * 2.0 ** (self._num_failed - 1)
                seconds = max(error.retry_after or 0.0, min(MAX_BACKOFF, doubled)) * random.uniform(1.0, 1.5)
            case _:
                raise error
        if time.monotonic() + seconds >= self._ends:
            raise error
        return seconds
