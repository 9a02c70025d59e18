"""Engines that batch by themselves, behind the batcher's interface: each case is handed over as it comes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from judger.engines.base import VERDICT_TIER, Engine, Outcome, SelfBatching, Tier
from judger.errors import EngineError
from judger.schedule.admission import Ticket
from judger.schedule.isolation import Ran, failed, is_failed
from judger.schedule.keeper import WARM_UP, Keeper, check_proof, shutting_down
from judger.types import Case

logger = logging.getLogger(__name__)


class Direct:
    """Asks a self-batching engine. Arguments as of `Batcher`."""

    queued = (0, 0)
    """The engine has its own queue."""
    oldest = 0.0

    def __init__(
        self,
        engine: SelfBatching,
        *,
        rebuild: Callable[[], Engine | SelfBatching] | None = None,
        engine_timeout: float = 600.0,
        backoff: float = 0.5,
    ) -> None:
        self.keeper = Keeper(engine, self._prove, self._rebuild if rebuild else None, backoff=backoff)
        self.engine_timeout = engine_timeout
        self._build = rebuild
        self._reviving: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[Ran]] = set()
        self._closed = False

    async def run(self, case: Case, tier: Tier, ticket: Ticket | None = None, estimate: int = 0) -> Ran:
        """The outcomes of one case. Cancelling it frees what it holds in the engine. Raises Unavailable."""
        if self._closed:
            raise shutting_down()
        if not self.keeper.is_up:
            raise self.keeper.down()
        asked = asyncio.ensure_future(self._ask(case, tier))
        self._running.add(asked)
        try:
            await asyncio.wait([asked])
        finally:
            self._running.discard(asked)
            asked.cancel()
        if asked.cancelled():
            raise shutting_down()
        return asked.result()

    async def prove(self) -> list[Outcome]:
        """The outcomes of a warm-up. Raises where the engine gives no verdict."""
        return await self.keeper.prove()

    async def close(self, patience: float = 5.0) -> None:
        """Whoever still waits is told UNAVAILABLE at once; then the engine is closed."""
        self._closed = True
        for task in (*self._running, *([self._reviving] if self._reviving else ())):
            task.cancel()
        try:
            async with asyncio.timeout(patience):
                await asyncio.get_running_loop().run_in_executor(None, self.keeper.engine.close)
        except Exception as error:
            logger.warning("the engine could not be closed: %r", error, exc_info=True)

    async def _ask(self, case: Case, tier: Tier) -> Ran:
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.engine_timeout):
                outcomes = await self.keeper.engine.judge(case, tier)
            if len(outcomes) != len(case.criteria):
                raise RuntimeError("the engine returned another number of outcomes than there are criteria")
        except Exception as error:
            logger.warning("a case failed: %r", error, exc_info=True)
            outcomes = failed(error, case)
        if is_failed(outcomes) and (self._reviving is None or self._reviving.done()):
            self._reviving = asyncio.create_task(self.keeper.revive())
        return Ran(outcomes, 0.0, time.monotonic() - started)

    async def _prove(self, engine: SelfBatching) -> list[Outcome]:
        async with asyncio.timeout(self.engine_timeout):
            return check_proof(await engine.judge(WARM_UP, VERDICT_TIER))

    async def _rebuild(self, old: SelfBatching) -> SelfBatching:
        assert self._build is not None
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, old.close)
        except Exception as error:
            logger.warning("the dead engine could not be closed: %r", error, exc_info=True)
        engine = await loop.run_in_executor(None, self._build)
        if not isinstance(engine, SelfBatching):
            raise EngineError(f"it came back as an engine that does not batch by itself: {engine.identity}")
        return engine
