"""The RPCs: validate, check the pin, call the judge, answer. Errors become statuses in one place.

What a request asks wrongly is refused here before any work. Nothing runs a model on the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, TypeVar

import grpc

from judger import wire
from judger.errors import DeadlineExceeded, InvalidRequest, JudgerError, Overloaded, Unavailable
from judger.judge import Judge
from judger.observe.metrics import Metrics
from judger.observe.requestlog import Request, RequestLog
from judger.observe.tracing import NoTracing
from judger.pairwise import duels
from judger.schedule.admission import Ticket
from judger.schedule.keeper import shutting_down
from judger.server.callers import caller_name, give_back, paying
from judger.server.info import judge_info
from judger.types import Case, Judgement, Lane, Options, Reason, Score, Unscored
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from judger.wire.status import DETAILS_TRAILER, code_name, error_status

RpcContext = Any  # a grpc.aio.ServicerContext; grpc has no types

T = TypeVar("T")

RESERVE = 0.1
"""Seconds of a deadline kept for the answer's way back (at most a tenth of it)."""


class JudgerService(judger_pb2_grpc.JudgerServicer):
    """The five RPCs in front of one `Judge`.

    Args:
        log: told of every request; has a line for each.
        stream_in_flight: requests of one JudgeStream call judged at a time; the next is read only when one of them
            has been answered, so that a slow reader holds back its own writer.
    """

    def __init__(
        self, judge: Judge, metrics: Metrics, log: RequestLog | None = None, *, stream_in_flight: int = 64
    ) -> None:
        self.judge = judge
        self.metrics = metrics
        self.log = log or RequestLog(judge.judge_id, NoTracing())
        self.stream_in_flight = stream_in_flight
        self._leaving = False
        self._streams: set[asyncio.Queue[pb.JudgeResponse | JudgerError | None]] = set()

    def leave(self) -> None:
        """From now on nothing new is taken; what was taken goes on."""
        self._leaving = True

    def end_streams(self) -> int:
        """Ends the streams, whose writers may have no end in mind, and says how many there were.

        What they were promised and not given is lost.
        """
        for answers in self._streams:
            answers.put_nowait(shutting_down())
        return len(self._streams)

    async def Judge(self, request: pb.JudgeRequest, context: RpcContext) -> pb.JudgeResponse:
        entry = self.log.open("Judge", request.request_id, caller_name())
        response = await self._answer(entry, context, self._judge_one(request, context, entry))
        return response or pb.JudgeResponse()

    async def JudgeGroup(self, request: pb.JudgeGroupRequest, context: RpcContext) -> AsyncIterator[pb.JudgeResponse]:
        entry = self.log.open("JudgeGroup", request.request_id, caller_name())
        reading = self._read_group(request, context, entry)
        if (read := await self._answer(entry, context, reading, is_last=False)) is None:
            return
        cases, options, ticket = read

        async def one(index: int, case: Case | InvalidRequest) -> pb.JudgeResponse:
            if isinstance(case, InvalidRequest):
                return pb.JudgeResponse(request_id=request.request_id, index=index, error=error_status(case))
            # A report that is late is unscored: it takes no finished sibling with it.
            return wire.write_response(await self._judge(case, options, ticket, entry), index=index)

        tasks = [asyncio.create_task(one(index, case)) for index, case in enumerate(cases)]
        try:
            for finished in asyncio.as_completed(tasks):
                if (response := await self._answer(entry, context, finished, is_last=False)) is None:
                    return
                yield response
            self._end(entry, "OK")
        finally:
            self._end(entry, "CANCELLED")  # unless it has ended otherwise
            await end(tasks)

    async def JudgeStream(
        self, requests: AsyncIterator[pb.JudgeRequest], context: RpcContext
    ) -> AsyncIterator[pb.JudgeResponse]:
        permits = asyncio.Semaphore(self.stream_in_flight)
        answers: asyncio.Queue[pb.JudgeResponse | JudgerError | None] = asyncio.Queue()

        async def one(index: int, request: pb.JudgeRequest) -> None:
            entry = self.log.open("JudgeStream", request.request_id, caller_name())
            try:
                response = await self._judge_one(request, context, entry, index, patient=True)
                self._end(entry, "OK")
            except JudgerError as refused:
                error = in_time(refused, context)
                response = pb.JudgeResponse(request_id=request.request_id, index=index, error=error_status(error))
                self._end(entry, code_name(error), str(error))
            except asyncio.CancelledError:
                self._end(entry, "CANCELLED")
                raise
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
            self._refuse(self.log.open("JudgeStream", "", caller_name()), context, answer)

    async def Compare(self, request: pb.CompareRequest, context: RpcContext) -> pb.CompareResponse:
        entry = self.log.open("Compare", request.request_id, caller_name())
        response = await self._answer(entry, context, self._compare(request, context, entry))
        return response or pb.CompareResponse()

    async def GetJudge(self, request: pb.GetJudgeRequest, context: RpcContext) -> pb.JudgeInfo:
        return judge_info(self.judge)

    async def _judge_one(
        self, request: pb.JudgeRequest, context: RpcContext, entry: Request, index: int = 0, *, patient: bool = False
    ) -> pb.JudgeResponse:
        self._check(request.judge_id)
        case, options = wire.read_request(request)
        self.judge.check_options(options)
        entry.lane = options.lane
        with paying(case):
            judgement = await self._judge(case, options, ticket_for(context, options.lane, patient=patient), entry)
        if all(_is_late(one.result) for one in judgement.verdicts):
            raise DeadlineExceeded("not one criterion could be judged before the deadline")
        return wire.write_response(judgement, index=index)

    async def _judge(self, case: Case, options: Options, ticket: Ticket, entry: Request) -> Judgement:
        named = {"request_id": entry.request_id, "lane": options.lane.value, "criteria": len(case.criteria)}
        with self.log.tracing.span("judge case", **named):
            judgement = await self.judge.judge(case, options, ticket)
        if judgement.usage.cached_criteria == len(case.criteria):
            give_back(case)
        self.metrics.observe(case, judgement)
        self.log.judged(entry, case, judgement)
        return judgement

    async def _read_group(
        self, request: pb.JudgeGroupRequest, context: RpcContext, entry: Request
    ) -> tuple[list[Case | InvalidRequest], Options, Ticket]:
        self._check(request.judge_id)
        cases, options = wire.read_group(request)
        self.judge.check_options(options)
        entry.lane = options.lane
        ticket = ticket_for(context, options.lane)
        entry.refused = sum(isinstance(case, InvalidRequest) for case in cases)
        sound = [case for case in cases if isinstance(case, Case)]
        with paying(*sound):  # whole or not at all
            await self.judge.admit(sound, options, ticket)
        return cases, options, ticket

    def _check(self, judge_id: str) -> None:
        if self._leaving:
            raise shutting_down()
        self.judge.check_pin(judge_id)

    async def _compare(self, request: pb.CompareRequest, context: RpcContext, entry: Request) -> pb.CompareResponse:
        self._check(request.judge_id)
        case_a, case_b, options = wire.read_compare(request)
        entry.lane = options.lane
        ticket = ticket_for(context, options.lane)
        if not request.criteria:
            with paying(*duels(case_a, case_b)):
                comparison = await self.judge.compare(case_a, case_b, ticket)
            return wire.write_comparison(comparison, case_a, self.judge.judge_id)
        with paying(case_a, case_b):
            await self.judge.admit((case_a, case_b), options, ticket)
        judged = await asyncio.gather(*(self._judge(case, options, ticket, entry) for case in (case_a, case_b)))
        a, b = (wire.write_response(judgement, index=index) for index, judgement in enumerate(judged))
        response = pb.CompareResponse(request_id=request.request_id, a=a, b=b, judge_id=self.judge.judge_id)
        if a.reward.HasField("value") and b.reward.HasField("value"):
            response.difference = a.reward.value - b.reward.value
            names = pb.CompareResponse.Preference
            response.preference = (
                names.TIE if response.difference == 0 else names.A if response.difference > 0 else names.B
            )
        return response

    async def _answer(
        self, entry: Request, context: RpcContext, work: Awaitable[T], *, is_last: bool = True
    ) -> T | None:
        """The one place where our errors become statuses: None after one. With `is_last` the request ends here."""
        try:
            result = await work
        except JudgerError as error:
            self._refuse(entry, context, error)
            return None
        except asyncio.CancelledError:
            self._end(entry, "CANCELLED")
            raise
        except Exception as error:
            self._end(entry, "UNKNOWN", type(error).__name__)  # a bug of ours: gRPC answers, and the line says so
            raise
        if is_last:
            self._end(entry, "OK")
        return result

    def _refuse(self, entry: Request, context: RpcContext, error: JudgerError) -> None:
        # Not `context.abort`: what it raises holds the frames that hold the context that holds it, and with them the
        # request's texts, until the garbage collector comes by.
        error = in_time(error, context)
        status = error_status(error)
        context.set_code(grpc.StatusCode[code_name(error)])
        context.set_details(status.message)
        context.set_trailing_metadata(((DETAILS_TRAILER, status.SerializeToString()),))
        self._end(entry, code_name(error), str(error))

    def _end(self, entry: Request, code: str, reason: str = "") -> None:
        """Counts and logs a request, once."""
        if not entry.is_closed:
            self.metrics.requests.labels(entry.method, code).inc()
            if code == "OK":
                self.metrics.seconds.labels("request").observe(time.monotonic() - entry.began)
            self.log.close(entry, code, reason)


def ticket_for(context: RpcContext, lane: Lane, *, patient: bool = False) -> Ticket:
    """The call's lane, and the instant by which its verdicts have to be there for the answer to be in time."""
    left = context.time_remaining()
    if left is None:
        return Ticket(lane, patient=patient)
    return Ticket(lane, time.monotonic() + left - min(RESERVE, 0.1 * left), patient=patient)


def in_time(error: JudgerError, context: RpcContext) -> JudgerError:
    """The error as it is; without its RetryInfo where the call's deadline has passed by then."""
    if not isinstance(error, Overloaded | Unavailable) or error.retry_after is None:
        return error
    left = context.time_remaining()
    return error if left is None or error.retry_after < left else error.without_retry()


def _is_late(result: Score | Unscored) -> bool:
    return isinstance(result, Unscored) and result.reason is Reason.DEADLINE


async def end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels what is not done and waits for it. For generators, which a task group does not survive being left."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
