"""The contract in the proxies of Ray Serve: what a proxy does before and after it asks a replica.

Serve puts handlers of its own, which route to the replicas, in the place of those that it finds registered. Here they
are called by ours, so that

- a call has its deadline at the replica, too, and a session: reports and groups come back to the replica that knows
  them, whoever calls;
- a stream is taken apart: each of its requests is routed by itself, so that one stream uses all replicas, and one
  that dies or is replaced breaks none;
- an error keeps its google.rpc details, before the first answer of a group as well;
- health says NOT_SERVING while no replica answers, instead of waiting for one.

Named to Serve by `grpc_servicer_functions: [judger.cluster.ingress.add_to_server]`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from judger import wire
from judger.cluster.calls import ABSENT
from judger.cluster.hop import Caller, Hop
from judger.errors import InvalidRequest, JudgerError
from judger.schedule.beside import beside
from judger.schedule.inhand import BytesInHand
from judger.server.callers import caller_key
from judger.server.faults import own_faults
from judger.server.handlers import SERVICE, handlers
from judger.server.health import Health
from judger.server.stream import Stream
from judger.types import IN_FLIGHT
from judger.v1 import judger_pb2 as pb

__all__ = ["Ingress", "add_to_server"]

CHECK_SECONDS = 1.0
"""That a replica may take to say that it serves."""
WATCH_EVERY = 1.0
"""Seconds between two looks while somebody watches."""
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
UNARY = grpc.unary_unary_rpc_method_handler
ROUTED = {
    f"/{SERVICE}/Judge": UNARY,
    f"/{SERVICE}/JudgeOfStream": UNARY,
    f"/{SERVICE}/JudgeGroup": grpc.unary_stream_rpc_method_handler,
    f"/{SERVICE}/Compare": UNARY,
    f"/{SERVICE}/GetJudge": UNARY,
    f"/{HEALTH}/Check": UNARY,
}
"""What replicas are asked: the contract's methods and their own."""


class Ingress(grpc.GenericRpcHandler):  # type: ignore[misc]
    """What a proxy's server is given in place of generated code."""

    def __init__(self) -> None:
        # The name under which Serve looks for handlers, and where it leaves its own.
        self._method_handlers: dict[str, Any] = {path: kind(_nobody) for path, kind in ROUTED.items()}
        self._contract = handlers(self, write=bytes)
        self._health = grpc.method_handlers_generic_handler(
            HEALTH,
            {
                "Check": UNARY(
                    self.Check,
                    health_pb2.HealthCheckRequest.FromString,
                    health_pb2.HealthCheckResponse.SerializeToString,
                ),
                "Watch": grpc.unary_stream_rpc_method_handler(
                    self.Watch,
                    health_pb2.HealthCheckRequest.FromString,
                    health_pb2.HealthCheckResponse.SerializeToString,
                ),
            },
        )
        self._checks = Health(SERVICE)
        self._in_hand = BytesInHand()

    def service(self, details: Any) -> Any:
        """gRPC asks for the handler of a method."""
        return self._contract.service(details) or self._health.service(details)

    async def Judge(self, raw: bytes, context: Any) -> bytes:
        caller = Caller(context)
        return await self._ask("Judge", raw, Hop(caller, await session(pb.JudgeRequest, raw)))

    async def Compare(self, raw: bytes, context: Any) -> bytes:
        caller = Caller(context)
        return await self._ask("Compare", raw, Hop(caller, await session(pb.CompareRequest, raw)))

    async def GetJudge(self, raw: bytes, context: Any) -> bytes:
        return await self._ask("GetJudge", raw, Hop(Caller(context)))

    async def JudgeGroup(self, raw: bytes, context: Any) -> AsyncIterator[bytes]:
        caller = Caller(context)
        hop = Hop(caller, await session(pb.JudgeGroupRequest, raw))
        async with aclosing(self._routed("JudgeGroup").unary_stream(raw, hop)) as answers:
            async for answer in answers:
                if answer != ABSENT:
                    yield answer
        hop.pass_on()

    async def JudgeStream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async def one(index: int, raw: bytes) -> pb.JudgeResponse:
            return await self._one_of_stream(index, raw, caller, key)

        caller, key = Caller(context), caller_key(context)
        stream = Stream(one, in_flight=IN_FLIGHT, in_hand=self._in_hand, caller=key)
        async with aclosing(stream.answers(requests)) as answers:
            async for answer in answers:
                yield answer.SerializeToString()

    async def _one_of_stream(self, index: int, raw: bytes, caller: Caller, key: str) -> pb.JudgeResponse:
        request_id = ""
        try:
            with own_faults(), self._in_hand.holding(key, len(raw)):
                request = await beside(len(raw), wire.parse, pb.JudgeRequest, raw)
                request_id = request.request_id
                hop = Hop(caller, digest(request.query, request.report))
                answer = await self._routed("JudgeOfStream").unary_unary(raw, hop)
                if (refused := hop.error) is not None:
                    raise refused
                response = pb.JudgeResponse.FromString(answer)
        except JudgerError as error:
            return pb.JudgeResponse(request_id=request_id, index=index, error=wire.error_status(error))
        response.index = index
        return response

    async def _ask(self, method: str, raw: bytes, hop: Hop) -> bytes:
        answer: bytes = await self._routed(method).unary_unary(raw, hop)
        hop.pass_on()
        return answer

    def _routed(self, method: str, service: str = SERVICE) -> Any:
        return self._method_handlers[f"/{service}/{method}"]

    async def Check(self, request: Any, context: Any) -> Any:
        await self._look(Caller(context))
        return await self._checks.Check(request, context)

    async def Watch(self, request: Any, context: Any) -> None:
        async def look() -> None:
            while True:
                await self._look(caller)
                await asyncio.sleep(WATCH_EVERY)

        caller = Caller(context)
        await self._look(caller)
        looking = asyncio.create_task(look())
        try:
            await self._checks.Watch(request, context)
        finally:
            looking.cancel()

    async def _look(self, caller: Caller) -> None:
        """Asks whichever replica is routed to."""
        hop, said = Hop(caller), b""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                said = await self._routed("Check", HEALTH).unary_unary(b"", hop)
            is_up = hop.error is None
        except (TimeoutError, asyncio.CancelledError):
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            is_up = False  # Serve was still looking for a replica
        status = health_pb2.HealthCheckResponse.FromString(said).status
        await self._checks.report(is_up and status == health_pb2.HealthCheckResponse.SERVING)


async def session(kind: Any, raw: bytes) -> str | None:
    """Whose calls belong together: those on one query and report, groups on one query and its reports.

    Not on query and rubric: a trainer's second reward function has another rubric for the same reports, and it is their
    keys and values that it could find.
    """
    try:
        request = await beside(len(raw), wire.parse, kind, raw)
    except InvalidRequest:
        return None  # the replica says what is wrong with it
    match request:
        case pb.JudgeGroupRequest():
            return digest(request.query, *request.reports)
        case pb.CompareRequest():
            return digest(request.query, request.report_a)
        case _:
            return digest(request.query, request.report)


def digest(*texts: str) -> str:
    """32 hex digits of these texts, in this order."""
    summed = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode()
        summed.update(len(data).to_bytes(8, "big"))
        summed.update(data)
    return summed.hexdigest()


def add_to_server(servicer: object, server: Any) -> None:
    """What Serve calls for each of its gRPC servers; `servicer` is its stand-in, and not asked."""
    server.add_generic_rpc_handlers((Ingress(),))


async def _nobody(*_: object) -> None:
    raise NotImplementedError("Serve routes this to its replicas")
