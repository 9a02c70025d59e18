"""One client process of the soak: Poisson arrivals that wait for nobody, and a line for each acknowledged answer."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import grpc

from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from judger.wire.status import DETAILS_TRAILER
from tests.soak.asked import GROUP, answers, essence, group, is_whole, request
from tests.soak.server import OPTIONS

SLACK = 5.0
"""Seconds that a call may take beyond its deadline on a crowded machine before it counts as a hang."""
DEADLINES = (0.05, 0.5, 3.0, 10.0)
LONG = 3.0
"""Seconds: a server that is up answers deadlines from here on itself, in time."""
GROUPS, STREAMS, CANCELS, REPEATS = 0.1, 0.1, 0.1, 0.3
CASES_A_CALL = GROUP * (GROUPS + STREAMS) + (1 - GROUPS - STREAMS) * (1 - REPEATS)
"""New cases that a call brings on average; a repeated one costs the engine nothing."""
NEVER = ("INTERNAL", "UNKNOWN", "INVALID_ARGUMENT")
"""Statuses that no call of the soak may end with."""


class Client:
    """Sends calls of all kinds over one channel, and counts what came of them."""

    def __init__(self, channel: grpc.aio.Channel, seed: int, lines: IO[str]) -> None:
        self.stub = judger_pb2_grpc.JudgerStub(channel)
        self.chance = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.worst_overrun = 0.0
        self.surprises: list[str] = []
        self._lines = lines
        self._next = seed * 1_000_000
        self._recent: deque[int] = deque(maxlen=200)

    async def run(self, seconds: float, rate: float) -> None:
        """Calls at a mean rate a second; returns when the last one has ended."""
        started, due, calls = time.monotonic(), 0.0, []
        while (due := due + self.chance.expovariate(rate)) < seconds:
            await asyncio.sleep(max(0.0, started + due - time.monotonic()))
            calls.append(asyncio.create_task(self.one()))
            calls = [call for call in calls if not call.done()]
        await asyncio.gather(*calls)

    async def one(self) -> None:
        """A call of some kind. Ends in a count, whatever comes of it."""
        deadline, kind, started = self.chance.choice(DEADLINES), self.chance.random(), time.monotonic()
        try:
            if kind < GROUPS:
                await self._group(deadline)
            elif kind < GROUPS + STREAMS:
                await self._stream(deadline)
            else:
                await self._judge(deadline, leaves=kind < GROUPS + STREAMS + CANCELS)
        except grpc.aio.AioRpcError as error:
            code = code_of(error)
            self.counts[code] += 1
            if code in NEVER:
                self.surprises.append(f"{code}: {error.details()} {error.debug_error_string()}")
            said = any(key == DETAILS_TRAILER for key, _ in error.trailing_metadata() or ())
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and deadline >= LONG and not said:
                self.counts["silent"] += 1
        overrun = time.monotonic() - started - deadline
        self.worst_overrun = max(self.worst_overrun, overrun)
        if overrun > SLACK:
            self.counts["HANG"] += 1

    async def _judge(self, deadline: float, *, leaves: bool) -> None:
        repeats = self._recent and self.chance.random() < REPEATS
        asked = request(str(self.chance.choice(self._recent) if repeats else self._number()))
        call = self.stub.Judge(asked, timeout=deadline)
        if leaves:
            await asyncio.sleep(self.chance.random() * 0.1)
            call.cancel()
            self.counts["left"] += 1
            return
        response = await call
        self.counts["answered" if is_whole(response) else "unscored"] += 1
        self._acknowledge([(asked, response)])

    async def _group(self, deadline: float) -> None:
        number = self._number()
        got = [response async for response in self.stub.JudgeGroup(group(number), timeout=deadline)]
        self._whole("group", [response.index for response in got])
        self._acknowledge((request(f"{number}.{response.index}"), response) for response in got)

    async def _stream(self, deadline: float) -> None:
        asked = [request(str(self._number())) for _ in range(GROUP)]
        got = [response async for response in self.stub.JudgeStream(iter(asked), timeout=deadline)]
        self._whole("stream", [response.index for response in got])
        self._acknowledge((asked[response.index], response) for response in got)

    def _number(self) -> int:
        self._next += 1
        self._recent.append(self._next)
        return self._next

    def _whole(self, kind: str, indices: list[int]) -> None:
        if sorted(indices) == list(range(GROUP)):
            self._lines.write(f"whole {kind}\n")  # at once, for the director waits for it
        else:
            self.counts[f"{kind} LOST OR TWICE"] += 1

    def _acknowledge(self, pairs: Iterable[tuple[pb.JudgeRequest, pb.JudgeResponse]]) -> None:
        for asked, response in pairs:
            if response.HasField("error"):
                self.counts["refused in a stream"] += 1
                continue
            if not answers(response, asked):
                self.counts["verdicts LOST OR TWICE"] += 1
            if is_whole(response):
                self._lines.write(f"{asked.request_id} {essence(response)}\n")


def code_of(error: grpc.aio.AioRpcError) -> str:
    """The name of the status, as the server or the connection gave it.

    Where a connection ends while a stream is being written, grpc.aio puts an INTERNAL of its own in that status's
    place: "Internal error from Core", of a message that could not be sent. No server has said so.
    """
    is_own = error.code() is grpc.StatusCode.INTERNAL and "SendMessageOperation" in (error.debug_error_string() or "")
    return "CUT while writing" if is_own else error.code().name


async def client(address: str, seed: int, seconds: float, rate: float, out: Path) -> None:
    """Runs one and writes down what it saw."""
    with out.open("a", buffering=1) as lines:
        async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
            one = Client(channel, seed, lines)
            await one.run(seconds, rate)
        seen = {"counts": one.counts, "worst_overrun": one.worst_overrun, "surprises": one.surprises}
        lines.write(f"counts {json.dumps(seen)}\n")
