"""One JudgeStream: read on while there is room, answered as the answers come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from judger.errors import JudgerError
from judger.schedule.inhand import BytesInHand
from judger.v1 import judger_pb2 as pb

__all__ = ["Stream", "end"]


class Stream:
    """Requests in, answers out.

    Args:
        judge: makes the answer to a request of the stream, given its position. It holds what it has in hand.
        in_flight: requests judged at a time; the next is read only when one of them has been answered, so that a slow
            reader holds back its own writer.
        in_hand: without room for the caller nothing is read.
    """

    def __init__(
        self,
        judge: Callable[[int, bytes], Awaitable[pb.JudgeResponse]],
        *,
        in_flight: int,
        in_hand: BytesInHand,
        caller: str,
    ) -> None:
        self._judge = judge
        self._permits = asyncio.Semaphore(in_flight)
        self._in_hand = in_hand
        self._caller = caller
        self._answers: asyncio.Queue[pb.JudgeResponse | JudgerError | None] = asyncio.Queue()

    def end(self, error: JudgerError) -> None:
        """Ends it with that error. What was promised and not given is lost."""
        self._answers.put_nowait(error)

    async def answers(self, requests: AsyncIterator[bytes]) -> AsyncGenerator[pb.JudgeResponse, None]:
        """The answers as they come. Raises the error of `end`."""
        reader = asyncio.create_task(self._read(requests))
        try:
            while isinstance(answer := await self._answers.get(), pb.JudgeResponse):
                yield answer
                self._permits.release()
            if answer is not None:
                raise answer
            await reader
        finally:
            await end([reader])

    async def _read(self, requests: AsyncIterator[bytes]) -> None:
        index = 0
        try:
            async with asyncio.TaskGroup() as group:
                await self._permits.acquire()
                await self._in_hand.wait(self._caller)
                async for raw in requests:
                    group.create_task(self._answer(self._judge(index, raw)))
                    index += 1
                    await asyncio.sleep(0)  # it begins, and what it has in hand is counted
                    await self._permits.acquire()
                    await self._in_hand.wait(self._caller)
        finally:
            self._answers.put_nowait(None)

    async def _answer(self, judged: Awaitable[pb.JudgeResponse]) -> None:
        self._answers.put_nowait(await judged)


async def end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels what is not done and waits for it. For generators, which a task group does not survive being left."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
