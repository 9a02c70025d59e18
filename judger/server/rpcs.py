"""The RPCs: validate, check the pin, call the judge, answer. Errors become statuses in one place.

What a request asks wrongly is refused here before any work. Nothing runs a model on the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import ExitStack, aclosing
from typing import Any, TypeVar

from judger import wire
from judger.engines.base import PAIR_TIER
from judger.errors import DeadlineExceeded, EngineError, InvalidRequest, JudgerError
from judger.judge import Judge
from judger.observe.metrics import Metrics
from judger.observe.requestlog import Request, RequestLog
from judger.observe.tracing import NoTracing
from judger.pairwise import duels
from judger.schedule.admission import Ticket
from judger.schedule.beside import beside
from judger.schedule.inhand import BytesInHand
from judger.schedule.keeper import shutting_down
from judger.server.callers import caller_key, caller_name, give_back, paying
from judger.server.deadlines import RpcContext, in_time, ticket_for
from judger.server.faults import own_faults, tell, unjudged
from judger.server.info import judge_info
from judger.server.stream import Stream, end
from judger.types import IN_FLIGHT, Case, Options
from judger.v1 import judger_pb2 as pb
from judger.wire.status import code_name, error_status

T = TypeVar("T")
Asked = tuple[Case, Ticket] | InvalidRequest
"""A report of a group: its case and its turn, or why it is refused."""


class JudgerService:
    """The five RPCs in front of one `Judge`, over bytes (`judger.server.handlers`).

    Args:
        log: told of every request; has a line for each.
        stream_in_flight: requests of one JudgeStream call judged at a time.
    """

    def __init__(
        self, judge: Judge, metrics: Metrics, log: RequestLog | None = None, *, stream_in_flight: int = IN_FLIGHT
    ) -> None:
        self.judge = judge
        self.metrics = metrics
        self.log = log or RequestLog(judge.judge_id, NoTracing())
        self.stream_in_flight = stream_in_flight
        self.in_hand = BytesInHand()
        self._leaving = False
        self._streams: set[Stream] = set()

    def leave(self) -> None:
        """From now on nothing new is taken; what was taken goes on."""
        self._leaving = True

    def end_streams(self) -> int:
        """Ends the streams, whose writers may have no end in mind, and says how many there were.

        What they were promised and not given is lost.
        """
        for stream in self._streams:
            stream.end(shutting_down())
        return len(self._streams)

    async def Judge(self, raw: bytes, context: RpcContext) -> pb.JudgeResponse:
        return await self._judge_alone("Judge", raw, context)

    async def JudgeOfStream(self, raw: bytes, context: RpcContext) -> pb.JudgeResponse:
        """A request of a stream that is taken apart elsewhere (`judger.cluster`): held back, not refused."""
        return await self._judge_alone("JudgeStream", raw, context, patient=True)

    async def JudgeGroup(self, raw: bytes, context: RpcContext) -> AsyncGenerator[pb.JudgeResponse, None]:
        entry = self.log.open("JudgeGroup", caller_name())
        with ExitStack() as held:
            reading = self._read_group(raw, context, entry, held)
            if (read := await self._answer(entry, context, reading, is_last=False)) is None:
                return
            asked, options = read
            # A report that is late is unscored: it takes no finished sibling with it.
            tasks = [
                asyncio.create_task(self._judge_of_group(index, one, options, entry)) for index, one in enumerate(asked)
            ]
            try:
                for finished in asyncio.as_completed(tasks):
                    if (response := await self._answer(entry, context, finished, is_last=False)) is None:
                        return
                    yield response
                self._end(entry, "OK")
            finally:
                self._end(entry, "CANCELLED")  # unless it has ended otherwise
                await end(tasks)
                for one in asked:  # a task that was cancelled before it began gave nothing back
                    if not isinstance(one, InvalidRequest):
                        one[1].give_back()

    async def JudgeStream(self, requests: AsyncIterator[bytes], context: RpcContext) -> AsyncIterator[pb.JudgeResponse]:
        caller = caller_key(context)

        async def one(index: int, raw: bytes) -> pb.JudgeResponse:
            entry = self.log.open("JudgeStream", caller_name())
            try:
                with own_faults(), self.in_hand.holding(caller, len(raw)):
                    case, options = await self._read(raw, entry)
                    raw = b""  # its texts are the case's now
                    response = await self._judge_one(case, options, context, entry, index, patient=True)
                self._end(entry, "OK")
            except JudgerError as refused:
                error = in_time(refused, context)
                response = pb.JudgeResponse(request_id=entry.asked_id, index=index, error=error_status(error))
                self._end(entry, code_name(error), str(error))
            except asyncio.CancelledError:
                self._end(entry, "CANCELLED")
                raise
            return response

        stream = Stream(one, in_flight=self.stream_in_flight, in_hand=self.in_hand, caller=caller)
        self._streams.add(stream)
        try:
            async with aclosing(stream.answers(requests)) as answers:
                with own_faults():
                    async for answer in answers:
                        yield answer
        except JudgerError as error:
            self._refuse(self.log.open("JudgeStream", caller_name()), context, error)
        finally:
            self._streams.discard(stream)

    async def Compare(self, raw: bytes, context: RpcContext) -> pb.CompareResponse:
        entry = self.log.open("Compare", caller_name())

        async def compare() -> pb.CompareResponse:
            with self.in_hand.holding(caller_key(context), len(raw)):
                return await self._compare(raw, context, entry)

        return await self._answer(entry, context, compare()) or pb.CompareResponse()

    async def GetJudge(self, raw: bytes, context: RpcContext) -> pb.JudgeInfo:
        return judge_info(self.judge)

    async def _judge_alone(
        self, method: str, raw: bytes, context: RpcContext, *, patient: bool = False
    ) -> pb.JudgeResponse:
        entry = self.log.open(method, caller_name())

        async def judge() -> pb.JudgeResponse:
            with self.in_hand.holding(caller_key(context), len(raw)):
                return await self._judge_one(*await self._read(raw, entry), context, entry, patient=patient)

        return await self._answer(entry, context, judge()) or pb.JudgeResponse()

    async def _read(self, raw: bytes, entry: Request) -> tuple[Case, Options]:
        request = await beside(len(raw), wire.parse, pb.JudgeRequest, raw)
        self._check(request, entry)
        case, options = await beside(len(raw), wire.read_request, request)
        self.judge.check_options(options)
        entry.lane = options.lane
        return case, options

    async def _judge_one(
        self,
        case: Case,
        options: Options,
        context: RpcContext,
        entry: Request,
        index: int = 0,
        *,
        patient: bool = False,
    ) -> pb.JudgeResponse:
        ticket = ticket_for(context, options.lane, patient=patient)
        with paying(self.judge.tier(options), case):
            response = await self._judge(case, options, ticket, entry, index)
        if all(one.unscored.reason == pb.Unscored.DEADLINE for one in response.verdicts):
            raise DeadlineExceeded("not one criterion could be judged before the deadline")
        return response

    async def _judge(
        self, case: Case, options: Options, ticket: Ticket, entry: Request, index: int
    ) -> pb.JudgeResponse:
        named = {"request_id": entry.request_id, "lane": options.lane.value, "criteria": len(case.criteria)}
        try:
            with own_faults(), self.log.tracing.span("judge case", **named):
                judgement = await self.judge.judge(case, options, ticket)
                response = wire.write_response(judgement, index=index)
        except EngineError as error:  # takes this case, and none beside it
            judgement = unjudged(case, options, self.judge.judge_id, str(error))
            response = wire.write_response(judgement, index=index)
        if judgement.usage.cached_criteria == len(case.criteria):
            give_back(self.judge.tier(options), case)
        self.metrics.observe(case, judgement)
        self.log.judged(entry, case, judgement)
        return response

    async def _judge_of_group(self, index: int, asked: Asked, options: Options, entry: Request) -> pb.JudgeResponse:
        if isinstance(asked, InvalidRequest):  # takes no sibling with it
            return pb.JudgeResponse(request_id=entry.asked_id, index=index, error=error_status(asked))
        case, ticket = asked
        return await self._judge(case, options, ticket, entry, index)

    async def _read_group(
        self, raw: bytes, context: RpcContext, entry: Request, held: ExitStack
    ) -> tuple[list[Asked], Options]:
        held.enter_context(self.in_hand.holding(caller_key(context), len(raw)))
        request = await beside(len(raw), wire.parse, pb.JudgeGroupRequest, raw)
        self._check(request, entry)
        cases, options = await beside(len(raw), wire.read_group, request)
        self.judge.check_options(options)
        entry.lane = options.lane
        ticket = ticket_for(context, options.lane)
        sound = [case for case in cases if isinstance(case, Case)]
        entry.refused = len(cases) - len(sound)
        with paying(self.judge.tier(options), *sound):  # whole or not at all
            tickets = iter(await self.judge.admit(sound, options, ticket))
        return [(case, next(tickets)) if isinstance(case, Case) else case for case in cases], options

    def _check(self, request: Any, entry: Request) -> None:
        """What can be said of any request once it is read."""
        entry.asked_id = request.request_id
        if self._leaving:
            raise shutting_down()
        self.judge.check_pin(request.judge_id)

    async def _compare(self, raw: bytes, context: RpcContext, entry: Request) -> pb.CompareResponse:
        request = await beside(len(raw), wire.parse, pb.CompareRequest, raw)
        self._check(request, entry)
        case_a, case_b, options = await beside(len(raw), wire.read_compare, request)
        entry.lane = options.lane
        ticket = ticket_for(context, options.lane)
        if not request.criteria:
            with paying(PAIR_TIER, *duels(case_a, case_b)):
                comparison = await self.judge.compare(case_a, case_b, ticket)
            return wire.write_comparison(comparison, case_a, self.judge.judge_id)
        with paying(self.judge.tier(options), case_a, case_b):
            tickets = await self.judge.admit((case_a, case_b), options, ticket)
        asked = enumerate(zip((case_a, case_b), tickets, strict=True))
        try:
            a, b = await asyncio.gather(
                *(self._judge(case, options, ticket, entry, index) for index, (case, ticket) in asked)
            )
        finally:
            for ticket in tickets:
                ticket.give_back()
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
            with own_faults():
                result = await work
        except JudgerError as error:
            self._refuse(entry, context, error)
            return None
        except asyncio.CancelledError:
            self._end(entry, "CANCELLED")
            raise
        if is_last:
            self._end(entry, "OK")
        return result

    def _refuse(self, entry: Request, context: RpcContext, error: JudgerError) -> None:
        error = in_time(error, context)
        tell(context, error)
        self._end(entry, code_name(error), str(error))

    def _end(self, entry: Request, code: str, reason: str = "") -> None:
        """Counts and logs a request, once."""
        if not entry.is_closed:
            self.metrics.requests.labels(entry.method, code).inc()
            if code == "OK":
                self.metrics.seconds.labels("request").observe(time.monotonic() - entry.began)
            self.log.close(entry, code, reason)
