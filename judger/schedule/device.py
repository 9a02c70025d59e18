"""One daemon thread that owns the device. A run that never ends keeps neither the event loop nor the exit waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class DeviceThread:
    """Runs functions one after another. (A ThreadPoolExecutor's threads are joined at the interpreter's exit.)"""

    def __init__(self, name: str = "judger-device") -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """The function's result, later."""
        future: Future[T] = Future()
        if self._closed:
            raise RuntimeError("the device thread has ended")
        self._jobs.put((future, function))
        return future

    def close(self, timeout: float) -> bool:
        """Ends the thread after what was submitted; False if it still runs after `timeout` seconds. Blocking."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, function = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it, and the thread lives on
                future.set_exception(error)
            else:
                future.set_result(result)
            del job, future, function  # or the last batch would be held until the next
