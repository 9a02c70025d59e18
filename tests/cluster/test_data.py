"""judger filter --ray: what judger filter writes, by Ray Data's workers."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from judger.cli.on_ray import pieces
from tests.cluster.local import Cluster

FILTER = (sys.executable, "-m", "judger", "filter")


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def case(number: int, *texts: str, **more: Any) -> dict[str, Any]:
    criteria = [{"id": f"c{at}", "text": text} for at, text in enumerate(texts)]
    return {"id": f"case {number}", "query": "q", "report": f"an apple, number {number}", "criteria": criteria} | more


def filtered(*argv: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FILTER, *map(str, argv)], capture_output=True, text=True, timeout=250, check=False)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    kinds = ("[[fully]]", "[[not]]", "[[unscored=too_long]]")
    rows = [case(number, kinds[number % 3], "apple", note={"kept": number}) for number in range(900)]
    return write(tmp_path / "in.jsonl", rows)


def test_the_output_is_that_of_filter_without_ray(cluster: Cluster, rows: Path, tmp_path: Path) -> None:
    asyncio.run(cluster.deploy(replicas=2))
    flags = ("--min-reward", "0.75", "--addr", cluster.address, "--json")
    plain = filtered(rows, "-o", tmp_path / "plain.jsonl", *flags)
    ours = filtered(rows, "-o", tmp_path / "ours.jsonl", *flags, "--ray", "--ray-address", cluster.ray_address)
    assert (plain.returncode, ours.returncode) == (1, 1), ours.stderr
    names = ("kept", "dropped", "unscored", "refused", "judge_id")
    assert [json.loads(ours.stdout)[name] for name in names] == [json.loads(plain.stdout)[name] for name in names]
    assert without_times(tmp_path / "ours.jsonl") == without_times(tmp_path / "plain.jsonl")


def without_times(path: Path) -> list[Any]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        del line["judgement"]["usage"]
    assert lines
    return lines


def test_a_run_that_was_killed_goes_on_where_it_was(cluster: Cluster, tmp_path: Path) -> None:
    asyncio.run(cluster.deploy(replicas=2, max_batch_tokens=1))
    rows = write(tmp_path / "in.jsonl", [case(number, "[[slow=0.02]] [[fully]]") for number in range(1200)])
    out = tmp_path / "out.jsonl"
    argv = [rows, "-o", out, "--min-reward", "0.5", "--addr", cluster.address, "--json"]
    argv += ["--ray", "--ray-address", cluster.ray_address]
    with subprocess.Popen([*FILTER, *map(str, argv)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        ends = time.monotonic() + 100
        while not (out.exists() and out.read_bytes().count(b"\n") > 20):
            assert time.monotonic() < ends
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    before = out.read_bytes().count(b"\n")
    assert before < 1200
    again = filtered(*argv)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["resumed_from"] >= before - 1
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == [f"case {n}" for n in range(1200)]


def test_pieces_are_the_file_cut_behind_lines(tmp_path: Path) -> None:
    for text in (b"", b"a", b"a\n", b"".join(b"%d\n" % number for number in range(1000)), b"x\n" * 256 + b"y"):
        path = tmp_path / "file.jsonl"
        path.write_bytes(text)
        found = list(pieces(path))
        assert b"".join(text[piece.start : piece.end] for piece in found) == text
        assert [piece.line for piece in found] == [text[: piece.start].count(b"\n") + 1 for piece in found]
        assert all(text[piece.start : piece.end].count(b"\n") <= 64 for piece in found)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--ray"], "--ray: needs --addr"),
        (["--ray-address", "auto", "--engine", "scripted"], "--ray-address: is for --ray"),
        (["--ray-memory-mb", "100", "--engine", "scripted"], "--ray-memory-mb: is for --ray"),
        (["--ray", "--addr", "a:1", "--ray-address", "auto", "--ray-memory-mb", "100"], "that of --ray-address"),
        (["--ray", "--addr", "localhost:1", "--pairwise"], "--pairwise"),
    ],
)
def test_what_ray_can_not_do_is_told_at_once(rows: Path, tmp_path: Path, flags: list[str], words: str) -> None:
    ran = filtered(rows, "-o", tmp_path / "out.jsonl", "--min-reward", "0", *flags)
    assert ran.returncode == 2
    assert words in ran.stderr


def test_what_can_not_be_cut_is_told_at_once(rows: Path, tmp_path: Path) -> None:
    """Gzip is known by its first bytes, whatever the name is; nothing else reads a pipe twice."""
    zipped, pipe = tmp_path / "zipped.jsonl", tmp_path / "pipe.jsonl"
    zipped.write_bytes(gzip.compress(rows.read_bytes()))
    os.mkfifo(pipe)
    for path in (zipped, pipe):
        ran = filtered(path, "-o", tmp_path / "out.jsonl", "--min-reward", "0", "--ray", "--addr", "localhost:1")
        assert ran.returncode == 2
        assert "must be for --ray a plain .jsonl file" in ran.stderr


def test_a_set_larger_than_the_memory_of_ray_passes_through_it(cluster: Cluster, tmp_path: Path) -> None:
    """A cluster of the command's own, whose object store takes a third of the file."""
    asyncio.run(cluster.deploy(replicas=1))
    words = "word " * 20_000
    rows = [case(number, "apple", report=f"an apple, {number}, {words}") for number in range(2500)]
    path = write(tmp_path / "in.jsonl", rows)
    assert path.stat().st_size > 3 * 78 * 2**20
    flags = ("--min-reward", "0.5", "--addr", cluster.address, "--json", "--ray", "--ray-memory-mb", "78")
    command = [*FILTER, str(path), "-o", str(tmp_path / "out.jsonl"), *flags]
    said, told = tmp_path / "said", tmp_path / "told"
    with said.open("w") as out, told.open("w") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        most = 0  # what the kernel counts for a child that has ended begins with the size of the process it came from
        ends = time.monotonic() + 250
        while process.poll() is None:
            assert time.monotonic() < ends
            status = Path(f"/proc/{process.pid}/status").read_text()
            most = max(most, *(int(kb) * 1024 for kb in re.findall(r"VmHWM:\s*(\d+)", status)), 0)
            time.sleep(0.1)
    assert process.returncode == 0, told.read_text()
    assert json.loads(said.read_text())["kept"] == 2500
    assert 0 < most < 400 * 2**20, f"{most:,} bytes"  # of which Ray's own are some 200 MB
