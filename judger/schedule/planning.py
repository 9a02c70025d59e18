"""Cases are made ready for the engine in threads of their own, beside its runs: by lane, two at a time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from judger.engines.base import Engine, Plan, Tier
from judger.schedule.device import DaemonThreads
from judger.schedule.pending import Pending
from judger.schedule.ticket import Ticket
from judger.schedule.turns import Turns
from judger.types import Case, Lane

__all__ = ["Planned", "Planners"]

THREADS = 2


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, or what making it raised; the seconds it waited for its turn, and those it took."""

    plan: Plan | Exception
    waited: float
    seconds: float


class Planners:
    """Lives on one event loop. Arguments as of `Turns`."""

    def __init__(self, weights: Mapping[Lane, float], pending: Pending) -> None:
        self.num_cases = 0
        """Cases that are being planned or wait for that."""
        self._pending = pending
        self._turns = Turns(THREADS, weights, pending)
        self._threads = DaemonThreads("judger-plan", THREADS)

    async def plan(self, engine: Engine, case: Case, tier: Tier, ticket: Ticket) -> Planned:
        """Plans a case at its turn. Raises Unavailable once all is closed."""
        began = time.monotonic()
        self.num_cases += 1
        try:
            await self._turns.enter(ticket)
            turn = time.monotonic()
            plan = await self._pending.until(self._start(engine, case, tier))
            return Planned(plan, turn - began, time.monotonic() - turn)
        finally:
            self.num_cases -= 1

    def close(self) -> None:
        """Takes nothing more. A plan that is being made is left behind."""
        self._threads.close()

    def _start(self, engine: Engine, case: Case, tier: Tier) -> asyncio.Future[Plan | Exception]:
        """Its turn ends with the plan and not with its caller, who may leave while the thread can't."""
        loop = asyncio.get_running_loop()

        def make() -> Plan | Exception:
            try:
                return engine.plan(case, tier)
            except Exception as error:  # noqa: BLE001 - whoever waits gets it
                return error

        def ended(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._turns.leave)

        planning = self._threads.submit(make)
        planning.add_done_callback(ended)
        return asyncio.wrap_future(planning)
