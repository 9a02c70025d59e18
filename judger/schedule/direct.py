"""Engines that batch by themselves, behind the batcher's interface: cases are handed over by lane, so many at a time.

The engine's own queue knows no lanes. So it is kept short: as many tokens as keep it busy, and the rest waits here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from judger.engines.base import VERDICT_TIER, Engine, Outcome, SelfBatching, Tier
from judger.errors import EngineError
from judger.schedule.admission import Admission, Ticket
from judger.schedule.device import run_in_daemon
from judger.schedule.isolation import Ran, failed, is_failed, judged_tokens
from judger.schedule.keeper import WARM_UP, Keeper, check_proof, ended
from judger.schedule.pending import Pending
from judger.schedule.queue import is_late, late
from judger.schedule.turns import Turns
from judger.types import Case

logger = logging.getLogger(__name__)

BATCHES_AT_A_TIME = 4
"""Budgets of a batch that the engine has at a time: enough to make batches of, few enough for lanes to matter."""


class Direct:
    """Asks a self-batching engine. Arguments as of `Batcher`."""

    def __init__(
        self,
        engine: SelfBatching,
        *,
        max_batch_tokens: int = 16_384,
        admission: Admission | None = None,
        rebuild: Callable[[], Engine | SelfBatching] | None = None,
        engine_timeout: float = 600.0,
        backoff: float = 0.5,
    ) -> None:
        self.keeper = Keeper(engine, self._prove, self._rebuild if rebuild else None, backoff=backoff)
        self.admission = admission or Admission(2**62)
        self.engine_timeout = engine_timeout
        self.on_death: Callable[[BaseException], object] = lambda error: None
        """Told of a fault of ours that ends the judge."""
        self._build = rebuild
        self._reviving: asyncio.Task[None] | None = None
        self._pending = Pending()
        self._turns = Turns(BATCHES_AT_A_TIME * max_batch_tokens, self.admission.weights, self._pending)
        self._num_criteria = 0
        self._round = 0
        """Tokens that were judged since `_round_since` while others waited."""
        self._round_since: float | None = None
        self._ended = False

    @property
    def queued(self) -> tuple[int, int]:
        """(criteria, tokens) that wait here; what the engine has it queues itself. Tokens as of admission."""
        return self._num_criteria, self._turns.tokens_waiting

    @property
    def oldest(self) -> float:
        """Seconds that the oldest case here has waited."""
        return self._turns.oldest

    async def run(self, case: Case, tier: Tier, ticket: Ticket | None = None, estimate: int = 0) -> Ran:
        """The outcomes of one case. Cancelling it frees what it holds in the engine. Raises Unavailable."""
        ticket, since = ticket or Ticket(), time.monotonic()
        self._check_up()
        self._num_criteria += len(case.criteria)
        try:
            await self._turns.enter(ticket, estimate)
        finally:
            self._num_criteria -= len(case.criteria)
        try:
            waited = time.monotonic() - since
            self._check_up()  # it may have gone down meanwhile
            pace, ahead = self.admission.pace, self._turns.under_way
            # What is alone may be faster than the pace of a full engine.
            if is_late(ticket, ahead / pace if pace is not None and ahead > estimate else 0.0):
                return Ran(late(case), waited, 0.0)
            ran = await self._pending.until(asyncio.ensure_future(self._ask(case, tier, waited)))
            self._learn(judged_tokens(ran.outcomes, estimate))
            return ran
        finally:
            self._turns.leave(estimate)

    async def prove(self) -> list[Outcome]:
        """The outcomes of a warm-up. Raises where the engine gives no verdict."""
        return await self.keeper.prove()

    async def close(self, patience: float = 5.0) -> None:
        """Whoever still waits is told UNAVAILABLE at once; then the engine is closed, or left behind."""
        self._pending.close()
        if self._ended:
            return
        self._ended = True
        if self._reviving is not None:
            self._reviving.cancel()
        await ended(run_in_daemon(self.keeper.engine.close), patience)

    def _check_up(self) -> None:
        if not self.keeper.is_up and not self._pending.is_closed:
            raise self.keeper.down()

    async def _ask(self, case: Case, tier: Tier, waited: float) -> Ran:
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
            self._reviving.add_done_callback(self._revived)
        return Ran(outcomes, waited, time.monotonic() - started)

    def _learn(self, tokens: int) -> None:
        """Cases end in no order. The pace is that of a round: as many tokens as the engine has at a time."""
        now = time.monotonic()
        if not self._turns.num_waiting:
            self._round_since = None
            return
        if self._round_since is None:
            self._round, self._round_since = 0, now
            return
        self._round += tokens
        if self._round >= self._turns.capacity:
            self.admission.learn(self._round, now - self._round_since)
            self._round, self._round_since = 0, now

    def _revived(self, reviving: asyncio.Task[None]) -> None:
        """Reviving ends with an engine that judges; if it ends otherwise there will be none."""
        if reviving.cancelled() or (error := reviving.exception()) is None:
            return
        logger.critical("the judge died", exc_info=error)
        self._pending.close()
        self.on_death(error)

    async def _prove(self, engine: SelfBatching) -> list[Outcome]:
        async with asyncio.timeout(self.engine_timeout):
            return check_proof(await engine.judge(WARM_UP, VERDICT_TIER))

    async def _rebuild(self, old: SelfBatching) -> SelfBatching:
        assert self._build is not None
        try:
            await run_in_daemon(old.close)
        except Exception as error:
            logger.warning("the dead engine could not be closed: %r", error, exc_info=True)
        engine = await run_in_daemon(self._build)
        if not isinstance(engine, SelfBatching):
            raise EngineError(f"it came back as an engine that does not batch by itself: {engine.identity}")
        return engine
