"""The judge that a command starts for itself."""

from __future__ import annotations

import asyncio
import sys

USER = """
import asyncio
from train.tasks.judging import local_judge

async def main():
    async with local_judge() as address:
        print(address, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_judge_of_ours_ends_with_a_process_that_is_killed():
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", USER, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(250):
            assert b":" in await process.stdout.readline()
            process.kill()
            # The judge has inherited this pipe: it ends when both are gone.
            assert await process.stdout.read() == b""
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
