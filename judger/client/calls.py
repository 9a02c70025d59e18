"""Synchronous gRPC calls as awaitables of whatever event loop runs (why not grpc.aio: `judger.client`)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

import grpc

from judger.client.channel import Closed, Link
from judger.client.readers import READERS
from judger.errors import Unsupported


async def unary(link: Link, start: Callable[[], Any]) -> Any:
    """The answer of the call that `start` starts, a gRPC future. Cancelling cancels the call. Raises JudgerError."""
    loop = running_loop()
    done: asyncio.Future[None] = loop.create_future()
    call = _started(start)
    call.add_done_callback(lambda _: _post(loop, _wake, done))
    try:
        await done
    except asyncio.CancelledError:
        call.cancel()
        raise
    try:
        return call.result()
    except grpc.FutureCancelledError:
        raise link.error(call) from None
    except grpc.RpcError as error:
        raise link.error(error) from None


async def stream(link: Link, start: Callable[[], Any], window: int) -> AsyncGenerator[Any, None]:
    """The answers of the streaming call that `start` starts; at most `window` of them are held here, unread.

    A thread reads while it has permits, and so gRPC's own flow control holds back the server. Leaving the iterator
    cancels the call. Raises JudgerError.
    """
    loop = running_loop()
    answers: asyncio.Queue[Any] = asyncio.Queue()
    permits = threading.Semaphore(window)
    call = _started(start)

    def read() -> None:
        try:
            while permits.acquire() and _post(loop, answers.put_nowait, next(call)):
                pass
        except StopIteration:
            _post(loop, answers.put_nowait, None)
        except grpc.RpcError as error:
            _post(loop, answers.put_nowait, error)

    READERS.run(read)
    try:
        while (answer := await answers.get()) is not None:
            if isinstance(answer, grpc.RpcError):
                raise link.error(answer) from None
            yield answer
            permits.release()
    finally:
        call.cancel()
        permits.release()


def running_loop() -> asyncio.AbstractEventLoop:
    """asyncio's loop. Raises Unsupported under any other framework."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise Unsupported(
            "the async client runs under asyncio only; under trio call connect_blocking's in a thread "
            "(trio.to_thread.run_sync, anyio.to_thread.run_sync)"
        ) from None


def _wake(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _started(start: Callable[[], Any]) -> Any:
    try:
        return start()
    except ValueError:  # "Cannot invoke RPC on closed channel!"
        raise Closed from None


def _post(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *values: object) -> bool:
    """Runs a function in the loop from another thread; False where the loop is gone, and with it who waited."""
    try:
        loop.call_soon_threadsafe(function, *values)
    except RuntimeError:
        return False
    return True
