"""Callers of a cluster in a process of their own: `python -m tests.benchmarks.ray_callers ADDRESS CRITERION`.

Whoever restarts a head forks, which a process with open gRPC calls does not survive. A line of JSON for each call:
[the instant (of the machine's monotonic clock), how it ended].
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import judger.client
from judger.errors import JudgerError

CALLERS = 4


async def call(address: str, criterion: str, number: int) -> None:
    """One call after the other, without retries, until the process ends."""
    async with judger.client.connect(address, timeout=10, max_attempts=1) as judge:
        while True:
            number += CALLERS
            try:
                await judge.judge("q", f"an apple {number}", [criterion])
                how = "answered"
            except JudgerError as error:
                how = f"{type(error).__name__}: {str(error)[:100]}"
                await asyncio.sleep(0.2)
            print(json.dumps([time.monotonic(), how]), flush=True)


async def main() -> None:
    """All of them."""
    await asyncio.gather(*(call(sys.argv[1], sys.argv[2], number) for number in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main())
