"""Micro-batches for an engine that runs on one device: cases of many callers in one run, under a token budget.

One task owns the queue and every future in it; one thread owns the device. A batch leaves when its tokens reach the
budget, or when its oldest case has waited `max_wait`, or at once while nothing else is on its way. A case whose caller
has left is dropped before the engine sees it. When a batch fails its cases are run once more, each alone, so that one
of them can't take the others down; what still fails is unscored with ENGINE_ERROR.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from judger.engines.base import Engine, Outcome, Plan, Tier
from judger.errors import Unavailable
from judger.types import Case, Reason, Unscored

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one case: an outcome per criterion in order, the seconds it waited, and those of the engine (its
    planning and its batch)."""

    outcomes: list[Outcome]
    queue_seconds: float
    engine_seconds: float


@dataclass(eq=False, slots=True)
class _Waiting:
    plan: Plan
    future: asyncio.Future[Ran]
    since: float
    planned_in: float
    """Seconds: the engine's own work already."""


class Batcher:
    """Queues planned cases and runs them in batches. Bound to the event loop that first calls `run`.

    Args:
        engine: run from a thread of the batcher's own.
        max_batch_tokens: the budget of one batch; a case that costs more goes alone.
        max_wait: seconds the oldest case waits for company while an earlier batch is not holding it up anyway.
    """

    def __init__(self, engine: Engine, *, max_batch_tokens: int = 16_384, max_wait: float = 0.002) -> None:
        self.engine = engine
        self.max_batch_tokens = max_batch_tokens
        self.max_wait = max_wait
        self._queue: deque[_Waiting] = deque()
        self._queued_tokens = 0
        self._running: list[_Waiting] = []
        self._planning = 0
        self._arrived = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._closed = False
        self._planners = ThreadPoolExecutor(2, thread_name_prefix="judger-plan")
        self._device = ThreadPoolExecutor(1, thread_name_prefix="judger-device")

    @property
    def queued(self) -> tuple[int, int]:
        """(criteria, tokens) that wait for the engine."""
        return sum(len(waiting.plan.case.criteria) for waiting in self._queue), self._queued_tokens

    async def run(self, case: Case, tier: Tier) -> Ran:
        """The outcomes of one case. Cancelling it takes the case out of the queue."""
        if self._closed:
            raise Unavailable("the judge is shutting down")
        loop = asyncio.get_running_loop()
        if self._runner is None:
            self._runner = loop.create_task(self._serve(), name="judger-batcher")
            self._runner.add_done_callback(self._fail_all)
        since = time.perf_counter()
        self._planning += 1
        try:
            plan = await loop.run_in_executor(self._planners, self.engine.plan, case, tier)
        except Exception as error:
            logger.warning("a case could not be planned: %r", error, exc_info=True)
            return Ran(failed(error, case), time.perf_counter() - since, 0.0)
        finally:
            self._planning -= 1
        now = time.perf_counter()
        waiting = _Waiting(plan, loop.create_future(), now, now - since)
        self._queue.append(waiting)
        self._queued_tokens += plan.tokens
        self._arrived.set()
        return await waiting.future

    async def close(self) -> None:
        """Ends the task and the threads; whoever still waits is told UNAVAILABLE."""
        self._closed = True
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])
        self._planners.shutdown(wait=True, cancel_futures=True)
        self._device.shutdown(wait=True, cancel_futures=True)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = self._running = await self._next_batch()
            if not batch:
                continue
            started = time.perf_counter()
            outcomes = await loop.run_in_executor(self._device, self._run_batch, [waiting.plan for waiting in batch])
            seconds = time.perf_counter() - started
            for waiting, result in zip(batch, outcomes, strict=True):
                if not waiting.future.done():
                    waiting.future.set_result(Ran(result, started - waiting.since, waiting.planned_in + seconds))

    async def _next_batch(self) -> list[_Waiting]:
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        # Others are being planned right now: they are worth waiting for, up to max_wait.
        until = self._queue[0].since + self.max_wait
        while self._planning and self._queued_tokens < self.max_batch_tokens and time.perf_counter() < until:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), until - time.perf_counter())
            except TimeoutError:
                break
        batch: list[_Waiting] = []
        tokens = 0
        while self._queue and (not batch or tokens + self._queue[0].plan.tokens <= self.max_batch_tokens):
            waiting = self._queue.popleft()
            self._queued_tokens -= waiting.plan.tokens
            if not waiting.future.done():  # its caller has left: dropped before the engine sees it
                batch.append(waiting)
                tokens += waiting.plan.tokens
        return batch

    def _run_batch(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        """In the device thread."""
        try:
            outcomes = self.engine.run(plans)
            if [len(one) for one in outcomes] != [len(plan.case.criteria) for plan in plans]:
                raise RuntimeError("the engine returned another number of outcomes than there are criteria")
            return outcomes
        except Exception as error:
            logger.warning("a batch of %d cases failed: %r", len(plans), error, exc_info=True)
            if len(plans) > 1:
                return [self._run_batch([plan])[0] for plan in plans]
            return [failed(error, plans[0].case)]

    def _fail_all(self, runner: asyncio.Task[None]) -> None:
        """The task has ended, by `close` or by a fault of ours: nobody is left waiting for it."""
        self._closed = True
        if not runner.cancelled() and runner.exception() is not None:
            logger.critical("the batcher died", exc_info=runner.exception())
        for waiting in (*self._running, *self._queue):
            if not waiting.future.done():
                waiting.future.set_exception(Unavailable("the judge is shutting down"))
        self._queue.clear()
        self._queued_tokens = 0


def failed(error: Exception, case: Case) -> list[Outcome]:
    """What an engine's exception makes of a case: unscored criteria, never a number."""
    outcome = Outcome(result=Unscored(Reason.ENGINE_ERROR, f"{type(error).__name__}: {error}"))
    return [outcome] * len(case.criteria)
