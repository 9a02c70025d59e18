"""Running commands: in this process, or as a process of their own where that is what is tested."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from judger.cli import main

JUDGER = (sys.executable, "-m", "judger")
SCRIPTED = ("--engine", "scripted")


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process, on a terminal of 100 columns that is none."""
    monkeypatch.setenv("COLUMNS", "100")

    def ran(*argv: object) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in argv])
        return Ran(code, *capsys.readouterr())

    return ran


def case(identifier: str, *criteria: str | dict, report: str = "The sky is blue. Grass is green.", **keys) -> dict:
    """A case; criteria are texts, which may carry a script, or whole objects."""
    full = [{"text": c} if isinstance(c, str) else c for c in criteria]
    full = [{"id": f"c{i + 1}"} | c for i, c in enumerate(full)]
    return {"id": identifier, "query": "Which colours?", "report": report, "criteria": full} | keys


def write(path: Path, *rows: object) -> Path:
    """JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key: NAME.pem and NAME.key."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
    argv = ["openssl", "req", "-x509", *key, "-out", f"{name}.pem", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True, timeout=60)
    return folder / f"{name}.pem", folder / f"{name}.key"


@contextlib.contextmanager
def serving(*flags: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`judger serve` on a free port: its address and its process. Ended in the end, however the block ends."""
    process = subprocess.Popen(
        [*JUDGER, "serve", *SCRIPTED, "--port", "0", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("judger: serving scripted-"), line
        yield line.split()[-1], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.fixture(scope="session")
def addr() -> Iterator[str]:
    """The address of a scripted server in a process of its own."""
    with serving() as (address, _):
        yield address
