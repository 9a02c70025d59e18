"""The judge behind the doors: a server that runs somewhere, or the service in this process."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote

from judger.client.calls import stream, unary
from judger.client.channel import Link
from judger.client.ready import HEALTH, SERVING
from judger.client.settings import Settings
from judger.errors import DeadlineExceeded, JudgerError
from judger.http.paying import Payer, paying
from judger.v1 import judger_pb2 as pb
from judger.wire import DETAILS_TRAILER, error_from_status
from judger.wire.metadata import BEHIND

__all__ = ["LAST_WORDS", "Call", "InProcess", "Judging", "OnServer", "within"]

CHECK_SECONDS = 5.0
KNOWN_SECONDS = 10.0
"""How long a caller whom the server let in is let in here without asking it."""
MOST_KNOWN = 1024
LAST_WORDS = 1.0
"""Seconds beyond a call's end for what was said at it: the judge keeps the deadline, and this is the net below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who calls, and until when."""

    ends: float
    """An instant of the monotonic clock."""
    authorization: str | None = None
    """The header, as it came."""
    peer: str = ""
    """Where it comes from, as gRPC writes it: `ipv4:10.0.0.7:41000`."""

    @property
    def remaining(self) -> float:
        """Seconds, at least a hair."""
        return max(1e-3, self.ends - time.monotonic())

    @property
    def host(self) -> str:
        """The peer without its port."""
        return self.peer.rpartition(":")[0]


@asynccontextmanager
async def within(call: Call, grace: float = 0.0) -> AsyncIterator[None]:
    """Raises DeadlineExceeded where the block is not done at the call's end, or `grace` seconds later."""
    try:
        async with asyncio.timeout(call.remaining + grace) as timeout:
            yield
    except TimeoutError:
        if not timeout.expired():
            raise
        raise DeadlineExceeded("not done before the deadline") from None


class Judging(Protocol):
    """What the doors need of a judge. Everything raises JudgerError."""

    async def check(self, call: Call) -> str:
        """Whose limits the call counts against: a known caller's, or its host's.

        Raises Unauthenticated where the caller may not come in: asked before anything of a request is read.
        """
        ...

    async def judge(self, request: pb.JudgeRequest, call: Call) -> pb.JudgeResponse: ...

    def judge_group(self, request: pb.JudgeGroupRequest, call: Call) -> AsyncGenerator[pb.JudgeResponse, None]: ...

    async def compare(self, request: pb.CompareRequest, call: Call) -> pb.CompareResponse: ...

    async def get_judge(self, request: pb.GetJudgeRequest, call: Call) -> pb.JudgeInfo: ...

    async def is_serving(self) -> bool: ...


