"""Engines whose runs wait for the test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

from judger.engines.base import Capabilities, Outcome, Plan, Tier
from judger.engines.scripted import ScriptedEngine
from judger.types import Case, Probabilities
from judger.verdict import IDENTITY


class Gated(ScriptedEngine):
    """Every run waits until the test opens the gate. It says when it is inside, and whose cases it had."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = threading.Event()
        self.gate = threading.Event()
        self.ran: list[list[str]] = []

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        self.ran.append([plan.case.id for plan in plans])
        self.inside.set()
        assert self.gate.wait(60)
        return super().run(plans)

    async def entered(self) -> None:
        """Returns when a run has begun."""
        assert await asyncio.to_thread(self.inside.wait, 60)


class Held:
    """An engine that batches by itself: it judges the cases for which the test gives leave, and can be cut off."""

    identity = replace(ScriptedEngine().identity, engine="openai")
    calibration = IDENTITY
    capabilities = Capabilities()

    def __init__(self, leave: int | None = None) -> None:
        self.is_cut = False
        self.asked: list[str] = []
        self.left: list[str] = []
        """Whose caller has left."""
        self._leave = asyncio.Semaphore(leave) if leave is not None else None

    def let(self, number: int = 1) -> None:
        """So many more may end."""
        assert self._leave is not None
        for _ in range(number):
            self._leave.release()

    async def judge(self, case: Case, tier: Tier) -> list[Outcome]:
        self.asked.append(case.id)
        try:
            if self._leave is not None:
                await self._leave.acquire()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.left.append(case.id)
            raise
        if self.is_cut:
            raise ConnectionError("gone")
        return [Outcome(result=Probabilities(0.0, 0.0, 1.0)) for _ in case.criteria]

    def close(self) -> None:
        pass
