"""Cases are made ready for the engine in threads of their own, beside its runs: the next is chosen by lane."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from judger.engines.base import Engine, Plan, Tier
from judger.schedule.lanes import Lanes, Place
from judger.schedule.pending import Pending
from judger.schedule.ticket import Ticket
from judger.types import Case, Lane

__all__ = ["Planned", "Planners"]

THREADS = 2


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, or what making it raised; the seconds it waited for its turn, and those it took."""

    plan: Plan | Exception
    waited: float
    seconds: float


@dataclass(eq=False, slots=True)
class _Job:
    make: Callable[[], Plan]
    done: Future[Planned]
    since: float


class Planners:
    """Lives on one event loop; its threads take from the lanes by themselves, and wait for no loop in between.

    Args:
        weights: the lanes' shares.
        pending: its end is that of everybody who waits.
    """

    def __init__(self, weights: Mapping[Lane, float], pending: Pending) -> None:
        self.num_cases = 0
        """Cases that are being planned or wait for that."""
        self._pending = pending
        self._lanes: Lanes[_Job] = Lanes(weights)
        self._changed = threading.Condition()
        """Held by whoever looks at the lanes."""
        self._closed = False
        for _ in range(THREADS):
            # Daemons, for a plan that never ends: see `judger.schedule.device`.
            threading.Thread(target=self._work, name="judger-plan", daemon=True).start()

    async def plan(self, engine: Engine, case: Case, tier: Tier, ticket: Ticket, estimate: int) -> Planned:
        """Plans a case of about that many tokens at its turn. Raises Unavailable once all is closed."""
        job = _Job(partial(engine.plan, case, tier), Future(), time.monotonic())
        with self._changed:
            place = self._lanes.push(ticket.lane, job, max(1, estimate))
            self._changed.notify()
        self.num_cases += 1
        try:
            with ticket.followed(partial(self._move, place)):
                return await self._pending.until(asyncio.wrap_future(job.done))
        finally:
            self.num_cases -= 1
            with self._changed:
                self._lanes.leave(place)

    def close(self) -> None:
        """Plans nothing more. A plan that is being made is left behind."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _move(self, place: Place[_Job], lane: Lane) -> None:
        with self._changed:
            self._lanes.move(place, lane)

    def _next(self) -> _Job | None:
        """Waits for the next; None at the end."""
        with self._changed:
            while not self._closed:
                if (job := self._lanes.pop()) is not None:
                    return job
                self._changed.wait()
        return None

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if job.done.set_running_or_notify_cancel():
                began = time.monotonic()
                plan = _made(job.make)
                job.done.set_result(Planned(plan, began - job.since, time.monotonic() - began))
                del plan
            del job  # or the last case would be held until the next


def _made(make: Callable[[], Plan]) -> Plan | Exception:
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - whoever waits gets it
        return error
    except BaseException as error:  # noqa: BLE001 - or the thread would end, and its caller wait for ever
        return RuntimeError(f"raised in a thread: {error!r}")
