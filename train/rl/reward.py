"""The terminal reward of an episode: one stream of cases to the judger a batch, open while the episodes still run.

A reward is `JudgeResponse.reward.value` under the mapping of the settings. Where there is none, `train.outcomes` says
who caused it: what the policy did is worth its worst, and what it did not leaves the batch (its reward is None, not a
number) and is counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Self

from judger.client import Client
from judger.errors import DeadlineExceeded, JudgeMismatch, JudgerError, Unavailable
from judger.types import Case, Judgement, Options, Role, Score
from train.access import wait_for
from train.outcomes import at_worst, floor, is_refused
from train.rl.episodes import Rollout
from train.rl.stop import Stop

__all__ = ["JudgeLost", "Judged", "Judging", "Rewards", "by_role"]

_OPTIONS = Options()  # no unscored criteria allowed, training lane


class JudgeLost(Stop):
    """No judge answered for as long as we were told to wait."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A rollout with its reward, or why there is none."""

    rollout: Rollout
    value: float | None
    judgement: Judgement | None = None
    fault: str = ""
    is_unread: bool = False
    """Whether the report kept the judge from reading it, in part or whole, and so counts there at its worst."""


class Rewards:
    """Asks the judger. `wait`: seconds without an answer until JudgeLost is raised; `say` hears of the waiting."""

    def __init__(
        self, client: Client, *, wait: float = 300.0, options: Options = _OPTIONS, say: Callable[[str], None] = print
    ) -> None:
        self.client, self.wait, self.options, self.say = client, wait, options, say

    async def who(self) -> str:
        """The judge's id, once one serves."""
        await self.wait_for("does not answer yet")
        return (await self.client.get_judge()).judge_id

    def open(self) -> Judging:
        """A batch: `async with rewards.open() as judging`."""
        return Judging(self)

    def settled(self, judged: list[Judged]) -> list[Judged]:
        """Rewards that follow from a batch as a whole, be it several processes': those of reports that a judge which
        reads others of it could not read."""
        if not any(one.judgement and one.value is not None for one in judged):
            return judged  # tasks and judge do not fit each other
        return [self._read_at_worst(one) for one in judged]

    def _read_at_worst(self, judged: Judged) -> Judged:
        if judged.value is not None or judged.judgement is None:
            return judged
        value = at_worst(judged.judgement, judged.rollout.order.task.criteria, self.options.mapping)
        return judged if value is None else replace(judged, value=value, fault="unread", is_unread=True)

    async def wait_for(self, what: str) -> None:
        """Returns once a judge serves. Raises JudgeLost."""
        try:
            await wait_for(self.client, self.wait, self.say, what)
        except Unavailable as error:
            raise JudgeLost(str(error)) from error


class Judging:
    """One batch under way. `add` as episodes end, `finish` for all of them in order."""

    def __init__(self, rewards: Rewards) -> None:
        self._rewards = rewards
        self._queue: asyncio.Queue[int | None] = asyncio.Queue()
        self._rollouts: dict[int, Rollout] = {}
        self._cases: dict[int, Case] = {}
        self._answers: dict[int, Judgement | JudgerError] = {}
        self._taken: set[int] = set()
        self.seconds_alone = 0.0
        """Wall time in which nothing but the judge was waited for."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def add(self, position: int, rollout: Rollout) -> None:
        """Send the report of a rollout, if it has one."""
        self._rollouts[position] = rollout
        task = rollout.order.task
        if rollout.report.strip():
            name = f"{task.id}/{rollout.order.number}"
            self._cases[position] = Case(id=name, query=task.query, report=rollout.report, criteria=task.criteria)
            self._queue.put_nowait(position)

    async def finish(self) -> list[Judged]:
        """All of the batch, by position. Raises JudgeLost."""
        started = time.perf_counter()
        self._queue.put_nowait(None)
        await self._task
        self.seconds_alone = time.perf_counter() - started
        return self._rewards.settled([self._judged(position) for position in sorted(self._rollouts)])

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._stream()
                return
            except (Unavailable, DeadlineExceeded) as error:
                failures += 1
                await self._rewards.wait_for(f"stopped answering ({error})")
                if failures > 100:
                    raise JudgeLost(f"the judge fails again and again: {error}") from error

    async def _stream(self) -> None:
        """One stream until all is answered; after a break, what was sent and has no answer is sent again."""
        sent = [position for position in self._cases if position in self._taken and position not in self._answers]
        order: list[int] = []

        async def source() -> AsyncIterator[Case]:
            for position in sent:
                order.append(position)
                yield self._cases[position]
            while (position := await self._queue.get()) is not None:
                self._taken.add(position)
                order.append(position)
                yield self._cases[position]
            self._queue.put_nowait(None)  # for the next stream, if this one breaks

        stream = self._rewards.client.judge_stream(source(), self._rewards.options, in_flight=512)
        async with aclosing(stream) as answers:
            async for number, answer in answers:
                if isinstance(answer, JudgeMismatch):
                    raise answer  # another judge's rewards are those of another run
                self._answers[order[number]] = answer

    def _judged(self, position: int) -> Judged:
        rollout, answer = self._rollouts[position], self._answers.get(position)
        least = floor(rollout.order.task.criteria)
        if not rollout.report.strip():
            return Judged(rollout, least if rollout.blame == "policy" else None, None, rollout.reason)
        if isinstance(answer, Judgement):
            return Judged(rollout, answer.reward.value, answer, "" if answer.reward.value is not None else "unscored")
        assert answer is not None  # the stream has ended: each report has its answer
        fault = f"{type(answer).__name__}: {answer}"
        return Judged(rollout, least, None, fault, True) if is_refused(answer) else Judged(rollout, None, None, fault)


def by_role(judged: Judged) -> dict[str, float]:
    """Of each role, the share of its weight whose criteria are satisfied (of flaws: present); absent without one."""
    if judged.judgement is None:
        return {}
    bits = {v.criterion_id: v.result.satisfied for v in judged.judgement.verdicts if isinstance(v.result, Score)}
    shares: dict[str, float] = {}
    for role in Role:
        scored = [c for c in judged.rollout.order.task.criteria if c.role == role and c.id in bits]
        if scored:
            shares[str(role)] = sum(c.weight for c in scored if bits[c.id]) / sum(c.weight for c in scored)
    return shares
