"""When to try again. Pure but for the clock, the dice and a line in the log while a judge is away."""

from __future__ import annotations

import logging
import random
import time

from judger.client.channel import Closed
from judger.client.settings import Settings
from judger.errors import DeadlineExceeded, JudgerError, Overloaded, Unavailable

MAX_BACKOFF = 10.0  # seconds
SAY_EVERY = 60.0
"""Seconds between two lines about one judge that is away: hundreds of calls may wait for it."""

logger = logging.getLogger("judger")
_said: dict[str, float] = {}


class Attempts:
    """The attempts of one call, under one deadline.

    A server that says when to come back is obeyed for as long as the deadline allows; one that says nothing is tried
    `max_attempts` times, or for `patience` seconds, in which each attempt has the whole timeout anew. All calls are
    idempotent: the same request, with the same id, is sent again. Nothing else is retried: it would fail again, or its
    time is up.
    """

    def __init__(self, settings: Settings, timeout: float) -> None:
        self._settings = settings
        self._timeout = timeout
        self._ends = time.monotonic() + timeout
        self._num_failed = 0
        self._gives_up: float | None = None
        """When patience ends; None while a judge answers."""

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, at least a hair: gRPC answers a passed deadline itself."""
        return max(1e-3, self._ends - time.monotonic())

    def pause(self, error: JudgerError) -> float:
        """Seconds to wait before the next attempt; raises the error where there is none, or no time for one."""
        now = time.monotonic()
        match error:
            case Closed():
                raise error
            case Overloaded(retry_after=delay) if delay is not None:
                seconds = delay * random.uniform(1.0, 1.2)
            case Unavailable() | DeadlineExceeded() if self._is_patient(now, error):
                seconds = self._backoff(error)
                self._ends = now + seconds + self._timeout
            case Unavailable():
                seconds = self._backoff(error)
                if error.retry_after is None and self._num_failed >= self._settings.max_attempts:
                    raise error
            case _:
                raise error
        if now + seconds >= self._ends:
            raise error
        return seconds

    def _backoff(self, error: Unavailable | DeadlineExceeded) -> float:
        """A server that says when to come back is no failed attempt: its engine is being loaded, say."""
        told = error.retry_after if isinstance(error, Unavailable) else None
        self._num_failed += told is None
        doubled = self._settings.backoff * 2.0 ** min(max(0, self._num_failed - 1), 30)
        return max(told or 0.0, min(MAX_BACKOFF, doubled)) * random.uniform(1.0, 1.5)

    def _is_patient(self, now: float, error: JudgerError) -> bool:
        patience, address = self._settings.patience, self._settings.address
        if not patience:
            return False
        if self._gives_up is None:
            self._gives_up = now + patience
            if now - _said.get(address, float("-inf")) >= SAY_EVERY:
                _said[address] = now
                logger.warning("the judge does not answer; waiting for it up to %g s: %s", patience, error)
        return now < self._gives_up
