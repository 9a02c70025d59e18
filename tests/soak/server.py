"""`judger serve` as a process, on one port, again and again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import grpc
from prometheus_client.parser import text_string_to_metric_families

from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from tests.ports import free_port

FLAGS = ("--engine", "scripted", "--grace", "2", "--max-batch-tokens", "2000", "--max-queued-tokens", "20000")
FLAGS += ("--cache-memory-mb", "4", "--log-level", "error")  # so little that memory is full soon, and grows no more
PATIENCE = 240.0
"""Seconds for anything that has to come about."""


OPTIONS = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.initial_reconnect_backoff_ms", 100)]


class Server:
    """Started at once; `stop` and `start` as often as wanted."""

    def __init__(self, cache: Path) -> None:
        self.cache, self.port, self.metrics_port = cache, free_port(), free_port()
        self.log = cache.with_suffix(".log")
        self.exit_codes: list[int] = []
        self.num_restarts = 0
        """Of the engine, in the lives that have ended."""
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        ports = ("--port", str(self.port), "--metrics-port", str(self.metrics_port))
        command = [sys.executable, "-m", "judger", "serve", *ports, "--cache", str(self.cache), *FLAGS]
        lines = len(re.findall("serving", self.text))
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, stderr=log)
        self.started = time.monotonic()
        while len(re.findall("serving", self.text)) == lines:
            if self.process.poll() is not None or time.monotonic() > self.started + PATIENCE:
                raise SystemExit(f"the server did not start: {self.text[-500:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        self.num_restarts += int(self.metric("judger_engine_restarts"))
        self.process.send_signal(signal.SIGTERM)
        self.exit_codes.append(self.process.wait(PATIENCE))

    @property
    def text(self) -> str:
        """What it has logged."""
        return self.log.read_text() if self.log.exists() else ""

    @property
    def megabytes(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def metric(self, name: str) -> float:
        """A gauge or a counter, or a sample of one name, summed over its labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=30) as page:
            families = text_string_to_metric_families(page.read().decode())
        return sum(sample.value for one in families for sample in one.samples if name in (one.name, sample.name))

    def kill_engine(self, number: int) -> float:
        """Makes the engine die of a case, and returns the seconds until a new one judges. SystemExit if none comes.

        The case waits its turn like all others, on a crowded machine for long.
        """
        before, ends = self.metric("judger_engine_restarts"), time.monotonic() + PATIENCE
        # Refused while the lane is full: it is sent until the engine has it.
        deadly = pb.JudgeRequest(report=f"death {number}", criteria=[pb.Criterion(text=f"[[die]] {number}")])
        said, died = "nothing", None
        with grpc.insecure_channel(self.address, options=OPTIONS) as channel:
            stub = judger_pb2_grpc.JudgerStub(channel)
            while time.monotonic() < ends:
                try:
                    (verdict,) = stub.Judge(deadly, timeout=60).verdicts
                except grpc.RpcError as error:
                    said = f"{error.code().name}: {error.details()}"
                    time.sleep(0.05)
                    continue
                assert verdict.unscored.reason == pb.Unscored.ENGINE_ERROR, verdict
                died = time.monotonic()
                break
        while died is not None and time.monotonic() < ends:
            if self.metric("judger_engine_restarts") > before and self.metric("judger_engine_up"):
                return time.monotonic() - died
            time.sleep(0.05)
        raise SystemExit("the engine did not come back" if died else f"the engine did not die: {said}")

    def kill(self) -> None:
        """Ends it in any case."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