class OnServer:
    """A server, through the client's channel. The caller's own token is passed on; without one, that of the settings.

    Nothing is tried again here: whoever calls is told when to come back.

    Args:
        enter: who that is with this `authorization` header; raises Unauthenticated where they may not come in. By
            default the server decides. With it the settings' token goes first: the callers' are the gateway's own, and
            their pace is kept here.
    """

    def __init__(self, settings: Settings, enter: Callable[[str | None], Payer] | None = None) -> None:
        self._settings = settings
        self._link = Link(settings)
        self._enter = enter
        self._known: dict[str, float] = {}

    def close(self) -> None:
        """Ends what is in flight."""
        self._link.close()

    async def check(self, call: Call) -> str:
        name = self._name(call)
        now = time.monotonic()
        digest = hashlib.sha256((call.authorization or "").encode("utf-8", "surrogateescape")).hexdigest()
        if self._known.get(digest, 0.0) > now:
            return name
        await self._unary("GetJudge", pb.GetJudgeRequest(), call)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[digest] = now + KNOWN_SECONDS
        return name

    async def judge(self, request: pb.JudgeRequest, call: Call) -> pb.JudgeResponse:
        with paying(self._payer(call), request) as found:
            response: pb.JudgeResponse = await self._unary("Judge", request, call)
            found.append(response)
        return response

    async def judge_group(self, request: pb.JudgeGroupRequest, call: Call) -> AsyncGenerator[pb.JudgeResponse, None]:
        start = partial(self._start, "JudgeGroup", request, call)
        with paying(self._payer(call), request) as found:
            async with aclosing(stream(self._link, start, len(request.reports) + 1)) as responses:
                async for response in responses:
                    found.append(pb.JudgeResponse(usage=response.usage))
                    yield response

    async def compare(self, request: pb.CompareRequest, call: Call) -> pb.CompareResponse:
        with paying(self._payer(call), request) as found:
            response: pb.CompareResponse = await self._unary("Compare", request, call)
            found += [one for one in (response.a, response.b) if one.verdicts]
        return response

    async def get_judge(self, request: pb.GetJudgeRequest, call: Call) -> pb.JudgeInfo:
        response: pb.JudgeInfo = await self._unary("GetJudge", request, call)
        return response

    async def is_serving(self) -> bool:
        try:
            check = self._link.channel.unary_unary(HEALTH).future
            answer = await unary(self._link, partial(check, b"", timeout=CHECK_SECONDS))
        except JudgerError:
            return False
        return bool(answer == SERVING)

    def _payer(self, call: Call) -> Payer | None:
        return self._enter(call.authorization) if self._enter is not None else None

    def _name(self, call: Call) -> str:
        payer = self._payer(call)
        return payer.name if payer is not None else call.host

    async def _unary(self, method: str, request: Any, call: Call) -> Any:
        return await unary(self._link, partial(self._start, method, request, call, future=True))

    def _start(self, method: str, request: Any, call: Call, *, future: bool = False) -> Any:
        rpc = getattr(self._link.stub, method)
        if self._settings.judge_id and hasattr(request, "judge_id") and not request.judge_id:
            request.judge_id = self._settings.judge_id
        metadata = self._settings.metadata
        if call.authorization and (self._enter is None or not metadata):
            metadata = (("authorization", call.authorization),)
        metadata = (*metadata, (BEHIND, quote(self._name(call), safe=":[]")))
        return (rpc.future if future else rpc)(request, timeout=call.remaining, metadata=metadata)


class InProcess:
    """The service of this process, called as gRPC would call it: it validates, admits, counts and logs the same way.

    Args:
        service: the RPCs; takes a request as bytes and a context each.
        enter: makes the owner of an `authorization` header the caller and gives their name (empty where callers have
            none), or raises Unauthenticated.
        serves: whether health is SERVING.
    """

    def __init__(self, service: Any, enter: Callable[[str | None], str], serves: Callable[[], Awaitable[bool]]) -> None:
        self._service = service
        self._enter = enter
        self._serves = serves

    async def check(self, call: Call) -> str:
        return self._enter(call.authorization) or call.host

    async def judge(self, request: pb.JudgeRequest, call: Call) -> pb.JudgeResponse:
        response: pb.JudgeResponse = await self._unary(self._service.Judge, request, call)
        return response

    async def judge_group(self, request: pb.JudgeGroupRequest, call: Call) -> AsyncGenerator[pb.JudgeResponse, None]:
        context = Context(call)
        async with aclosing(self._service.JudgeGroup(request.SerializeToString(), context)) as responses:
            async for response in responses:
                yield response
        context.check()

    async def compare(self, request: pb.CompareRequest, call: Call) -> pb.CompareResponse:
        response: pb.CompareResponse = await self._unary(self._service.Compare, request, call)
        return response

    async def get_judge(self, request: pb.GetJudgeRequest, call: Call) -> pb.JudgeInfo:
        response: pb.JudgeInfo = await self._unary(self._service.GetJudge, request, call)
        return response

    async def is_serving(self) -> bool:
        return await self._serves()

    async def _unary(self, rpc: Callable[[Any, Any], Any], request: Any, call: Call) -> Any:
        context = Context(call)
        async with within(call, LAST_WORDS):
            response = await rpc(request.SerializeToString(), context)
        context.check()
        return response


class Context:
    """As much of a `grpc.aio.ServicerContext` as the service uses."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._code: Any = None
        self._details = ""
        self._trailers: dict[str, Any] = {}

    def time_remaining(self) -> float:
        return self._call.remaining

    def peer(self) -> str:
        return self._call.peer

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    def set_code(self, code: Any) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    def set_trailing_metadata(self, metadata: Any) -> None:
        self._trailers = dict(metadata)

    def check(self) -> None:
        """Raises the error that the service has set."""
        if self._code is not None and self._code.name != "OK":
            raise error_from_status(self._code.name, self._details, self._trailers.get(DETAILS_TRAILER))
