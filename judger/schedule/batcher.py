"""Micro-batches for an engine that runs on one device: cases of many callers in one run, under a token budget.

One task owns the queue and every future in it, and what ends it ends the judge; one thread owns the device. A batch
leaves when its tokens reach the budget, or when its oldest case has waited `max_wait`, or at once while nothing else is
on its way. A case whose caller has left, or whose deadline it can't meet any more, is dropped before the engine sees
it. When a batch fails its cases are run once more, each alone, so that one of them can't take the others down; what
still fails is unscored with ENGINE_ERROR. When nothing came of a batch the engine has to prove itself
(`judger.schedule.keeper`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

from judger.engines.base import VERDICT_TIER, Engine, Outcome, SelfBatching, Tier
from judger.errors import EngineError
from judger.schedule.admission import Admission, Ticket
from judger.schedule.device import DaemonThreads
from judger.schedule.isolation import Isolation, Ran, failed, is_failed, judged_tokens
from judger.schedule.keeper import WARM_UP, Keeper, check_proof, ended
from judger.schedule.pending import Pending
from judger.schedule.planning import Planners
from judger.schedule.queue import Queue, Waiting
from judger.types import Case

logger = logging.getLogger(__name__)


class Batcher:
    """Queues planned cases and runs them in batches. Bound to the event loop that first calls `run`.

    Args:
        engine: run from a thread of the batcher's own; owned from here on.
        max_batch_tokens: the budget of one batch; a case that costs more goes alone. Halved for a while when memory
            runs out.
        max_wait: seconds the oldest case waits for company while an earlier batch is not holding it up anyway.
        admission: told the engine's pace; its weights are the lanes'.
        rebuild: makes the engine anew after it has died. Blocking.
        engine_timeout: seconds after which a batch that still runs counts as lost, and its engine as dead.
        backoff: seconds before the first attempt to restart a dead engine.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        max_batch_tokens: int = 16_384,
        max_wait: float = 0.002,
        admission: Admission | None = None,
        rebuild: Callable[[], Engine | SelfBatching] | None = None,
        engine_timeout: float = 600.0,
        backoff: float = 0.5,
    ) -> None:
        self.keeper = Keeper(engine, self._prove, self._rebuild if rebuild else None, backoff=backoff)
        self._isolation = Isolation(max_batch_tokens)
        self.max_wait = max_wait
        self.admission = admission or Admission(2**62)
        self.engine_timeout = engine_timeout
        self.on_batch: Callable[[int], object] = lambda tokens: None
        """Told the tokens of each batch that has run."""
        self.on_death: Callable[[BaseException], object] = lambda error: None
        """Told of a fault of ours that ends the judge."""
        self._build = rebuild
        self._pending = Pending()
        self._queue = Queue(self.admission.weights)
        self._arrived = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._ended = False
        self._planners = Planners(self.admission.weights, self._pending)
        self._device = DaemonThreads("judger-device")

    @property
    def max_batch_tokens(self) -> int:
        """The budget as it is now."""
        return self._isolation.budget.tokens

    @property
    def queued(self) -> tuple[int, int]:
        """(criteria, tokens) that wait for the engine."""
        return self._queue.num_criteria, self._queue.num_tokens

    @property
    def oldest(self) -> float:
        """Seconds that the oldest case in the queue has waited."""
        return self._queue.oldest

    async def run(self, case: Case, tier: Tier, ticket: Ticket | None = None, estimate: int = 0) -> Ran:
        """The outcomes of one case. Cancelling it takes the case out of the queue.

        Raises:
            Unavailable: the judge is shutting down, or its engine is being restarted.
        """
        ticket = ticket or Ticket()
        self._check_up()
        if self._runner is None and not self._pending.is_closed:
            self._runner = asyncio.get_running_loop().create_task(self._serve(), name="judger-batcher")
            self._runner.add_done_callback(self._died)
        planned = await self._planners.plan(self.keeper.engine, case, tier, ticket, estimate)
        plan = planned.plan
        if isinstance(plan, Exception):
            logger.warning("a case could not be planned: %r", plan, exc_info=plan)
            return Ran(failed(plan, case), planned.waited, planned.seconds)
        self._check_up()  # a plan of the old engine's is of no use to a new one
        future: asyncio.Future[Ran] = asyncio.get_running_loop().create_future()
        waiting = Waiting(plan, ticket, estimate, future, time.monotonic(), planned.waited, planned.seconds)
        with ticket.followed(partial(self._queue.move, self._queue.push(waiting))):
            self._arrived.set()
            return await self._pending.until(future)

    async def prove(self) -> list[Outcome]:
        """The outcomes of a warm-up. Raises where the engine gives no verdict."""
        return await self.keeper.prove()

    async def close(self, patience: float = 5.0) -> None:
        """Ends the task, the threads and the engine; whoever still waits is told UNAVAILABLE at once.

        A run that has not ended after `patience` seconds is left behind, and the engine as it is.
        """
        self._pending.close()
        if self._ended:
            return
        self._ended = True
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner], timeout=patience)
        self._planners.close()
        closing = self._device.submit(self.keeper.engine.close)
        self._device.close()
        await ended(asyncio.wrap_future(closing), patience)

    def _check_up(self) -> None:
        if not self.keeper.is_up and not self._pending.is_closed:
            raise self.keeper.down()

    async def _serve(self) -> None:
        ended = 0.0
        was_full = False
        while True:
            batch = await self._next_batch()
            if not batch:
                continue
            is_full = len(self._queue) > 0
            started = time.monotonic()
            # What lies between two batches while others wait is the pace's, too.
            since = ended if was_full else started
            plans = [one.plan for one in batch]
            for one in batch:
                one.ticket.in_engine = True
            run = self._device.submit(partial(self._isolation.run, self.keeper.engine, plans))
            try:
                async with asyncio.timeout(self.engine_timeout):
                    outcomes = await asyncio.wrap_future(run)
                lost = False
            except TimeoutError as error:
                logger.error("a batch of %d cases has not ended after %.0f s", len(batch), self.engine_timeout)
                outcomes, lost = [failed(error, one.plan.case) for one in batch], True
                self._device.close()
                self._device = DaemonThreads("judger-device")  # the old one is stuck, and ends with its run, if ever
            ended, was_full = time.monotonic(), is_full
            seconds = ended - started
            self.on_batch(sum(plan.tokens for plan in plans))
            if not any(map(is_failed, outcomes)):  # what fails is run again, or ends before its time
                tokens = sum(map(judged_tokens, outcomes, (one.estimate for one in batch)))
                self.admission.learn(tokens, ended - since, is_full=is_full)
            for waiting, result in zip(batch, outcomes, strict=True):
                if not waiting.future.done():
                    waited = waiting.waited + started - waiting.since
                    waiting.future.set_result(Ran(result, waited, waiting.planned_in + seconds))
            if lost or all(is_failed(result) for result in outcomes):
                was_full = False
                await self._revive(lost)

    async def _revive(self, dead: bool) -> None:
        """Nothing came of a batch. Who waits while the engine is down is told when to come back."""
        reviving = asyncio.ensure_future(self.keeper.revive(dead=dead))
        try:
            while not reviving.done():
                await asyncio.wait([reviving], timeout=0.05)
                if not self.keeper.is_up:
                    self._queue.refuse_all(self.keeper.down)
        finally:
            reviving.cancel()
        reviving.result()

    async def _next_batch(self) -> list[Waiting]:
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        # Others are being planned right now: they are worth waiting for, up to max_wait.
        until = time.monotonic() - self._queue.oldest + self.max_wait
        while self._planners.num_cases and self._queue.num_tokens < self.max_batch_tokens and time.monotonic() < until:
            self._arrived.clear()
            try:
                async with asyncio.timeout(until - time.monotonic()):  # `wait_for` of 3.11 would swallow our end
                    await self._arrived.wait()
            except TimeoutError:
                break
        return self._queue.take(self.max_batch_tokens, self.admission.pace)

    async def _prove(self, engine: Engine) -> list[Outcome]:
        proof = self._device.submit(lambda: engine.run([engine.plan(WARM_UP, VERDICT_TIER)])[0])
        async with asyncio.timeout(self.engine_timeout):
            return check_proof(await asyncio.wrap_future(proof))

    async def _rebuild(self, old: Engine) -> Engine:
        assert self._build is not None
        build = self._build

        def renew() -> Engine:
            try:
                old.close()
            except Exception as error:
                logger.warning("the dead engine could not be closed: %r", error, exc_info=True)
            engine = build()
            if isinstance(engine, SelfBatching):
                raise EngineError(f"it came back as an engine that batches by itself: {engine.identity}")
            return engine

        return await asyncio.wrap_future(self._device.submit(renew))

    def _died(self, runner: asyncio.Task[None]) -> None:
        """The task has ended, by `close` or by a fault of ours: nobody is left waiting for it."""
        self._pending.close()
        if runner.cancelled() or (error := runner.exception()) is None:
            return
        logger.critical("the judge died", exc_info=error)
        self.on_death(error)
