"""One background thread a process, with the event loop of all blocking clients."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Runs coroutines for callers that have no event loop, or must not use theirs. Started at the first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._inherited: list[object] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result; it is cancelled where the caller is interrupted."""
        loop = self._running()
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("a blocking client was called from inside itself; use the async client there")
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Runs a coroutine without waiting for it."""
        asyncio.run_coroutine_threadsafe(work, self._running())

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="judger-client", daemon=True)
                self._thread.start()
            return self._loop

    def stop(self) -> None:
        """At the end of the process."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(1.0)
            if not thread.is_alive():
                loop.close()

    def forget(self) -> None:
        """In a forked child the thread is gone. Its loop is kept unused: closing it would unhook the parent's."""
        self._inherited.append((self._loop, self._thread))
        self._loop = self._thread = None
        self._lock = threading.Lock()


BACKGROUND = Background()
atexit.register(BACKGROUND.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=BACKGROUND.forget)
