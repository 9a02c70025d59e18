"""The blocking facade: the async client's methods, for reward functions and DataLoader workers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from judger.client.aio import CallKeywords, Client, CompareKeywords, NamedCallKeywords
from judger.client.background import BACKGROUND
from judger.client.cases import CaseLike
from judger.client.info import JudgeInfo
from judger.client.settings import Settings
from judger.errors import JudgerError
from judger.given import RubricLike, members
from judger.pairwise import Comparison
from judger.types import IN_FLIGHT, Judgement, Options
from judger.v1 import judger_pb2 as pb

T = TypeVar("T")
END = object()


class BlockingClient:
    """Made by `judger.client.connect_blocking`; every method is that of `Client`, and iterators are plain ones.

    May be shared between threads, used after a fork, pickled, and called under a running event loop, which it blocks.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def settings(self) -> Settings:
        """Of the connection."""
        return self._client.settings

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what is in flight in this process. Later calls raise Unavailable."""
        BACKGROUND.run(self._client.close())

    def judge(self, query: str, report: str, criteria: RubricLike, **keywords: Unpack[NamedCallKeywords]) -> Judgement:
        """Judges one report. `reward.value` is None unless every criterion was scored."""
        return BACKGROUND.run(self._client.judge(query, report, criteria, **keywords))

    def judge_case(self, case: CaseLike, options: Options | None = None, **keywords: Unpack[CallKeywords]) -> Judgement:
        """Judges one case."""
        return BACKGROUND.run(self._client.judge_case(case, options, **keywords))

    def judge_raw(self, request: pb.JudgeRequest, *, timeout: float | None = None) -> pb.JudgeResponse:
        """The same in protobuf."""
        return BACKGROUND.run(self._client.judge_raw(request, timeout=timeout))

    def judge_group(
        self, query: str, reports: Iterable[str], criteria: RubricLike, **keywords: Unpack[NamedCallKeywords]
    ) -> Iterator[tuple[int, Judgement | JudgerError]]:
        """Judges several reports under one query and rubric; (position of the report, answer), as they finish."""
        return _iterate(self._client.judge_group(query, reports, criteria, **keywords))

    def judge_group_all(
        self, query: str, reports: Iterable[str], criteria: RubricLike, **keywords: Unpack[NamedCallKeywords]
    ) -> list[Judgement | JudgerError]:
        """The answers of `judge_group`, in the order of the reports."""
        return BACKGROUND.run(self._client.judge_group_all(query, reports, criteria, **keywords))

    def judge_many(
        self, items: Iterable[CaseLike], *, in_flight: int = IN_FLIGHT, **keywords: Unpack[CallKeywords]
    ) -> list[Judgement | JudgerError]:
        """Judges cases of any queries and rubrics: for each, in order, the Judgement or its refusal."""
        cases = list(members("cases", items, "cases"))
        return BACKGROUND.run(self._client.judge_many(cases, in_flight=in_flight, **keywords))

    def judge_stream(
        self,
        cases: Iterable[CaseLike],
        options: Options | None = None,
        *,
        in_flight: int = 32,
        **keywords: Unpack[CallKeywords],
    ) -> Iterator[tuple[int, Judgement | JudgerError]]:
        """Judges a pipeline of cases; the source is read in a thread of its own, so that it may block."""
        source = _in_thread(members("cases", cases, "cases"))
        return _iterate(self._client.judge_stream(source, options, in_flight=in_flight, **keywords))

    def compare(
        self,
        query: str,
        report_a: str,
        report_b: str,
        criteria: RubricLike = (),
        **keywords: Unpack[CompareKeywords],
    ) -> Comparison:
        """Which of two reports is better: by their rewards, or without criteria by a pairwise prompt."""
        return BACKGROUND.run(self._client.compare(query, report_a, report_b, criteria, **keywords))

    def get_judge(self, *, timeout: float | None = None) -> JudgeInfo:
        """Who is judging, under which limits, with how much to do."""
        return BACKGROUND.run(self._client.get_judge(timeout=timeout))

    def wait_ready(self, timeout: float | None = None) -> None:
        """Returns once the server says that it serves. Raises Unavailable after `timeout`."""
        BACKGROUND.run(self._client.wait_ready(timeout))


def _iterate(answers: AsyncGenerator[T, None]) -> Iterator[T]:
    async def step() -> Any:
        return await anext(answers, END)

    process, answer = os.getpid(), None
    try:
        while (answer := BACKGROUND.run(step())) is not END:
            yield answer
    finally:
        # Not waited for: this may run in any thread, whichever collects an iterator that was left early.
        if answer is not END and os.getpid() == process:
            BACKGROUND.spawn(answers.aclose())


async def _in_thread(cases: Iterator[CaseLike]) -> AsyncGenerator[CaseLike, None]:
    case: Any
    while (case := await asyncio.to_thread(next, cases, END)) is not END:
        yield case
