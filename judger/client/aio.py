"""The async client."""

# ruff: noqa: ASYNC109 - a timeout here is sent along as gRPC's deadline, which no asyncio.timeout can do

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

from judger import wire
from judger.client.calls import unary
from judger.client.cases import CriterionLike, make_case, make_compare_options, make_options, make_reports
from judger.client.channel import Link
from judger.client.group import group
from judger.client.ready import wait_ready
from judger.client.retry import Attempts
from judger.client.settings import Settings, check_seconds
from judger.client.stream import Answer, Pipeline
from judger.errors import InvalidRequest, JudgerError
from judger.types import Case, Judgement, Options
from judger.v1 import judger_pb2 as pb
from judger.validate import check, check_compare, check_group, check_options, text_fault

DEFAULTS = Options()


class Client:
    """Speaks to one server; made by `judger.client.connect`. Usable from any number of event loops and after a fork.

    Everywhere: `timeout` in seconds overrides the client's own and covers the retries; `options` are those of
    `judger.types.Options`, as keywords, enums also by name: mapping="ternary", lane="evaluation". Wrong input raises
    InvalidRequest before anything is sent.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._link = Link(settings)

    def __reduce__(self) -> tuple[type[Client], tuple[Settings]]:
        return type(self), (self.settings,)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends what is in flight in this process. Later calls raise Unavailable."""
        self._link.close()

    async def judge(
        self,
        query: str,
        report: str,
        criteria: Iterable[CriterionLike],
        *,
        request_id: str = "",
        language: str = "",
        timeout: float | None = None,
        **options: object,
    ) -> Judgement:
        """Judges one report. `reward.value` is None unless every criterion was scored."""
        case = make_case(query, report, criteria, request_id=request_id, language=language)
        return await self.judge_case(case, make_options(options), timeout=timeout)

    async def judge_case(self, case: Case, options: Options = DEFAULTS, *, timeout: float | None = None) -> Judgement:
        """Judges one case."""
        return wire.read_response(await self.judge_raw(self._request(case, options), timeout=timeout))

    async def judge_raw(self, request: pb.JudgeRequest, *, timeout: float | None = None) -> pb.JudgeResponse:
        """The same in protobuf. The request is sent as it is: the server validates it."""
        response: pb.JudgeResponse = await self._unary("Judge", request, timeout)
        return response

    async def judge_group(
        self,
        query: str,
        reports: Sequence[str],
        criteria: Iterable[CriterionLike],
        *,
        request_id: str = "",
        language: str = "",
        timeout: float | None = None,
        **options: object,
    ) -> AsyncGenerator[tuple[int, Judgement], None]:
        """Judges several reports under one query and rubric; (position of the report, judgement), as they finish."""
        checked, reports = make_options(options), make_reports(reports)
        case = make_case(query, "-", criteria, request_id=request_id, language=language)
        check_group(query, reports, case.criteria)
        _check_tags(case)
        request = wire.write_group(
            query, reports, case.criteria, checked, self.settings.judge_id or "", request_id=case.id, language=language
        )
        async with aclosing(self.judge_group_raw(request, timeout=timeout)) as responses:
            async for response in responses:
                yield response.index, wire.read_response(response)

    async def judge_group_all(
        self, query: str, reports: Sequence[str], criteria: Iterable[CriterionLike], **keywords: Any
    ) -> list[Judgement]:
        """The judgements of `judge_group`, in the order of the reports."""
        found: dict[int, Judgement] = {}
        async with aclosing(self.judge_group(query, reports, criteria, **keywords)) as judgements:
            async for index, judgement in judgements:
                found[index] = judgement
        return [judgement for _, judgement in sorted(found.items())]

    async def judge_group_raw(
        self, request: pb.JudgeGroupRequest, *, timeout: float | None = None
    ) -> AsyncGenerator[pb.JudgeResponse, None]:
        """The same in protobuf. After a break only the reports without an answer are sent again."""

        def start(left: pb.JudgeGroupRequest, attempts: Attempts) -> Callable[[], Any]:
            return self._starter("JudgeGroup", left, attempts)

        async with aclosing(group(self._link, request, self._attempts(timeout), start)) as responses:
            async for response in responses:
                yield response

    async def judge_stream(
        self,
        cases: Iterable[Case] | AsyncIterable[Case],
        options: Options = DEFAULTS,
        *,
        in_flight: int = 32,
        timeout: float | None = None,
    ) -> AsyncGenerator[tuple[int, Judgement | JudgerError], None]:
        """Judges a pipeline of cases; (position, judgement or why that case was refused), as they finish.

        No more than `in_flight` cases are taken from the source ahead of what was consumed here. What concerns one case
        is given out as its error; a stream that breaks for good raises. `timeout` is the longest silence of the server
        while cases wait, and how long a refused case is tried again.
        """
        check_options(options)

        async def requests() -> AsyncIterator[pb.JudgeRequest | JudgerError]:
            async for case in _each(cases):
                try:
                    yield self._request(case, options)
                except JudgerError as error:
                    yield error

        async with aclosing(self.judge_stream_raw(requests(), in_flight=in_flight, timeout=timeout)) as answers:
            async for index, answer in answers:
                yield index, answer if isinstance(answer, JudgerError) else wire.read_response(answer)

    async def judge_stream_raw(
        self,
        requests: AsyncIterator[pb.JudgeRequest | JudgerError],
        *,
        in_flight: int = 32,
        timeout: float | None = None,
    ) -> AsyncGenerator[tuple[int, Answer], None]:
        """The same in protobuf. An error among the requests is passed on as that request's answer."""
        if in_flight < 1:
            raise InvalidRequest("in_flight", f"must be at least 1, not {in_flight}")
        pipeline = Pipeline(self._link, in_flight, self._timeout(timeout))
        async with aclosing(pipeline.run(requests)) as answers:
            async for answer in answers:
                yield answer

    async def compare(
        self,
        query: str,
        report_a: str,
        report_b: str,
        criteria: Iterable[CriterionLike] = (),
        *,
        request_id: str = "",
        language: str = "",
        timeout: float | None = None,
        **options: object,
    ) -> pb.CompareResponse:
        """Which of two reports is better: by their rewards, or without criteria by a pairwise prompt."""
        a = make_case(query, report_a, criteria, request_id=request_id, language=language)
        b = make_case(query, report_b, a.criteria, request_id=a.id, language=language)
        check_compare(query, report_a, report_b, a.criteria)
        _check_tags(a)
        request = wire.write_compare(a, b, make_compare_options(options), self.settings.judge_id or "")
        response: pb.CompareResponse = await self._unary("Compare", request, timeout)
        return response

    async def get_judge(self, *, timeout: float | None = None) -> pb.JudgeInfo:
        """Who is judging, under which limits, with how much to do."""
        info: pb.JudgeInfo = await self._unary("GetJudge", pb.GetJudgeRequest(), timeout)
        return info

    async def wait_ready(self, timeout: float | None = None) -> None:
        """Returns once the server says that it serves. Raises Unavailable, with what it last said, after `timeout`."""
        await wait_ready(self._link, self._timeout(timeout))

    def _request(self, case: Case, options: Options) -> pb.JudgeRequest:
        check(case.query, case.report, case.criteria)
        check_options(options)
        _check_tags(case)
        return wire.write_request(case, options, self.settings.judge_id or "")

    async def _unary(self, method: str, request: Any, timeout: float | None) -> Any:
        attempts = self._attempts(timeout)
        while True:
            try:
                return await unary(self._link, self._starter(method, request, attempts, future=True))
            except JudgerError as error:
                await asyncio.sleep(attempts.pause(error))

    def _starter(self, method: str, request: Any, attempts: Attempts, *, future: bool = False) -> Callable[[], Any]:
        def start() -> Any:
            call = getattr(self._link.stub, method)
            return (call.future if future else call)(
                request, timeout=attempts.remaining, metadata=self.settings.metadata
            )

        return start

    def _attempts(self, timeout: float | None) -> Attempts:
        return Attempts(self.settings, self._timeout(timeout))

    def _timeout(self, timeout: float | None) -> float:
        if timeout is None:
            return self.settings.timeout
        check_seconds("timeout", timeout)
        return timeout


def _check_tags(case: Case) -> None:
    for field, text in (("request_id", case.id), ("language", case.language)):
        if fault := text_fault(text, wire.MAX_TAG_BYTES, may_be_blank=True):
            raise InvalidRequest(field, fault)


async def _each(cases: Iterable[Case] | AsyncIterable[Case]) -> AsyncIterator[Case]:
    if isinstance(cases, AsyncIterable):
        async for case in cases:
            yield case
    else:
        for case in cases:
            yield case
