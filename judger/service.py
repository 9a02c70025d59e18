"""The RPCs: validate, check the pin, call the judge, answer. Errors become statuses in one place.

What a request asks wrongly is refused here before any work. Nothing runs a model on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

import grpc

from judger import wire
from judger.errors import JudgerError, Unsupported
from judger.judge import Judge
from judger.metrics import Metrics
from judger.status import DETAILS_TRAILER, code_name, error_status
from judger.types import LIMITS, Case, Options
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from judger.version import __version__

logger = logging.getLogger(__name__)
Context = Any  # a grpc.aio.ServicerContext; grpc has no types


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

    async def Judge(self, request: pb.JudgeRequest, context: Context) -> pb.JudgeResponse:
        response: pb.JudgeResponse = await self._answer("Judge", context, self._judge_one(request))
        return response

    async def JudgeGroup(self, request: pb.JudgeGroupRequest, context: Context) -> AsyncIterator[pb.JudgeResponse]:
        cases, options = await self._answer("JudgeGroup", context, self._read_group(request))

        async def one(index: int, case: Case) -> pb.JudgeResponse:
            return await self._judge(case, options, index)

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
        answers: asyncio.Queue[pb.JudgeResponse | None] = asyncio.Queue()

        async def one(index: int, request: pb.JudgeRequest) -> None:
            try:
                response = await self._judge_one(request, index)
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

        reader = asyncio.create_task(read())
        try:
            while (answer := await answers.get()) is not None:
                yield answer
                permits.release()
            await reader
        finally:
            await end([reader])

    async def Compare(self, request: pb.CompareRequest, context: Context) -> pb.CompareResponse:
        response: pb.CompareResponse = await self._answer("Compare", context, self._compare(request))
        return response

    async def GetJudge(self, request: pb.GetJudgeRequest, context: Context) -> pb.JudgeInfo:
        judge, engine = self.judge, self.judge.engine
        criteria, tokens = judge.batcher.queued if judge.batcher else (0, 0)
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

    async def _judge_one(self, request: pb.JudgeRequest, index: int = 0) -> pb.JudgeResponse:
        self.judge.check_pin(request.judge_id)
        case, options = wire.read_request(request)
        self.judge.check_options(options)
        return await self._judge(case, options, index)

    async def _judge(self, case: Case, options: Options, index: int) -> pb.JudgeResponse:
        judgement = await self.judge.judge(case, options)
        self.metrics.observe(case, judgement)
        return wire.write_response(judgement, index=index)

    async def _read_group(self, request: pb.JudgeGroupRequest) -> tuple[list[Case], Options]:
        self.judge.check_pin(request.judge_id)
        cases, options = wire.read_group(request)
        self.judge.check_options(options)
        return cases, options

    async def _compare(self, request: pb.CompareRequest) -> pb.CompareResponse:
        self.judge.check_pin(request.judge_id)
        if not request.criteria:
            raise Unsupported(
                f"criteria: the {self.judge.engine.identity.engine} engine compares by criteria only; give some"
            )
        case_a, case_b, options = wire.read_compare(request)
        a, b = await asyncio.gather(self._judge(case_a, options, 0), self._judge(case_b, options, 1))
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
            status = error_status(error)
            code = code_name(error)
            self.metrics.requests.labels(method, code).inc()
            await context.abort(
                grpc.StatusCode[code],
                status.message,
                trailing_metadata=((DETAILS_TRAILER, status.SerializeToString()),),
            )
        except asyncio.CancelledError:
            self.metrics.requests.labels(method, "CANCELLED").inc()
            raise
        if counts:
            self.metrics.requests.labels(method, "OK").inc()
        return result


async def end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels what is not done and waits for it. For generators, which a task group does not survive being left."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
