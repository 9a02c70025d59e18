"""A page that is read in a process of its own."""

from __future__ import annotations

import asyncio
import gzip
import sys
import time

import pytest

from policy.cli import main
from policy.index import apart
from policy.index.apart import FileReader, parse_apart
from policy.index.parse import Unreadable

SLOW = b"<html><body>" + b"<div>text" * 400_000


async def test_a_page_is_read_as_in_this_process_and_the_loop_goes_on():
    beats = 0

    async def beat():
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    beating = asyncio.create_task(beat())
    text = "<p>The wheel is of oak, and the mill grinds barley.</p>"
    page = f"<!doctype html><html><title>Mühle</title><article><h1>Mill</h1>{text}</article>"
    data = page.encode("cp1252")
    document = await parse_apart(data, ".html", "x", "windows-1252", seconds=30, at_once=asyncio.Semaphore(1))
    beating.cancel()
    assert document.title == "Mühle"
    assert "oak" in document.paragraphs[-1].text
    assert beats > 5


async def test_what_is_no_page_is_unreadable_there_too():
    with pytest.raises(Unreadable, match="broken PDF"):
        await parse_apart(b"%PDF-1.7 broken", ".pdf", "x", seconds=30, at_once=asyncio.Semaphore(1))


async def test_a_page_that_takes_too_long_is_ended():
    start = time.monotonic()
    with pytest.raises(Unreadable, match=r"takes more than"):
        await parse_apart(SLOW, ".html", "x", seconds=0.05, at_once=asyncio.Semaphore(1))
    assert time.monotonic() - start < 5


def test_a_file_that_takes_too_long_costs_itself_alone():
    with FileReader(seconds=30) as reader:
        assert reader.read(b"# A\n\nText.", "a.md", "x").title == "A"
        reader._seconds = 0.05
        with pytest.raises(Unreadable, match=r"takes more than 0\.05 s"):
            reader.read(SLOW, "a.html", "x")
        reader._seconds = 30
        assert reader.read(b"# B\n\nText.", "b.md", "x").title == "B"
        with pytest.raises(Unreadable, match="broken PDF"):
            reader.read(b"%PDF-1.7 broken", "c.pdf", "x")


@pytest.fixture
def little_memory(monkeypatch):
    script = "from policy.index import apart; apart._MEMORY = 500 * 2**20; apart._main()"
    monkeypatch.setattr(apart, "_COMMAND", (sys.executable, "-P", "-c", script))


def test_a_folder_is_indexed_without_the_file_that_ends_what_reads_it(little_memory, tmp_path, capsys):
    (tmp_path / "a.md.gz").write_bytes(gzip.compress(b"a\n" * (30 * 2**20), 1))
    (tmp_path / "b.md").write_text("# B\n\nText.")
    assert main(["index", str(tmp_path), "--no-dense"]) == 0
    shown = capsys.readouterr()
    assert "1 passages (1 read" in shown.out
    assert "skipped a.md.gz: it takes more than 300 s, or more memory" in shown.err
