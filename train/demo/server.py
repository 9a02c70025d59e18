"""The judger's own server with the built-in judge, in a process beside the trainers, as a cluster would have it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["judging"]


@contextmanager
def judging(log: Path, *, threads: int = 1) -> Iterator[str]:
    """The address of a server that ends with the block; what it says goes to `log`.

    One thread by default: a judge and a trainer that both take every core slow each other down many times over.
    Raises RuntimeError where the server does not come up.
    """
    command = [
        *(sys.executable, "-m", "judger", "serve", "--engine", "mini", "--port", "0"),
        *("--threads", str(threads), "--cache", str(log.with_suffix(".verdicts"))),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        found = re.search(r"serving \S+ on (\S+)$", line.strip())
        if found:
            # The pipe has to be read to the end, or the server stops when it is full.
            threading.Thread(target=_drain, args=(process, log, lines), daemon=True).start()
            return found.group(1)
    raise RuntimeError(f"the judger's server did not start:\n{''.join(lines)}")


def _drain(process: subprocess.Popen[str], log: Path, lines: list[str]) -> None:
    assert process.stderr is not None
    with log.open("a", encoding="utf-8") as file:
        file.writelines(lines)
        for line in process.stderr:
            file.write(line)
            file.flush()
