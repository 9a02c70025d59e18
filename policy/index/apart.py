"""A stranger's page read in a process of its own, which has so much time and memory and no more.

lxml, trafilatura and pypdf have no limit of time, and a thread can't be stopped: a page that takes a minute would hold
one of the few threads that all episodes share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys

from policy.index import parse
from policy.index.markdown import Document, Paragraph
from policy.whole import loads, whole

__all__ = ["parse_apart"]

_MEMORY = 2 * 2**30
"""Bytes of address space."""


async def parse_apart(
    data: bytes, suffix: str, title: str, charset: str = "", *, seconds: float, at_once: asyncio.Semaphore
) -> Document:
    """`policy.index.parse.parse_bytes` within a time; `at_once` bounds the processes. Raises Unreadable."""
    if suffix not in (".pdf", ".html", ".htm"):
        return await asyncio.to_thread(parse.parse_bytes, data, suffix, title, charset)
    head = json.dumps({"suffix": suffix, "title": title, "charset": charset, "seconds": int(seconds) + 1})
    async with at_once:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "policy.index.apart",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        try:
            async with asyncio.timeout(seconds):
                written, _ = await process.communicate(head.encode() + b"\n" + data)
        except TimeoutError as error:
            raise parse.Unreadable(f"it takes more than {seconds:g} s to read") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
    if process.returncode:
        raise parse.Unreadable("it takes more time or memory to read than a page may")
    reply = loads(written.decode())
    if "fault" in reply:
        raise parse.Unreadable(reply["fault"])
    return Document(reply["title"], tuple(Paragraph(heading, text) for heading, text in reply["paragraphs"]))


def _main() -> None:
    head, _, data = sys.stdin.buffer.read().partition(b"\n")
    asked = json.loads(head)
    resource.setrlimit(resource.RLIMIT_CPU, (asked["seconds"], asked["seconds"]))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        document = parse.parse_bytes(data, asked["suffix"], asked["title"], asked["charset"])
        reply = {"title": document.title, "paragraphs": [[one.heading, one.text] for one in document.paragraphs]}
    except parse.Unreadable as error:
        reply = {"fault": str(error)}
    sys.stdout.write(json.dumps(whole(reply)))


if __name__ == "__main__":
    _main()
