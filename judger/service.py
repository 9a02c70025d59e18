"""The RPCs: validate, check the pin, call the judge, answer. Errors become statuses in one place.

What a request asks wrongly is refused here before any work. Nothing runs a model on the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, NoReturn

import grpc

from judger import wire
from judger.admission import Ticket, estimated_tokens
from judger.callers import CALLER
from judger.errors import DeadlineExceeded, JudgerError
from judger.judge import Judge
from judger.keeper import shutting_down
from judger.metrics import Metrics
from judger.pairwise import duels
from judger.status import DETAILS_TRAILER, code_name, error_status
from judger.types import LIMITS, Case, Judgement, Lane, Options, Reason, Score, Unscored
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from judger.version import __version__

Context = Any  # a grpc.aio.ServicerContext; grpc has no types

RESERVE = 0.1
"""Seconds of a deadline kept for the answer's way back (at most a tenth of it)."""


class JudgerService(judger_pb2_grpc.JudgerServicer):
    """The five RPCs in front of one `Judge`.

    Args:
        stream_in_flight: requests of one JudgeStream call judged at a time; the next is read only when one of them
            has been answered, so that a slow reader holds back its own writer.
    """

    def __init__(self, judge: Judge, metrics: Metrics, *, stream_in_flight: int = 64) -> None:
        self.judge = judge
        self.metrics = metrics
        self.stream_in_flight = stream_in_flight
        self._leaving = False
        self._streams: set[asyncio.Queue[pb.JudgeResponse | JudgerError | None]] = set()

    def leave(self) -> None:
        """From now on nothing new is taken; what was taken goes on."""
        self._leaving = True

    def end_streams(self) -> None:
        """Ends the streams, whose writers may have no end in mind. What they were promised and not given is lost."""
        for answers in self._streams:
            answers.put_nowait(shutting_down())

    async def Judge(self, request: pb.JudgeRequest, context: Context) -> pb.JudgeResponse:
        response: pb.JudgeResponse = await self._answer("Judge", context, self._judge_one(request, context))
        return response

    async def JudgeGroup(self, request: pb.JudgeGroupRequest, context: Context) -> AsyncIterator[pb.JudgeResponse]:
        cases, options, ticket = await self._answer("JudgeGroup", context, self._read_group(request, context))

        async def one(index: int, case: Case) -> pb.JudgeResponse:
            # A report that is late is unscored: it takes no finished sibling with it.
            return wire.write_response(await self._judge(case, options, ticket), index=index)

        tasks = [asyncio.create_task(one(index, case)) for index, case in enumerate(cases)]
        try:
            for finished in asyncio.as_completed(tasks):
                yield await self._answer("JudgeGroup", context, finished, counts=False)
        finally:
            await end(tasks)

    async def JudgeStream(
        self, requests: AsyncIterator[pb.JudgeRequest], context: Context
    ) -> AsyncIterator[pb.JudgeResponse]:
        permits = asyncio.Semaphore(self.stream_in_flight)
        answers: asyncio.Queue[pb.JudgeResponse | JudgerError | None] = asyncio.Queue()

        async def one(index: int, request: pb.JudgeRequest) -> None:
            try:
                response = await self._judge_one(request, context, index, patient=True)
            except JudgerError as error:
                response = pb.JudgeResponse(request_id=request.request_id, index=index, error=error_status(error))
                self.metrics.requests.labels("JudgeStream", code_name(error)).inc()
            else:
                self.metrics.requests.labels("JudgeStream", "OK").inc()
            answers.put_nowait(response)

        async def read() -> None:
            index = 0
            try:
                async with asyncio.TaskGroup() as group:
                    await permits.acquire()
                    async for request in requests:
                        group.create_task(one(index, request))
                        index += 1
                        await permits.acquire()
            finally:
                answers.put_nowait(None)

        self._streams.add(answers)
        reader = asyncio.create_task(read())
        try:
            while isinstance(answer := await answers.get(), pb.JudgeResponse):
                yield answer
                permits.release()
            if answer is None:
                await reader
        finally:
            self._streams.discard(answers)
            await end([reader])
        if answer is not None:
            await self._abort("JudgeStream", context, answer)

    async def Compare(self, request: pb.CompareRequest, context: Context) -> pb.CompareResponse:
        response: pb.CompareResponse = await self._answer("Compare", context, self._compare(request, context))
        return response

    async def GetJudge(self, request: pb.GetJudgeRequest, context: Context) -> pb.JudgeInfo:
        judge, engine = self.judge, self.judge.engine
        criteria, tokens = judge.work.queued
        return pb.JudgeInfo(
            judge_id=judge.judge_id,
            engine=engine.identity.engine,
            model=engine.identity.model,
            version=__version__,
            limits=pb.Limits(
                report_bytes=LIMITS.report_bytes,
                criteria=LIMITS.criteria,
                message_bytes=LIMITS.message_bytes,
                group_reports=LIMITS.group_reports,
                query_bytes=LIMITS.query_bytes,
                criterion_bytes=LIMITS.criterion_bytes,
                prompt_tokens=engine.capabilities.prompt_tokens,
            ),
            languages=engine.capabilities.languages,
            calibration=pb.Calibration(
                temperature=judge.calibration.temperature,
                bias=judge.calibration.bias,
                positive_threshold=judge.calibration.positive_threshold,
                negative_threshold=judge.calibration.negative_threshold,
                partial_threshold=judge.calibration.partial_threshold,
                fitted_on=judge.calibration.fitted_on,
            ),
            load=pb.Load(requests_in_flight=judge.num_in_flight, queued_criteria=criteria, queued_tokens=tokens),
            can_explain=engine.capabilities.can_explain,
            can_compare=engine.capabilities.can_compare,
            precision=engine.identity.precision,
        )

    async def _judge_one(
        self, request: pb.JudgeRequest, context: Context, index: int = 0, *, patient: bool = False
    ) -> pb.JudgeResponse:
        self._check(request.judge_id)
        case, options = wire.read_request(request)
        self.judge.check_options(options)
        judgement = await self._judge(case, options, ticket_for(context, options.lane, patient=patient))
        if all(_is_late(one.result) for one in judgement.verdicts):
            raise DeadlineExceeded("not one criterion could be judged before the deadline")
        return wire.write_response(judgement, index=index)

    async def _judge(self, case: Case, options: Options, ticket: Ticket) -> Judgement:
        spend(case)
        judgement = await self.judge.judge(case, options, ticket)
        self.metrics.observe(case, judgement)
        return judgement

    async def _read_group(self, request: pb.JudgeGroupRequest, context: Context) -> tuple[list[Case], Options, Ticket]:
        self._check(request.judge_id)
        cases, options = wire.read_group(request)
        self.judge.check_options(options)
        ticket = ticket_for(context, options.lane)
        await self.judge.admit(cases, options, ticket)
        return cases, options, ticket

    def _check(self, judge_id: str) -> None:
        if self._leaving:
            raise shutting_down()
        self.judge.check_pin(judge_id)

    async def _compare(self, request: pb.CompareRequest, context: Context) -> pb.CompareResponse:
        self._check(request.judge_id)
        case_a, case_b, options = wire.read_compare(request)
        ticket = ticket_for(context, options.lane)
        if not request.criteria:
            spend(*duels(case_a, case_b))
            return wire.write_comparison(await self.judge.compare(case_a, case_b, ticket), case_a, self.judge.judge_id)
        await self.judge.admit((case_a, case_b), options, ticket)
        judged = await asyncio.gather(*(self._judge(case, options, ticket) for case in (case_a, case_b)))
        a, b = (wire.write_response(judgement, index=index) for index, judgement in enumerate(judged))
        response = pb.CompareResponse(request_id=request.request_id, a=a, b=b, judge_id=self.judge.judge_id)
        if a.reward.HasField("value") and b.reward.HasField("value"):
            response.difference = a.reward.value - b.reward.value
            names = pb.CompareResponse.Preference
            response.preference = (
                names.TIE if response.difference == 0 else names.A if response.difference > 0 else names.B
            )
        return response

    async def _answer(self, method: str, context: Context, work: Awaitable[Any], *, counts: bool = True) -> Any:
        """The one place where our errors become statuses, and where requests are counted by code.

        A group is counted once, when it has been read; after that only its failure `counts`.
        """
        try:
            result = await work
        except JudgerError as error:
            await self._abort(method, context, error)
        except asyncio.CancelledError:
            self.metrics.requests.labels(method, "CANCELLED").inc()
            raise
        if counts:
            self.metrics.requests.labels(method, "OK").inc()
        return result

    async def _abort(self, method: str, context: Context, error: JudgerError) -> NoReturn:
        status, code = error_status(error), code_name(error)
        self.metrics.requests.labels(method, code).inc()
        details = ((DETAILS_TRAILER, status.SerializeToString()),)
        await context.abort(grpc.StatusCode[code], status.message, trailing_metadata=details)
        raise AssertionError("abort raises")


def ticket_for(context: Context, lane: Lane, *, patient: bool = False) -> Ticket:
    """The call's lane, and the instant by which its verdicts have to be there for the answer to be in time."""
    left = context.time_remaining()
    if left is None:
        return Ticket(lane, patient=patient)
    return Ticket(lane, time.monotonic() + left - min(RESERVE, 0.1 * left), patient=patient)


def spend(*cases: Case) -> None:
    """Takes what cases cost off the budget of the caller, where callers have one."""
    if (caller := CALLER.get()) is not None:
        caller.spend(sum(map(estimated_tokens, cases)))


def _is_late(result: Score | Unscored) -> bool:
    return isinstance(result, Unscored) and result.reason is Reason.DEADLINE


async def end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels what is not done and waits for it. For generators, which a task group does not survive being left."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
