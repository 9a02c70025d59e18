"""A server that misbehaves as told, for what no healthy one shows."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from judger import wire
from judger.errors import JudgerError
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc

Mood = JudgerError | str | None
"""An error to answer with, "slow": never an answer, "break": the call ends without any detail, None: a fine answer."""


class MoodyServicer(judger_pb2_grpc.JudgerServicer):  # type: ignore[misc]
    """Answers every report with its own `moods`, one after the other, and then well."""

    def __init__(self) -> None:
        self.moods: deque[Mood] = deque()
        self.seen: list[tuple[float, Any]] = []
        """(when, request) of every call; of a stream every request."""
        self.moods_of: dict[str, Mood] = {}
        """Of a stream's request of that id, the first time."""
        self.metadata: list[dict[str, str]] = []
        self.remaining: list[float] = []
        """Seconds to the deadline of every call, as it came."""
        self.arrived = asyncio.Event()
        self.cancelled = asyncio.Event()

    def requests(self) -> list[Any]:
        return [request for _, request in self.seen]

    def times(self) -> list[float]:
        return [when for when, _ in self.seen]

    async def Judge(self, request: pb.JudgeRequest, context: Any) -> pb.JudgeResponse:
        self._note(request, context)
        await self._mood(context)
        return pb.JudgeResponse(request_id=request.request_id, reward=pb.Reward(value=1.0, mapping="STRICT"))

    async def JudgeGroup(self, request: pb.JudgeGroupRequest, context: Any) -> AsyncIterator[pb.JudgeResponse]:
        self._note(request, context)
        for index, report in enumerate(request.reports):
            await self._mood(context)
            yield pb.JudgeResponse(request_id=report, index=index, reward=pb.Reward(mapping="STRICT"))

    async def JudgeStream(self, requests: AsyncIterator[pb.JudgeRequest], context: Any) -> AsyncIterator[Any]:
        index = 0
        async for request in requests:
            self._note(request, context)
            response = pb.JudgeResponse(request_id=request.request_id, index=index, reward=pb.Reward(mapping="STRICT"))
            index += 1
            mood = self.moods_of.pop(request.request_id, None) or (self.moods.popleft() if self.moods else None)
            if isinstance(mood, JudgerError):
                response.error.CopyFrom(wire.error_status(mood))
            elif mood is not None:
                self.moods.appendleft(mood)
                await self._mood(context)
            yield response

    def _note(self, request: Any, context: Any) -> None:
        self.seen.append((asyncio.get_running_loop().time(), request))
        self.arrived.set()
        self.metadata.append(dict(context.invocation_metadata()))
        self.remaining.append(context.time_remaining() or math.inf)

    async def _mood(self, context: Any) -> None:
        match self.moods.popleft() if self.moods else None:
            case JudgerError() as error:
                status = wire.error_status(error)
                details = (("grpc-status-details-bin", status.SerializeToString()),)
                await context.abort(grpc.StatusCode[wire.code_name(error)], status.message, details)
            case "slow":
                try:
                    await asyncio.Event().wait()
                finally:
                    self.cancelled.set()
            case "break":
                await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")


@pytest.fixture
async def moody() -> AsyncIterator[tuple[MoodyServicer, str]]:
    """The servicer and its address."""
    server = grpc.aio.server()
    servicer = MoodyServicer()
    judger_pb2_grpc.add_JudgerServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, f"127.0.0.1:{port}"
    await server.stop(0)
