"""Who takes part, and in which environment each runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.peers.machine import forget_peaks, peak_mib

__all__ = ["DECIDERS", "INSIDE", "WRITERS", "Pythons", "Worker", "working"]

DECIDERS = ("plain systemone", "autorubric decision", "verifiers decision", "ours decisions")
"""Ask the endpoint's /v1/systemone."""
WRITERS = (
    "autorubric",
    "autorubric per item",
    "verifiers rubric",
    "verifiers rubric, plain",
    "verifiers rubric, one each",
    "ours openai",
)
"""Ask its chat completions."""
INSIDE = ("ours vllm", "ours torch")
"""Have the model in their own process."""


@dataclass(frozen=True, slots=True)
class Pythons:
    """The environments."""

    peers: Path
    vllm: Path

    def command(self, system: str) -> list[str]:
        """What runs a system."""
        if not system.startswith("ours"):
            return [str(self.peers), str(Path(__file__).parent / "ask_peer.py")]
        python = str(self.vllm) if system == "ours vllm" else sys.executable
        return [python, "-m", "tests.benchmarks.peers.ask_ours"]


class Worker:
    """A system that waits for its next round."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def round(self) -> list[dict[str, Any]]:
        """Judges all cases; an answer for each."""
        self._say("go")
        found = []
        while "id" in (answer := self.read()):
            found.append(answer)
        return found

    def read(self) -> dict[str, Any]:
        """Its next line. Raises RuntimeError where it has ended."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise RuntimeError(f"it ended with {self._process.wait()}; what it said is on standard error")

    def forget_peak(self) -> None:
        """Its memory counts from here."""
        forget_peaks(self._process.pid)

    def peak_mib(self) -> float:
        """Its peak memory."""
        return peak_mib(self._process.pid)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


@contextmanager
def working(pythons: Pythons, job: dict[str, Any], threads: int) -> Iterator[Worker]:
    """The system of a job, loaded and warm; ended when the block is left."""
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[-threads:]))
    with subprocess.Popen(
        pythons.command(job["system"]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if "-v" in sys.argv else subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
            "OMP_NUM_THREADS": str(threads),
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": cores,
        },
    ) as process:
        worker = Worker(process)
        try:
            worker._say(json.dumps(job))
            worker.read()
            yield worker
        finally:
            assert process.stdin is not None
            process.stdin.close()  # it ends by itself
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
            with suppress(ProcessLookupError):  # of its engine's processes, none is left behind
                os.killpg(process.pid, signal.SIGKILL)
