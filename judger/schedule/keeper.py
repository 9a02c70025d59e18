"""Keeps an engine alive: after a failure it has to prove itself, and one that can't is built anew, with backoff.

The proof is a verdict on a small case. It tells a bad case, which fails alone, from a dead engine (a CUDA context that
is gone, a worker process that died, an endpoint that doesn't answer), whatever the exception was called.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from judger.engines.base import EngineInfo, Outcome
from judger.engines.proof import WARM_UP
from judger.errors import EngineError, Unavailable
from judger.types import Unscored
from judger.verdict import score

__all__ = ["WARM_UP", "Keeper", "check_proof", "ended", "shutting_down"]

logger = logging.getLogger(__name__)
E = TypeVar("E", bound=EngineInfo)

FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 60.0  # seconds

RETRY_AFTER = 1.0
"""Seconds: when callers of a judge that shuts down may find another one."""


def check_proof(outcomes: list[Outcome]) -> list[Outcome]:
    """These outcomes of `WARM_UP`; EngineError unless they are a verdict."""
    if not outcomes:
        raise EngineError("the warm-up verdict failed: no outcome")
    outcome = outcomes[0].result
    result = outcome if isinstance(outcome, Unscored) else score(outcome, negative=False)
    if isinstance(result, Unscored):
        raise EngineError(f"the warm-up verdict failed: {result.reason}: {result.detail}")
    return outcomes


class Keeper(Generic[E]):
    """Holds the engine of a judge.

    Args:
        prove: judges `WARM_UP` with an engine; raises where no verdict comes of it.
        rebuild: ends the old engine and makes a new one; without it the old one is asked again and again.
        backoff: seconds before the first attempt to restart; doubled each time.
        on_change: told when the engine goes down (False) and comes back (True).
    """

    def __init__(
        self,
        engine: E,
        prove: Callable[[E], Awaitable[list[Outcome]]],
        rebuild: Callable[[E], Awaitable[E]] | None = None,
        *,
        backoff: float = FIRST_BACKOFF,
    ) -> None:
        self.engine = engine
        self.on_change: Callable[[bool], None] = lambda up: None
        self.num_restarts = 0
        self._prove = prove
        self._rebuild = rebuild
        self._backoff = backoff
        self._back_at: float | None = None
        self._identity = engine.identity

    @property
    def is_up(self) -> bool:
        return self._back_at is None

    def down(self) -> Unavailable:
        """What callers are told while the engine is down, with when the next attempt has been made."""
        delay = max(self._backoff, (self._back_at or 0.0) - time.monotonic())
        return Unavailable("the engine has failed and is being restarted", retry_after=delay)

    async def prove(self) -> list[Outcome]:
        """The outcomes of `WARM_UP`. Raises where the engine gives no verdict."""
        return await self._prove(self.engine)

    async def revive(self, *, dead: bool = False) -> None:
        """After a failure. Returns when the engine has given a verdict, be it the old one or a new one.

        Args:
            dead: known to be; it is not asked.
        """
        if not dead:
            try:
                await self._prove(self.engine)
                return
            except Exception as error:
                logger.error("the engine is down: %r", error, exc_info=True)
        backoff = self._backoff
        self._back_at = time.monotonic() + backoff
        self.on_change(False)
        while True:
            await asyncio.sleep(backoff)
            try:
                if self._rebuild is not None:
                    engine = await self._rebuild(self.engine)
                    if engine.identity != self._identity:
                        raise EngineError(f"it came back as another judge: {engine.identity}")
                    self.engine = engine
                await self._prove(self.engine)
                break
            except Exception as error:
                backoff = min(2 * backoff, LONGEST_BACKOFF)
                self._back_at = time.monotonic() + backoff
                logger.error(
                    "the engine could not be restarted, next attempt in %.1f s: %r", backoff, error, exc_info=True
                )
        self._back_at = None
        self.num_restarts += 1
        logger.warning("the engine is back")
        self.on_change(True)


def shutting_down() -> Unavailable:
    """What callers of a closed judge are told."""
    return Unavailable("the judge is shutting down", retry_after=RETRY_AFTER)


async def ended(closing: Awaitable[Any], patience: float) -> None:
    """Waits for an engine to close. One that has not after `patience` seconds is left behind, and the log says so."""
    try:
        async with asyncio.timeout(patience):
            await closing
    except TimeoutError:
        logger.warning("the engine has not closed after %.0f s and is left behind", patience)
    except Exception as error:
        logger.warning("the engine could not be closed: %r", error, exc_info=True)
