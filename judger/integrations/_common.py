"""What all doors share: one report graded, whatever the library hands over; one client a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from judger.client.aio import Client
from judger.client.background import BACKGROUND
from judger.client.completions import question_of, report_of, why_unscored
from judger.client.settings import Settings
from judger.errors import DeadlineExceeded, InvalidRequest, JudgerError, Overloaded, TooLarge
from judger.given import criteria_of
from judger.types import LIMITS, Judgement
from judger.validate import text_fault

__all__ = ["ColumnGrader", "Graded", "Grader", "Unjudged"]

T = TypeVar("T")

AT_ONCE = 256
"""Reports that one process has with the server at a time; it has its own queue, and says when that is full."""


class Unjudged(JudgerError):
    """There is no reward for this report, and the library has no place for a missing one: it must leave the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """What came of one report."""

    value: float | None
    """The reward; None where there is none."""
    why: str = ""
    """Why there is none."""
    judgement: Judgement | None = None
    passing: bool = False
    """It was the moment (a deadline, overload), not the report: the same report may get a reward later."""

    def needed(self) -> float:
        """The reward. Raises Unjudged."""
        if self.value is None:
            raise Unjudged(self.why)
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Grader:
    """A judge as a reward function needs it: pickled, forked and shared between threads and loops at will.

    Args:
        address, judge_id, token: as of `judger.client.connect`; so are `timeout`, seconds for one report, and
            `patience`, how long a judge that doesn't answer is asked again.
        mapping, lane: by name.
        reasoning: judge what is thought aloud (`<think>...</think>`), too; by default it is stripped.
        blank: the reward of a blank report, also of one that is thoughts alone; by default there is none.
    """

    address: str
    judge_id: str | None = None
    token: str | None = None
    mapping: str = "strict"
    lane: str = "training"
    timeout: float = 300.0
    patience: float = 600.0
    reasoning: bool = False
    blank: float | None = None

    async def grade(self, prompt: object, completion: object, rubric: object) -> Graded:
        """One report. Raises InvalidRequest where prompt, completion or rubric make no sense; Unavailable."""
        report = report_of(completion, reasoning=self.reasoning)
        if fault := text_fault(report, LIMITS.report_bytes, may_be_blank=True):
            return Graded(value=None, why=f"the report {fault}")
        query, criteria = question_of(prompt), criteria_of(rubric)
        try:
            judgement = await self._client().judge(
                query, report, criteria, mapping=self.mapping, lane=self.lane, blank=self.blank
            )
        except TooLarge as error:
            return Graded(value=None, why=str(error))
        except (DeadlineExceeded, Overloaded) as error:
            return Graded(value=None, why=str(error), passing=True)
        return Graded(value=judgement.reward.value, why=why_unscored(judgement), judgement=judgement)

    async def grade_all(
        self, prompts: Sequence[object], completions: Sequence[object], rubrics: Sequence[object]
    ) -> list[Graded]:
        """All of them at a time, in order. Raises as `grade`: the first failure ends the others."""
        permits = asyncio.Semaphore(AT_ONCE)

        async def one(*asked: object) -> Graded:
            async with permits:
                return await self.grade(*asked)

        try:
            async with asyncio.TaskGroup() as group:
                asked = zip(prompts, completions, rubrics, strict=True)
                tasks = [group.create_task(one(*parts)) for parts in asked]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `grade` or `grade_all` for callers that block; also under a running event loop."""
        return BACKGROUND.run(work)

    def _client(self) -> Client:
        return _client_of(
            Settings(
                address=self.address,
                judge_id=self.judge_id,
                token=self.token,
                timeout=self.timeout,
                patience=self.patience,
            )
        )


class ColumnGrader:
    """For libraries of tables: a batch is columns with prompt, report and rubric.

    Args:
        address: of the server; `settings` are those of `Grader`, the lane is bulk.
        prompt, report, rubric: names of columns; a data set without the first has no query.
    """

    def __init__(
        self, address: str, *, prompt: str = "prompt", report: str = "report", rubric: str = "rubric", **settings: Any
    ) -> None:
        self.prompt, self.report, self.rubric = prompt, report, rubric
        self.grader = Grader(address=address, **({"lane": "bulk"} | settings))

    def graded(self, names: Sequence[str], column: Callable[[str], Sequence[Any]]) -> list[Graded]:
        """One for each row of a batch; names: its columns; column: one of them.

        Raises Unjudged for what only the moment was to blame for: tables are kept, and so would be a missing value.
        Raises InvalidRequest, Unavailable, too.
        """
        for name in (self.report, self.rubric):
            if name not in names:
                raise InvalidRequest(name, "is no column of the data")
        reports = column(self.report)
        prompts = column(self.prompt) if self.prompt in names else [""] * len(reports)
        graded = self.grader.wait(self.grader.grade_all(prompts, reports, column(self.rubric)))
        for one in graded:
            if one.passing:
                raise Unjudged(one.why)
        return graded


@lru_cache(maxsize=8)
def _client_of(settings: Settings) -> Client:
    return Client(settings)
