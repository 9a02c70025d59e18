"""One JudgeStream for a whole pipeline: bounded in flight, reopened where it breaks, cases tried again one by one."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from judger.client.calls import running_loop, stream
from judger.client.channel import Link
from judger.client.retry import Attempts
from judger.errors import DeadlineExceeded, JudgerError, Unavailable
from judger.types import Judgement
from judger.v1 import judger_pb2 as pb
from judger.wire.status import error_from_status

END_SECONDS = 1.0  # that the server gets to end a stream on which all is said

Answer = pb.JudgeResponse | Judgement | JudgerError
Event = tuple[int, Answer] | asyncio.Task[None] | None
"""An answer under its position, a task that has ended, or None: all is answered."""


@dataclass(slots=True)
class Unanswered:
    """A request that has no answer yet."""

    request: pb.JudgeRequest
    attempts: Attempts
    resend: asyncio.TimerHandle | None = None


class Pipeline:
    """Requests in, answers out as they come, `in_flight` of them between the source and the consumer.

    `timeout` is per case, its retries included, and for the stream as a whole the longest silence while a case waits;
    a client with patience waits that much longer.
    """

    def __init__(self, link: Link, in_flight: int, timeout: float) -> None:
        self._link = link
        self._in_flight = in_flight
        self._timeout = timeout
        self._longest_silence = timeout + link.settings.patience
        self._permits = asyncio.Semaphore(in_flight)
        self._waiting: dict[int, Unanswered] = {}
        self._positions: list[int] = []  # on the open stream: the server's index -> ours
        self._outbox: queue.SimpleQueue[pb.JudgeRequest | None] = queue.SimpleQueue()
        self._answers: asyncio.Queue[Event] = asyncio.Queue()
        self._is_exhausted = False
        self._last_heard = time.monotonic()

    async def run(
        self, requests: AsyncIterator[pb.JudgeRequest | Judgement | JudgerError]
    ) -> AsyncGenerator[tuple[int, Answer], None]:
        """(position, answer) as they come. What needs no sending is an answer among the requests, and passed on.

        Raises what the source raises, and JudgerError where the stream as a whole fails.
        """
        running_loop()
        tasks = [asyncio.create_task(self._feed(requests)), asyncio.create_task(self._talk())]
        for task in tasks:
            task.add_done_callback(self._answers.put_nowait)
        try:
            while True:
                event = await self._next()
                if event is None:
                    await asyncio.wait(tasks, timeout=END_SECONDS)
                    return
                if isinstance(event, asyncio.Task):
                    event.result()
                else:
                    yield event
                    self._permits.release()
        finally:
            self._outbox.put(None)
            for entry in self._waiting.values():
                self._stop_timer(entry)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _next(self) -> Event:
        while True:
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._answers.get()
            except TimeoutError:
                silence = time.monotonic() - self._last_heard
                if self._waiting and silence >= self._longest_silence:
                    message = f"{len(self._waiting)} cases wait, and {self._link.settings.address} has answered none"
                    raise DeadlineExceeded(f"{message} for {silence:.0f} s") from None

    async def _feed(self, requests: AsyncIterator[pb.JudgeRequest | Judgement | JudgerError]) -> None:
        index = 0
        while True:
            await self._permits.acquire()
            try:
                request = await anext(requests)
            except StopAsyncIteration:
                break
            if isinstance(request, JudgerError | Judgement):
                self._answers.put_nowait((index, request))
            else:
                if not self._waiting:
                    self._last_heard = time.monotonic()
                self._waiting[index] = Unanswered(request, Attempts(self._link.settings, self._timeout))
                self._send(index)
            index += 1
        self._is_exhausted = True
        self._end_if_done()

    async def _talk(self) -> None:
        attempts = Attempts(self._link.settings, float("inf"))
        while self._waiting or not self._is_exhausted:
            self._outbox, self._positions = queue.SimpleQueue(), []
            for index, entry in self._waiting.items():
                if self._link.settings.patience:
                    entry.attempts = Attempts(self._link.settings, self._timeout)  # time without a judge is not its own
                self._send(index)
            sending = iter(self._outbox.get, None)
            try:
                async for response in stream(self._link, partial(self._open, sending), self._in_flight):
                    attempts = Attempts(self._link.settings, float("inf"))
                    self._receive(response)
                if self._waiting or not self._is_exhausted:
                    raise Unavailable(f"{self._link.settings.address} ended the stream")
            except JudgerError as error:
                await asyncio.sleep(attempts.pause(error))
            finally:
                self._outbox.put(None)

    def _open(self, requests: Any) -> Any:
        return self._link.stub.JudgeStream(requests, metadata=self._link.settings.metadata)

    def _send(self, index: int) -> None:
        entry = self._waiting[index]
        self._stop_timer(entry)
        self._positions.append(index)
        self._outbox.put(entry.request)

    def _receive(self, response: pb.JudgeResponse) -> None:
        self._last_heard = time.monotonic()
        index = self._positions[response.index] if response.index < len(self._positions) else -1
        entry = self._waiting.get(index)
        if entry is None or entry.resend is not None:
            return  # answered before the stream was opened anew
        answer: Answer = response
        if response.HasField("error"):
            answer = error_from_status(response.error.code, response.error.message, response.error)
            try:
                seconds = entry.attempts.pause(answer)
            except JudgerError:
                pass  # final: the error itself is the answer
            else:
                entry.resend = asyncio.get_running_loop().call_later(seconds, self._send, index)
                return
        else:
            response.index = index
        del self._waiting[index]
        self._answers.put_nowait((index, answer))
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._is_exhausted and not self._waiting:
            self._outbox.put(None)
            self._answers.put_nowait(None)

    @staticmethod
    def _stop_timer(entry: Unanswered) -> None:
        if entry.resend is not None:
            entry.resend.cancel()
            entry.resend = None
