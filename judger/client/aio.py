"""The async client."""

# ruff: noqa: ASYNC109 - a timeout here is sent along as gRPC's deadline, which no asyncio.timeout can do

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType
from typing import Self, Unpack

from judger import wire
from judger.client.answers import FlatGroups, check_blank, check_case, check_tags, read_answer, refused_report, unsent
from judger.client.cases import (
    CaseLike,
    OptionKeywords,
    as_case,
    each,
    make_case,
    make_compare_options,
    make_options,
    make_reports,
)
from judger.client.info import JudgeInfo, read_info
from judger.client.rpcs import Rpcs
from judger.client.settings import Settings
from judger.errors import InvalidRequest, JudgerError
from judger.given import RubricLike
from judger.pairwise import Comparison
from judger.types import IN_FLIGHT, LIMITS, Case, Criterion, Judgement, Options
from judger.v1 import judger_pb2 as pb
from judger.validate import check_compare, count_fault


class CallKeywords(OptionKeywords, total=False):
    """The keywords of a call that judges."""

    blank: float | None
    timeout: float | None


class CompareKeywords(OptionKeywords, total=False):
    """The keywords of a comparison."""

    request_id: str
    language: str
    timeout: float | None


class NamedCallKeywords(CallKeywords, total=False):
    """The same, where the case is made of its parts."""

    request_id: str
    language: str


