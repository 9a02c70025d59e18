"""`python -m train.tasks.tethered ARGS`: the command `judger ARGS` on the line of whoever started it.

Its standard input is a pipe that nobody writes to: the kernel closes it when the starter is gone, killed or not, and
the command is told to end then.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _end_with_starter() -> None:
    os.read(sys.stdin.fileno(), 1)  # not the buffered reader, whose lock would be held when the interpreter ends
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, daemon=True).start()
    runpy.run_module("judger", run_name="__main__")
