"""A judge for the pipeline: one that runs somewhere, or the built-in one as a process of our own. Always its client."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from judger.client import Client, connect
from judger.errors import Unavailable
from train.access import JudgeAccess, wait_for

__all__ = ["JudgeDown", "local_judge", "open_judge"]

END_SECONDS = 20.0
"""That a judge of ours may take to end by itself."""
_SERVING = re.compile(r"serving \S+ on (\S+)")


class JudgeDown(Exception):
    """No judge answered within the limit."""


@asynccontextmanager
async def open_judge(
    access: JudgeAccess | None,
    *,
    threads: int = 1,
    patience: float = 120.0,
    say: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Client]:
    """A client whose judge answers: that of `access`, or the built-in judge started for this block alone.

    Raises JudgeDown after `patience` seconds.
    """
    if access is None:
        async with local_judge(threads=threads, patience=patience) as local, connect(local) as client:
            yield client
        return
    async with access.connect() as client:
        try:
            await wait_for(client, patience, say)
        except Unavailable as error:
            raise JudgeDown(f"{access.address}: no judge answered within {patience:g} s") from error
        yield client


@asynccontextmanager
async def local_judge(*, threads: int = 1, patience: float = 120.0, flags: Sequence[str] = ()) -> AsyncIterator[str]:
    """The address of a server with the built-in judge, in a process that ends with the block, and with this process
    however that ends. Raises JudgeDown.

    One thread by default: a judge and a trainer that both take every core slow each other down many times over.
    `flags`: more options of `judger serve`.
    """
    command = (
        *(sys.executable, "-m", "train.tasks.tethered"),
        *("serve", "--engine", "mini", "--judge-all", "--port", "0", "--grace", "0"),
        *("--threads", str(threads), "--log-level", "warning", *flags),
    )
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    drain: asyncio.Task[bytes] | None = None
    try:
        try:
            async with asyncio.timeout(patience):
                address = await _address(process.stderr)
        except TimeoutError as error:
            raise JudgeDown(f"the built-in judge was not ready within {patience:g} s") from error
        drain = asyncio.create_task(process.stderr.read())
        yield address
    finally:
        await _end(process)
        if drain is not None:
            drain.cancel()  # whoever has inherited the pipe may hold it open
            await asyncio.wait([drain])


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends it, whether it listens or not."""
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _address(lines: asyncio.StreamReader) -> str:
    said: list[str] = []
    while line := await lines.readline():
        text = line.decode("utf-8", "replace").rstrip()
        if found := _SERVING.search(text):
            return found.group(1)
        said.append(text)
    raise JudgeDown("the built-in judge did not start: " + " | ".join(said[-5:]))
