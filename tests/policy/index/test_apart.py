"""A page that is read in a process of its own."""

from __future__ import annotations

import asyncio
import time

import pytest

from policy.index.apart import parse_apart
from policy.index.parse import Unreadable


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
    page = b"<html><body>" + b"<div>text" * 400_000
    start = time.monotonic()
    with pytest.raises(Unreadable, match=r"takes more than"):
        await parse_apart(page, ".html", "x", seconds=0.05, at_once=asyncio.Semaphore(1))
    assert time.monotonic() - start < 5
