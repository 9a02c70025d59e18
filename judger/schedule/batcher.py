"""Micro-batches for an engine that runs on one device: cases of many callers in one run, under a token budget.

One task owns the queue and every future in it; one thread owns the device. A batch leaves when its tokens reach the
budget, or when its oldest case has waited `max_wait`, or at once while nothing else is on its way. A case whose caller
has left, or whose deadline it can't meet any more, is dropped before the engine sees it. When a batch fails its cases
are run once more, each alone, so that one of them can't take the others down; what still fails is unscored with
ENGINE_ERROR. When nothing came of a batch the engine has to prove itself (`judger.schedule.keeper`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from judger.engines.base import VERDICT_TIER, Engine, Outcome, Plan, SelfBatching, Tier
from judger.errors import EngineError
from judger.schedule.admission import Admission, Ticket
from judger.schedule.device import DeviceThread
from judger.schedule.isolation import Isolation, Ran, failed, is_failed
from judger.schedule.keeper import WARM_UP, Keeper, check_proof, shutting_down
from judger.schedule.queue import Queue, Waiting
from judger.types import Case

logger = logging.getLogger(__name__)


class Batcher:
    """Queues planned cases and runs them in batches. Bound to the event loop that first calls `run`.

    Args:
        engine: run from a thread of the batcher's own; owned from here on.
        max_batch_tokens: the budget of one batch; a case that costs more goes alone. Halved when memory runs out.
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
        self._build = rebuild
        self._queue = Queue(self.admission.weights)
        self._running: list[Waiting] = []
        self._planning: set[asyncio.Future[Plan]] = set()
        self._arrived = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._closed = self._ended = False
        self._planners = ThreadPoolExecutor(2, thread_name_prefix="judger-plan")
        self._device = DeviceThread()

    @property
    def max_batch_tokens(self) -> int:
        """The budget as it is now."""
        return self._isolation.max_batch_tokens

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
        if self._closed:
            raise shutting_down()
        if not self.keeper.is_up:
            raise self.keeper.down()
        loop = asyncio.get_running_loop()
        if self._runner is None:
            self._runner = loop.create_task(self._serve(), name="judger-batcher")
            self._runner.add_done_callback(self._fail_all)
        since = time.monotonic()
        planning = loop.run_in_executor(self._planners, self.keeper.engine.plan, case, tier)
        self._planning.add(planning)
        try:
            await asyncio.wait([planning])
        finally:
            self._planning.discard(planning)
            planning.cancel()
        if planning.cancelled():  # by `close`; a caller who leaves does not come here
            raise shutting_down()
        try:
            plan = planning.result()
        except Exception as error:
            logger.warning("a case could not be planned: %r", error, exc_info=True)
            return Ran(failed(error, case), time.monotonic() - since, 0.0)
        if self._closed:
            raise shutting_down()
        if not self.keeper.is_up:  # a plan of the old engine's is of no use to a new one
            raise self.keeper.down()
        ticket = ticket or Ticket()
        now = time.monotonic()
        waiting = Waiting(plan, ticket, estimate, loop.create_future(), now, now - since)
        self._queue.push(waiting)
        self._arrived.set()
        return await waiting.future

    async def prove(self) -> list[Outcome]:
        """The outcomes of a warm-up. Raises where the engine gives no verdict."""
        return await self.keeper.prove()

    async def close(self, patience: float = 5.0) -> None:
        """Ends the task, the threads and the engine; whoever still waits is told UNAVAILABLE at once.

        A run that has not ended after `patience` seconds is left behind, and the engine as it is.
        """
        self._closed = True
        if self._ended:
            return
        self._ended = True
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])
        for planning in self._planning:
            planning.cancel()
        self._planners.shutdown(wait=False, cancel_futures=True)
        closed = self._device.submit(self.keeper.engine.close)
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(None, self._device.close, patience):
            logger.warning("a batch still runs after %.0f s and is left behind", patience)
        elif (error := closed.exception()) is not None:
            logger.warning("the engine could not be closed: %r", error)

    async def _serve(self) -> None:
        while True:
            batch = self._running = await self._next_batch()
            if not batch:
                continue
            saturated = len(self._queue) > 0
            started = time.monotonic()
            plans = [one.plan for one in batch]
            run = self._device.submit(partial(self._isolation.run, self.keeper.engine, plans))
            try:
                async with asyncio.timeout(self.engine_timeout):
                    outcomes = await asyncio.wrap_future(run)
                lost = False
            except TimeoutError as error:
                logger.error("a batch of %d cases has not ended after %.0f s", len(batch), self.engine_timeout)
                outcomes, lost = [failed(error, one.plan.case) for one in batch], True
                self._device = DeviceThread()  # the old one is stuck, and ends with its run if that ever ends
            seconds = time.monotonic() - started
            self.on_batch(sum(plan.tokens for plan in plans))
            if saturated and not lost:
                self.admission.learn(sum(one.estimate for one in batch), seconds)
            for waiting, result in zip(batch, outcomes, strict=True):
                if not waiting.future.done():
                    waiting.future.set_result(Ran(result, started - waiting.since, waiting.planned_in + seconds))
            if lost or all(is_failed(result) for result in outcomes):
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
        while self._planning and self._queue.num_tokens < self.max_batch_tokens and time.monotonic() < until:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), until - time.monotonic())
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

    def _fail_all(self, runner: asyncio.Task[None]) -> None:
        """The task has ended, by `close` or by a fault of ours: nobody is left waiting for it."""
        self._closed = True
        if not runner.cancelled() and runner.exception() is not None:
            logger.critical("the batcher died", exc_info=runner.exception())
        for waiting in self._running:
            waiting.refuse(shutting_down())
        self._queue.refuse_all(shutting_down)
