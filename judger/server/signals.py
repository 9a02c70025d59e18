"""Signals while a judge is loaded: there is nothing in hand, and a thread that loads can't be stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

__all__ = ["ending_at_once"]

_SHOW_CURSOR = "\r\x1b[K\x1b[?25h"
"""A progress display has hidden it."""


@contextmanager
def ending_at_once(codes: Mapping[signal.Signals, int]) -> Iterator[None]:
    """Within the block each of these signals ends the process with its exit code, and a line on standard error.

    Minutes may pass before a model is loaded or a hub is given up, and an interpreter that ends as usual waits for its
    threads. Only in the main thread of a running event loop; elsewhere signals do what they did.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in codes}

    def end(number: signal.Signals) -> None:
        with suppress(OSError, ValueError):
            start = _SHOW_CURSOR if sys.stderr.isatty() else ""
            print(f"{start}judger: {number.name} while the judge was loaded: ended", file=sys.stderr, flush=True)
            sys.stdout.flush()
        os._exit(codes[number])

    for number in codes:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
