"""Daemon threads for what may never end: it keeps neither the event loop nor the exit waiting.

One of them owns the device. (A ThreadPoolExecutor's threads, the event loop's own among them, are joined at the exit.)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonThreads:
    """Runs functions in the order they come; with one thread, one after another."""

    def __init__(self, name: str, number: int = 1) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._closed = False
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """The function's result, later."""
        future: Future[T] = Future()
        if self._closed:
            raise RuntimeError("the threads have ended")
        self._jobs.put((future, function))
        return future

    def close(self) -> None:
        """Takes nothing more. The threads end when what was submitted is done."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, function = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - whoever waits gets it, and the thread lives on
                future.set_exception(error)
            except BaseException as error:  # noqa: BLE001 - as it is it would end the event loop of whoever waits
                future.set_exception(RuntimeError(f"raised in a thread: {error!r}"))
            else:
                future.set_result(result)
            del job, future, function  # or the last batch would be held until the next


async def run_in_daemon(function: Callable[[], T]) -> T:
    """The function's result, in a thread of its own, or what it raises. When its caller leaves it goes on alone."""
    thread = DaemonThreads("judger-blocking")
    work = thread.submit(function)
    thread.close()
    return await asyncio.wrap_future(work)
