"""A stranger's file read in a process of its own, which has so much time and memory and no more.

lxml, trafilatura, pypdf and what reads office documents have no limit of time, and a thread can't be stopped: a page
that takes a minute would hold one of the few threads that all episodes share, and a file that takes a day an index.

Asked is with a line of JSON and so many bytes, answered with a line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import threading
import time
from typing import Any, Self

from policy.index import formats
from policy.index.markdown import Document, Paragraph
from policy.index.parse import Unreadable
from policy.whole import loads, whole

__all__ = ["FileReader", "parse_apart"]

_MEMORY = 2 * 2**30
"""Bytes of address space."""
_COMMAND = (sys.executable, "-P", "-m", "policy.index.apart")


class FileReader:
    """`policy.index.formats.read`, a file after the other in one process, which is another one after a file that ended
    it. A context manager."""

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, data: bytes, name: str, title: str) -> Document:
        """Raises Unreadable, also where it takes more than the seconds or the memory that a file has."""
        if self._process is None:
            self._process = subprocess.Popen(
                _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        is_late = threading.Event()

        def end() -> None:
            is_late.set()
            process.kill()

        timer = threading.Timer(self._seconds, end)
        timer.start()
        try:
            process.stdin.write(_request(data, name, title, "", self._seconds))
            process.stdin.flush()
            written = process.stdout.readline()
        except BrokenPipeError:
            written = b""
        finally:
            timer.cancel()
            timer.join()
        if is_late.is_set() or not written.endswith(b"\n"):  # late by a hair, it has answered and is gone
            self.close()
        return _document(written, self._seconds)

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    assert pipe is not None
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def parse_apart(
    data: bytes, suffix: str, title: str, charset: str = "", *, seconds: float, at_once: asyncio.Semaphore
) -> Document:
    """`policy.index.formats.read` within a time; `at_once` bounds the processes. Raises Unreadable."""
    name = f"page{suffix}"
    if suffix in (".txt", ".md", ".csv"):
        return await asyncio.to_thread(formats.read, data, name, title, charset)
    async with at_once:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, env=_environment(),
        )  # fmt: skip
        try:
            async with asyncio.timeout(seconds):
                written, _ = await process.communicate(_request(data, name, title, charset, seconds))
        except TimeoutError:
            written = b""
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
    return _document(written, seconds)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _request(data: bytes, name: str, title: str, charset: str, seconds: float) -> bytes:
    head = {"name": name, "title": title, "charset": charset, "seconds": int(seconds) + 1, "size": len(data)}
    return json.dumps(head).encode() + b"\n" + data


def _document(written: bytes, seconds: float) -> Document:
    """The document in an answer, or Unreadable where it says why there is none, or is none."""
    if not written.endswith(b"\n"):
        raise Unreadable(f"it takes more than {seconds:g} s, or more memory than there is for it, to read")
    reply = loads(written)
    if "fault" in reply:
        raise Unreadable(reply["fault"])
    paragraphs = tuple(Paragraph(heading, text) for heading, text in reply["paragraphs"])
    return Document(reply["title"], paragraphs, tuple((text, target) for text, target in reply["links"]))


def _main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is no answer
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    while head := sys.stdin.buffer.readline():
        asked = json.loads(head)
        data = sys.stdin.buffer.read(asked["size"])
        if len(data) == asked["size"]:
            answers.write(json.dumps(_answer(data, asked)) + "\n")
            answers.flush()


def _answer(data: bytes, asked: dict[str, Any]) -> Any:
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(time.process_time()) + asked["seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
    try:
        document = formats.read(data, asked["name"], asked["title"], asked["charset"])
    except Unreadable as error:
        return whole({"fault": str(error)})
    paragraphs = [[one.heading, one.text] for one in document.paragraphs]
    return whole({"title": document.title, "paragraphs": paragraphs, "links": [list(link) for link in document.links]})


if __name__ == "__main__":
    _main()
