"""Threads that read streams, kept for the next call.

Synchronous gRPC gives a stream's next answer to a thread that waits for it, and to nobody else. To begin a thread costs
a switch to it, which on a busy machine takes milliseconds (a median of 6 ms was seen, where handing work to one that
waits took 9 us), so that a trainer's groups take turns with a few instead of beginning one each.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

IDLE_SECONDS = 30.0
"""A thread without work ends after that."""

Box = queue.SimpleQueue[Callable[[], None]]


class Readers:
    """Runs each piece of work in a thread of its own at once: an idle one, or a new one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Box] = []
        self.num_busy = 0

    def run(self, work: Callable[[], None]) -> None:
        """Begins the work and returns."""
        with self._lock:
            self.num_busy += 1
            box = self._idle.pop() if self._idle else None
        if box is None:
            box = queue.SimpleQueue()
            threading.Thread(target=self._serve, args=(box,), name="judger-reader", daemon=True).start()
        box.put(work)

    def _serve(self, box: Box) -> None:
        while True:
            try:
                work = box.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if box in self._idle:
                        self._idle.remove(box)
                        return
                continue  # somebody has just taken it: there is work on the way
            try:
                work()
            finally:
                del work  # or the last answer would be kept until the next
                with self._lock:
                    self.num_busy -= 1
                    self._idle.append(box)

    def forget(self) -> None:
        """In a forked child: the threads are gone."""
        self._lock = threading.Lock()
        self._idle = []
        self.num_busy = 0


READERS = Readers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=READERS.forget)
