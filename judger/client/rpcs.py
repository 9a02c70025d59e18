"""The RPCs of one server in protobuf, with their deadlines and retries."""

# ruff: noqa: ASYNC109 - a timeout here is sent along as gRPC's deadline, which no asyncio.timeout can do

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from judger.client.calls import unary
from judger.client.channel import Link
from judger.client.group import group
from judger.client.ready import wait_ready
from judger.client.retry import Attempts
from judger.client.settings import Settings, check_seconds
from judger.client.stream import Pipeline
from judger.errors import InvalidRequest, JudgerError
from judger.given import expect, plain
from judger.v1 import judger_pb2 as pb


class Rpcs:
    """What a client calls. `timeout` in seconds, None for the settings' own; all methods raise JudgerError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._link = Link(settings)

    def close(self) -> None:
        """Ends what is in flight in this process."""
        self._link.close()

    async def unary(self, method: str, request: Any, timeout: float | None) -> Any:
        """The response of a call that has one."""
        attempts = self._attempts(timeout)
        while True:
            try:
                return await unary(self._link, self._starter(method, request, attempts, future=True))
            except JudgerError as error:
                await asyncio.sleep(attempts.pause(error))

    def group(self, request: pb.JudgeGroupRequest, timeout: float | None) -> AsyncGenerator[pb.JudgeResponse, None]:
        """The responses of a JudgeGroup call, as they come."""

        def start(left: pb.JudgeGroupRequest, attempts: Attempts) -> Callable[[], Any]:
            return self._starter("JudgeGroup", left, attempts)

        return group(self._link, request, self._attempts(timeout), start)

    def pipeline(self, in_flight: int, timeout: float | None) -> Pipeline:
        """A JudgeStream call that is to be run."""
        number = plain(in_flight)
        expect("in_flight", number, int, "an integer")
        if number < 1:
            raise InvalidRequest("in_flight", f"must be at least 1, not {number}")
        return Pipeline(self._link, number, self._seconds(timeout))

    async def wait_ready(self, timeout: float | None) -> None:
        """Returns once the server says that it serves."""
        await wait_ready(self._link, self._seconds(timeout))

    def _starter(self, method: str, request: Any, attempts: Attempts, *, future: bool = False) -> Callable[[], Any]:
        def start() -> Any:
            call = getattr(self._link.stub, method)
            return (call.future if future else call)(
                request, timeout=attempts.remaining, metadata=self._settings.metadata
            )

        return start

    def _attempts(self, timeout: float | None) -> Attempts:
        return Attempts(self._settings, self._seconds(timeout))

    def _seconds(self, timeout: float | None) -> float:
        return self._settings.timeout if timeout is None else check_seconds("timeout", timeout)
