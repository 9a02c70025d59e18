"""A page that is read in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import sys

import pytest

from policy.cli import main
from policy.index import apart
from policy.index.apart import FileReader, parse_apart
from policy.index.parse import Unreadable

SLOW = b"<html><body>" + b"<div>text" * 400_000


def _command(monkeypatch, does):
    """What the process that reads does, with `apart` imported."""
    command = (sys.executable, "-P", "-c", f"from policy.index import apart; {does}")
    monkeypatch.setattr(apart, "_COMMAND", command)


async def test_a_page_is_read_as_in_this_process_and_the_loop_goes_on(monkeypatch, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    _command(monkeypatch, f"open({str(gate)!r}).close(); apart._main()")

    async def let_through():
        """Once the process waits at the gate: in a loop that stands still meanwhile nobody would."""
        while True:
            with contextlib.suppress(OSError):
                os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
                return
            await asyncio.sleep(0.01)

    waiting = asyncio.create_task(let_through())
    text = "<p>The wheel is of oak, and the mill grinds barley.</p>"
    page = f"<!doctype html><html><title>Mühle</title><article><h1>Mill</h1>{text}</article>"
    data = page.encode("cp1252")
    document = await parse_apart(data, ".html", "x", "windows-1252", seconds=120, at_once=asyncio.Semaphore(1))
    await waiting
    assert document.title == "Mühle"
    assert "oak" in document.paragraphs[-1].text


async def test_what_is_no_page_is_unreadable_there_too():
    with pytest.raises(Unreadable, match="broken PDF"):
        await parse_apart(b"%PDF-1.7 broken", ".pdf", "x", seconds=120, at_once=asyncio.Semaphore(1))


@pytest.mark.parametrize("never_ends", [False, True])
async def test_a_page_that_takes_too_long_is_ended(monkeypatch, never_ends):
    if never_ends:
        _command(monkeypatch, "import time; time.sleep(3600)")
    async with asyncio.timeout(100):
        with pytest.raises(Unreadable, match=r"takes more than"):
            await parse_apart(SLOW, ".html", "x", seconds=0.05, at_once=asyncio.Semaphore(1))


def test_a_file_that_takes_too_long_costs_itself_alone():
    with FileReader(seconds=120) as reader:
        assert reader.read(b"# A\n\nText.", "a.md", "x").title == "A"
        reader._seconds = 0.05
        with pytest.raises(Unreadable, match=r"takes more than 0\.05 s"):
            reader.read(SLOW, "a.html", "x")
        reader._seconds = 120
        assert reader.read(b"# B\n\nText.", "b.md", "x").title == "B"
        with pytest.raises(Unreadable, match="broken PDF"):
            reader.read(b"%PDF-1.7 broken", "c.pdf", "x")


@pytest.fixture
def little_memory(monkeypatch):
    _command(monkeypatch, "apart._MEMORY = 500 * 2**20; apart._main()")


def test_a_folder_is_indexed_without_the_file_that_ends_what_reads_it(little_memory, tmp_path, capsys):
    (tmp_path / "a.md.gz").write_bytes(gzip.compress(b"a\n" * (30 * 2**20), 1))
    (tmp_path / "b.md").write_text("# B\n\nText.")
    assert main(["index", str(tmp_path), "--no-dense"]) == 0
    shown = capsys.readouterr()
    assert "1 passages (1 read" in shown.out
    assert "skipped a.md.gz: it takes more than 300 s, or more memory" in shown.err