class Client:
    """Speaks to one server; made by `judger.client.connect`. Usable from any number of event loops and after a fork.

    Everywhere: `timeout` in seconds overrides the client's own and covers the retries; options are those of
    `judger.types.Options`, as keywords, enums also by name: mapping="ternary", lane="evaluation". A rubric is a list of
    criteria (texts, dicts, `Criterion`) or JSON text of one. Wrong input raises InvalidRequest before anything is sent.

    A blank report is not sent: each of its criteria is unscored (NOT_JUDGEABLE) and there is no reward, or the one that
    `blank` names.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._rpcs = Rpcs(settings)
        self._flat = FlatGroups()

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
        self._rpcs.close()

    async def judge(
        self,
        query: str,
        report: str,
        criteria: RubricLike,
        *,
        request_id: str = "",
        language: str = "",
        **keywords: Unpack[CallKeywords],
    ) -> Judgement:
        """Judges one report. `reward.value` is None unless every criterion was scored."""
        case = make_case(query, report, criteria, request_id=request_id, language=language)
        return await self.judge_case(case, **keywords)

    async def judge_case(
        self,
        case: CaseLike,
        options: Options | None = None,
        *,
        blank: float | None = None,
        timeout: float | None = None,
        **keywords: Unpack[OptionKeywords],
    ) -> Judgement:
        """Judges one case: a Case, a dict with the keys of a case file, or (query, report, criteria)."""
        made, checked = as_case(case), make_options(keywords, options)
        if (answer := self._unsent(made, checked, check_blank(blank))) is not None:
            return answer
        response = await self.judge_raw(self._request(made, checked), timeout=timeout)
        return replace(wire.read_response(response), criteria=made.criteria)

    async def judge_raw(self, request: pb.JudgeRequest, *, timeout: float | None = None) -> pb.JudgeResponse:
        """The same in protobuf. The request is sent as it is: the server validates it."""
        response: pb.JudgeResponse = await self._rpcs.unary("Judge", request, timeout)
        return response

    async def judge_group(
        self,
        query: str,
        reports: Iterable[str],
        criteria: RubricLike,
        *,
        request_id: str = "",
        language: str = "",
        blank: float | None = None,
        timeout: float | None = None,
        **keywords: Unpack[OptionKeywords],
    ) -> AsyncGenerator[tuple[int, Judgement | JudgerError], None]:
        """Judges several reports under one query and rubric; (position of the report, answer), as they finish.

        An answer is the Judgement, or the error that refused this report alone (it is too large, or no text). What
        concerns the whole group is raised. Where all rewards are one, the log of "judger" says so: the first time, the
        tenth, the hundredth ...
        """
        options, value, texts = make_options(keywords), check_blank(blank), make_reports(reports)
        if fault := count_fault(len(texts), LIMITS.group_reports):
            raise InvalidRequest("reports", fault)
        case = make_case(query, "-", criteria, request_id=request_id, language=language)
        check_case(case)
        sent: list[int] = []
        for index, text in enumerate(texts):
            if refused := refused_report(f"reports[{index}]", text):
                yield index, refused
            elif blank_answer := self._unsent(replace(case, report=text), options, value):
                yield index, blank_answer
            else:
                sent.append(index)
        if not sent:
            return
        request = wire.write_group(
            query,
            [texts[index] for index in sent],
            case.criteria,
            options,
            self.settings.judge_id or "",
            request_id=case.id,
            language=language,
        )
        found: list[float | None] = []
        async with aclosing(self.judge_group_raw(request, timeout=timeout)) as responses:
            async for response in responses:
                index = sent[response.index]
                answer = read_answer(response, case.criteria)
                if isinstance(answer, InvalidRequest) and answer.field == f"reports[{response.index}]":
                    answer = InvalidRequest(f"reports[{index}]", answer.reason)
                if isinstance(answer, Judgement):
                    found.append(answer.reward.value)
                yield index, answer
        self._flat.see(found, options.mapping)

    async def judge_group_all(
        self, query: str, reports: Iterable[str], criteria: RubricLike, **keywords: Unpack[NamedCallKeywords]
    ) -> list[Judgement | JudgerError]:
        """The answers of `judge_group`, in the order of the reports."""
        async with aclosing(self.judge_group(query, reports, criteria, **keywords)) as answers:
            found = {index: answer async for index, answer in answers}
        return [answer for _, answer in sorted(found.items())]

    async def judge_group_raw(
        self, request: pb.JudgeGroupRequest, *, timeout: float | None = None
    ) -> AsyncGenerator[pb.JudgeResponse, None]:
        """The same in protobuf. After a break only the reports without an answer are sent again."""
        async with aclosing(self._rpcs.group(request, timeout)) as responses:
            async for response in responses:
                yield response

    async def judge_many(
        self,
        items: Iterable[CaseLike] | AsyncIterable[CaseLike],
        *,
        in_flight: int = IN_FLIGHT,
        **keywords: Unpack[CallKeywords],
    ) -> list[Judgement | JudgerError]:
        """Judges cases of any queries and rubrics over one stream: for each, in order, the Judgement or its refusal.

        An item is a Case, a dict with the keys of a case file, or (query, report, criteria). Raises what ends the
        stream as a whole, such as Unavailable.
        """
        async with aclosing(self.judge_stream(items, in_flight=in_flight, **keywords)) as answers:
            found = {index: answer async for index, answer in answers}
        return [answer for _, answer in sorted(found.items())]

    async def judge_stream(
        self,
        cases: Iterable[CaseLike] | AsyncIterable[CaseLike],
        options: Options | None = None,
        *,
        in_flight: int = 32,
        blank: float | None = None,
        timeout: float | None = None,
        **keywords: Unpack[OptionKeywords],
    ) -> AsyncGenerator[tuple[int, Judgement | JudgerError], None]:
        """Judges a pipeline of cases; (position, judgement or why that case was refused), as they finish.

        No more than `in_flight` cases are taken from the source ahead of what was consumed here. What concerns one case
        is given out as its error; a stream that breaks for good raises. `timeout` is the longest silence of the server
        while cases wait, and how long a refused case is tried again.
        """
        checked, value = make_options(keywords, options), check_blank(blank)
        rubrics: dict[int, tuple[Criterion, ...]] = {}

        async def requests() -> AsyncIterator[pb.JudgeRequest | Judgement | JudgerError]:
            index = 0
            async with aclosing(each(cases)) as source:
                async for given in source:
                    request: pb.JudgeRequest | Judgement | JudgerError
                    try:
                        case = as_case(given)
                        request = self._unsent(case, checked, value) or self._request(case, checked)
                        rubrics[index] = case.criteria
                    except JudgerError as error:
                        request = error
                    yield request
                    index += 1

        async with aclosing(self._rpcs.pipeline(in_flight, timeout).run(requests())) as answers:
            async for index, answer in answers:
                criteria = rubrics.pop(index, ())
                yield index, read_answer(answer, criteria) if isinstance(answer, pb.JudgeResponse) else answer

    async def judge_stream_raw(
        self,
        requests: AsyncIterator[pb.JudgeRequest | JudgerError],
        *,
        in_flight: int = 32,
        timeout: float | None = None,
    ) -> AsyncGenerator[tuple[int, pb.JudgeResponse | JudgerError], None]:
        """The same in protobuf. An error among the requests is passed on as that request's answer."""
        async with aclosing(self._rpcs.pipeline(in_flight, timeout).run(requests)) as answers:
            async for index, answer in answers:
                assert not isinstance(answer, Judgement)  # there was none among the requests
                yield index, answer

    async def compare(
        self,
        query: str,
        report_a: str,
        report_b: str,
        criteria: RubricLike = (),
        *,
        request_id: str = "",
        language: str = "",
        timeout: float | None = None,
        **keywords: Unpack[OptionKeywords],
    ) -> Comparison:
        """Which of two reports is better: by their rewards, or without criteria by a pairwise prompt."""
        a = make_case(query, report_a, criteria, request_id=request_id, language=language)
        b = make_case(query, report_b, a.criteria, request_id=a.id, language=language)
        check_compare(query, report_a, report_b, a.criteria)
        check_tags(a)
        request = wire.write_compare(a, b, make_compare_options(keywords), self.settings.judge_id or "")
        found = wire.read_comparison(await self._rpcs.unary("Compare", request, timeout))
        if found.a is None or found.b is None:
            return found
        return replace(found, a=replace(found.a, criteria=a.criteria), b=replace(found.b, criteria=a.criteria))

    async def get_judge(self, *, timeout: float | None = None) -> JudgeInfo:
        """Who is judging, under which limits, with how much to do."""
        return read_info(await self._rpcs.unary("GetJudge", pb.GetJudgeRequest(), timeout))

    async def wait_ready(self, timeout: float | None = None) -> None:
        """Returns once the server says that it serves. Raises Unavailable, with what it last said, after `timeout`."""
        await self._rpcs.wait_ready(timeout)

    def _unsent(self, case: Case, options: Options, blank: float | None) -> Judgement | None:
        return unsent(case, blank, options.mapping, self.settings.judge_id or "")

    def _request(self, case: Case, options: Options) -> pb.JudgeRequest:
        check_case(case)
        return wire.write_request(case, options, self.settings.judge_id or "")
