"""vLLM's own OpenAI server on a loopback port, with a small random model."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

START = 900.0
"""Seconds that vLLM gets to start: half a minute on a quiet machine."""


@dataclass(frozen=True)
class Served:
    """One that answers."""

    url: str
    """Up to `/v1`."""
    process: subprocess.Popen[bytes]


@contextmanager
def served(
    model: Path, *more: str, python: str = sys.executable, port: int = 0, settings: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """The model under the name `tiny`, until the block is left. Raises RuntimeError with the log where it ends."""
    port = port or free_port()
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"]
    # A random model would fill its budget with the white space that JSON allows.
    command += ["--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}']
    log = model / f"log-{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--enforce-eager", *more],
            env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", **(settings or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/health", process, log)
        yield Served(f"http://127.0.0.1:{port}/v1", process)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)


def _wait_until_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"vLLM's server ended:\n{log.read_text(errors='replace')[-3000:]}")
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"vLLM's server did not start in {START:.0f} s")
