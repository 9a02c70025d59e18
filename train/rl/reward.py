"""The terminal reward of an episode: one stream of cases to the judger a batch, open while the episodes still run.

A reward is `JudgeResponse.reward.value` under the mapping of the settings. Where there is none it is None and not a
number: the episode leaves the batch and is counted. An episode that ended without a report because the policy wrote
none gets 0, what a report earns that does nothing. So does a report that the judge refuses for its language while it
takes others of the batch: tasks and judge agree on a language, and this is not it. A batch without any that it takes
says that they do not agree, which is nobody's report; there nothing is learned.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Self

from judger.client import Client
from judger.errors import DeadlineExceeded, JudgerError, Unavailable
from judger.types import Case, Judgement, Options, Reason, Role, Score, Unscored
from train.rl.episodes import Rollout

__all__ = ["FOREIGN", "JudgeLost", "Judged", "Judging", "Rewards", "by_role"]

FOREIGN = "not in the language of the task"
_OPTIONS = Options()  # no unscored criteria allowed, training lane


class JudgeLost(Exception):
    """No judge answered for as long as we were told to wait."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A rollout with its reward, or why there is none."""

    rollout: Rollout
    value: float | None
    judgement: Judgement | None = None
    fault: str = ""


class Rewards:
    """Asks the judger. `wait`: seconds without an answer until JudgeLost is raised; `say` hears of the waiting."""

    def __init__(
        self, client: Client, *, wait: float = 300.0, options: Options = _OPTIONS, say: Callable[[str], None] = print
    ) -> None:
        self.client, self.wait, self.options, self.say = client, wait, options, say

    async def ready(self) -> None:
        """Returns once a judge serves."""
        await self.wait_for("does not answer yet")

    def open(self) -> Judging:
        """A batch: `async with rewards.open() as judging`."""
        return Judging(self)

    async def wait_for(self, what: str) -> None:
        """Returns once a judge serves. Raises JudgeLost."""
        try:
            await self.client.wait_ready(1.0)
            return
        except Unavailable:
            address = self.client.settings.address
            self.say(f"the judge at {address} {what}; waiting for it up to {self.wait:g} s")
        try:
            await self.client.wait_ready(self.wait)
        except Unavailable as error:
            raise JudgeLost(str(error)) from error
        self.say(f"the judge at {address} answers")


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
        if rollout.report:
            name = f"{task.id}/{rollout.order.number}"
            self._cases[position] = Case(id=name, query=task.query, report=rollout.report, criteria=task.criteria)
            self._queue.put_nowait(position)

    async def finish(self) -> list[Judged]:
        """All of the batch, by position. Raises JudgeLost."""
        started = time.perf_counter()
        self._queue.put_nowait(None)
        await self._task
        self.seconds_alone = time.perf_counter() - started
        judged = [self._judged(position) for position in sorted(self._rollouts)]
        if not any(one.judgement and one.value is not None for one in judged):
            return judged
        return [replace(one, value=0.0, fault=FOREIGN) if _is_foreign(one) else one for one in judged]

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
                self._answers[order[number]] = answer

    def _judged(self, position: int) -> Judged:
        rollout, answer = self._rollouts[position], self._answers.get(position)
        if not rollout.report:
            return Judged(rollout, 0.0 if rollout.blame == "policy" else None, None, rollout.reason)
        if isinstance(answer, Judgement):
            return Judged(rollout, answer.reward.value, answer, "" if answer.reward.value is not None else "unscored")
        return Judged(rollout, None, None, f"{type(answer).__name__}: {answer}")


def _is_foreign(judged: Judged) -> bool:
    """Whether the judge could not read the report, and for that reason alone."""
    results = [verdict.result for verdict in judged.judgement.verdicts] if judged.judgement else []
    reasons = {result.reason for result in results if isinstance(result, Unscored)}
    return judged.value is None and reasons == {Reason.UNSUPPORTED_LANGUAGE}


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
