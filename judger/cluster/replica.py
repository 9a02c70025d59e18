"""One replica: the whole judge and the service in front of it, as in a server of its own, called by Ray Serve."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

from grpc_health.v1 import health_pb2

from judger.cluster.calls import Call
from judger.cluster.config import ClusterConfig
from judger.cluster.export import exporting
from judger.cluster.scaling import QUEUED_TOKENS
from judger.config import with_user_base
from judger.errors import JudgerError
from judger.judge import Judge
from judger.observe.metrics import Metrics
from judger.observe.requestlog import RequestLog
from judger.observe.tracing import build_tracing
from judger.server.callers import TokenFile
from judger.server.faults import tell
from judger.server.process import assemble
from judger.server.rpcs import JudgerService
from judger.server.web import enter
from judger.v1 import judger_pb2 as pb

__all__ = ["Replica"]

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Replica:
    """What Serve makes of the deployment. Its methods are those that `judger.cluster.ingress` routes.

    Args:
        settings: of a `ClusterConfig`, as plain values.
        fence_key: the one secret of all replicas; None where the engine has none.
    """

    async def __init__(self, settings: dict[str, Any], fence_key: bytes | None) -> None:  # type: ignore[misc]
        config = with_user_base(ClusterConfig(**settings), os.environ)  # each node has its own
        self._folder = tempfile.TemporaryDirectory(prefix="judger-")  # only its owner looks into it
        if fence_key is not None:
            config = with_key(config, fence_key, Path(self._folder.name, "fence.key"))
        self._grace = config.grace
        self._tokens = TokenFile(config.tokens) if config.tokens is not None else None
        self._death: BaseException | None = None
        self.judge = await asyncio.get_running_loop().run_in_executor(None, assemble, config)
        self.judge.work.on_death = self._died
        self._tracing = build_tracing(config.otlp, self.judge.judge_id)
        log = RequestLog(self.judge.judge_id, self._tracing, with_texts=config.log_texts)
        self.metrics = Metrics(self.judge)
        self.service = JudgerService(self.judge, self.metrics, log)
        await self.judge.warm_up()
        self._exporting = asyncio.create_task(exporting(self.metrics.registry))

    async def Judge(self, raw: bytes, grpc_context: Any) -> pb.JudgeResponse:
        return await self._answer(self.service.Judge, raw, grpc_context, pb.JudgeResponse())

    async def JudgeOfStream(self, raw: bytes, grpc_context: Any) -> pb.JudgeResponse:
        return await self._answer(self.service.JudgeOfStream, raw, grpc_context, pb.JudgeResponse())

    async def Compare(self, raw: bytes, grpc_context: Any) -> pb.CompareResponse:
        return await self._answer(self.service.Compare, raw, grpc_context, pb.CompareResponse())

    async def GetJudge(self, raw: bytes, grpc_context: Any) -> pb.JudgeInfo:
        return await self._answer(self.service.GetJudge, raw, grpc_context, pb.JudgeInfo())

    async def JudgeGroup(self, raw: bytes, grpc_context: Any) -> AsyncIterator[pb.JudgeResponse]:
        call = Call(grpc_context)
        if self._is_known(call):
            async with aclosing(self.service.JudgeGroup(raw, call)) as answers:
                async for answer in answers:
                    yield answer
        if call.is_refused:
            yield pb.JudgeResponse()  # is `ABSENT`: a status travels with a message alone

    async def Check(self, raw: bytes, grpc_context: Any) -> health_pb2.HealthCheckResponse:
        """The health of this replica."""
        states = health_pb2.HealthCheckResponse
        is_up = self._death is None and self.judge.work.keeper.is_up
        return states(status=states.SERVING if is_up else states.NOT_SERVING)

    def judge_id(self) -> str:
        """Who judges."""
        return self.judge.judge_id

    def check_health(self) -> None:
        """Serve asks now and then, and puts a new replica in the place of one that raises."""
        if self._death is not None:
            raise RuntimeError(f"the judge has died of a fault of its own: {self._death!r}") from self._death

    def record_autoscaling_stats(self) -> dict[str, float]:
        """What `judger.cluster.scaling` goes by."""
        return {QUEUED_TOKENS: float(sum(self.judge.admission.held.values()))}

    async def __del__(self) -> None:
        """Serve calls it when the replica has nothing to do any more, or its grace is over."""
        if (task := getattr(self, "_exporting", None)) is not None:  # else it was never up
            task.cancel()
            await end(self.judge, self._grace)
            await asyncio.to_thread(self._tracing.close)
        self._folder.cleanup()

    async def _answer(self, method: Callable[[bytes, Call], Awaitable[T]], raw: bytes, context: Any, none: T) -> T:
        call = Call(context)
        return await method(raw, call) if self._is_known(call) else none

    def _is_known(self, call: Call) -> bool:
        """Makes the owner of the call's token its caller; False, and the call's status, where there is none."""
        try:
            enter(self._tokens, call.metadata("authorization"))
        except JudgerError as error:
            tell(call, error)
            return False
        return True

    def _died(self, error: BaseException) -> None:
        self._death = error


def with_key(config: ClusterConfig, secret: bytes, path: Path) -> ClusterConfig:
    """The same with that key, in a file of this replica's own."""
    path.write_bytes(secret)
    return config.model_copy(update={"fence_key_file": path})


async def end(judge: Judge, grace: float) -> None:
    """Lets what runs finish, and closes the judge."""
    if not await judge.drain(grace):
        logger.warning("%d cases are not done after %.0f s of grace", judge.num_in_flight, grace)
    await judge.close()
