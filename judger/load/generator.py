"""Sends calls at their time, whatever has become of the earlier ones, and notes how each ended.

Open loop: Poisson arrivals, and every latency counts from the instant at which the call was *due*. A server that stalls
delays nobody's arrival, and a generator that is late can't hide it (coordinated omission; Tene, "How NOT to measure
latency", 2013). A closed loop is there to find what a server sustains: its latencies hide the waiting.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import grpc

from judger.client.channel import OPTIONS, credentials
from judger.client.settings import Settings
from judger.load.calls import Call, Calls
from judger.v1 import judger_pb2 as pb

SERVICE = "/judger.v1.Judger/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One call and how it ended; times in seconds from the start of the load."""

    index: int
    case_id: str
    due: float
    sent: float
    """Later than `due` where the generator itself was late."""
    ended: float
    code: str
    """gRPC's status, OK for an answer; STOPPED where the load was ended meanwhile."""
    detail: str
    """What was said with any other status."""
    in_time: bool
    """Answered with every criterion scored, before the deadline where there is one."""
    reports: int
    criteria: int
    scored: int
    cached: int
    """Criteria that the server did not have to judge."""
    unscored: dict[str, int] = field(default_factory=dict)
    """By reason."""

    @property
    def latency(self) -> float:
        """Seconds from the instant the call was due."""
        return self.ended - self.due

    def to_json(self) -> dict[str, object]:
        """A line of the raw file."""
        return asdict(self) | {"latency": self.latency}


class Generator:
    """Calls one server over a channel of its own. Use it as a context.

    Args:
        settings: the connection; nothing is tried again here.
        deadline: seconds from the instant a call is due; None for no deadline.
        on_sent: told of each call that has ended.
    """

    def __init__(
        self,
        settings: Settings,
        calls: Calls,
        *,
        deadline: float | None = None,
        on_sent: Callable[[Sent], object] = lambda row: None,
    ) -> None:
        self.settings = settings
        self.calls = calls
        self.deadline = deadline
        self.on_sent = on_sent
        self.num_in_flight = 0
        self.stopping = asyncio.Event()
        """Set it, and nothing more is sent; what is in flight is cancelled."""
        self._zero = 0.0
        self._index = 0

    async def __aenter__(self) -> Generator:
        secure, address = self.settings.is_encrypted, self.settings.address
        self._channel = (
            grpc.aio.secure_channel(address, credentials(self.settings), options=OPTIONS)
            if secure
            else grpc.aio.insecure_channel(address, options=OPTIONS)
        )
        unary = self.calls.method == "Judge"
        open_ = self._channel.unary_unary if unary else self._channel.unary_stream
        self._call = open_(SERVICE + self.calls.method, response_deserializer=pb.JudgeResponse.FromString)
        await self._channel.channel_ready()  # connecting is no part of anybody's latency
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._channel.close()

    async def open_loop(self, rate: float, seconds: float, seed: int = 0) -> float:
        """Poisson arrivals at a mean rate a second. Returns the seconds until the last call ended."""
        chance, due = random.Random(seed), 0.0
        async with asyncio.TaskGroup() as group:
            self._zero = time.perf_counter()
            while (due := due + chance.expovariate(rate)) < seconds:
                if not await self._until(self._zero + due):
                    break
                group.create_task(self._one(self._next(), due))
        return time.perf_counter() - self._zero

    async def closed_loop(self, concurrency: int, seconds: float) -> float:
        """Always that many calls in flight; each is due when the one before it has ended."""

        async def worker() -> None:
            while not self.stopping.is_set() and (due := time.perf_counter() - self._zero) < seconds:
                await self._one(self._next(), due)

        async with asyncio.TaskGroup() as group:
            self._zero = time.perf_counter()
            for _ in range(concurrency):
                group.create_task(worker())
        return time.perf_counter() - self._zero

    async def call(self, index: int) -> None:
        """One call by itself, now."""
        await self._one(index, time.perf_counter() - self._zero)

    def _next(self) -> int:
        self._index += 1
        return self._index - 1

    async def _until(self, instant: float) -> bool:
        """Waits for an instant of the clock; False when it is time to stop."""
        wait = instant - time.perf_counter()
        if wait <= 0:
            return not self.stopping.is_set()
        try:
            async with asyncio.timeout(wait):
                await self.stopping.wait()
        except TimeoutError:
            return True
        return False

    async def _one(self, index: int, due: float) -> None:
        call = self.calls[index]
        sent = time.perf_counter() - self._zero
        left = None if self.deadline is None else max(1e-3, due + self.deadline - sent)
        responses: list[Any] = []
        self.num_in_flight += 1
        try:
            code, detail = await self._ask(call, left, responses)
        finally:
            self.num_in_flight -= 1
        self.on_sent(self._row(index, call, due, sent, (code, detail), responses))

    async def _ask(self, call: Call, left: float | None, responses: list[Any]) -> tuple[str, str]:
        """(status, what was said with it); the answers go into the list."""
        rpc = self._call(call.body, timeout=left, metadata=self.settings.metadata)

        async def read() -> None:
            if self.calls.method == "Judge":
                responses.append(await rpc)
            else:
                async for response in rpc:
                    responses.append(response)

        reading, stopping = asyncio.ensure_future(read()), asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait([reading, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                rpc.cancel()
                await asyncio.wait([reading])
                return "STOPPED", ""
            reading.result()
            return "OK", ""
        except grpc.aio.AioRpcError as error:
            return str(error.code().name), error.details() or ""
        finally:
            reading.cancel()
            stopping.cancel()

    def _row(
        self, index: int, call: Call, due: float, sent: float, status: tuple[str, str], responses: list[Any]
    ) -> Sent:
        ended = time.perf_counter() - self._zero
        verdicts = [verdict for response in responses for verdict in response.verdicts]
        scored = sum(verdict.HasField("score") for verdict in verdicts)
        reasons = Counter(
            pb.Unscored.Reason.Name(verdict.unscored.reason) for verdict in verdicts if not verdict.HasField("score")
        )
        code, detail = status
        whole = code == "OK" and scored == call.criteria
        return Sent(
            index=index,
            case_id=call.case_id,
            due=due,
            sent=sent,
            ended=ended,
            code=code,
            detail=detail,
            in_time=whole and (self.deadline is None or ended - due <= self.deadline),
            reports=call.reports,
            criteria=call.criteria,
            scored=scored,
            cached=sum(response.usage.cached_criteria for response in responses),
            unscored=dict(reasons),
        )
