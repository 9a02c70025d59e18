"""What the service costs beside its engine, and what it sustains. `make bench` runs it; end background work first.

    python -m tests.benchmarks.bench_service [--seconds 10] [--json FILE]

1. Throughput: the scripted engine, each call a distinct report of 2,000 words with 26 criteria, no cache, the load
   generator in a process of its own on the same cores; then the latency at 200 calls a second, half of the 400 to reach.
2. Overhead: the built-in judge, 26 criteria on a real report; what the caller waits beyond the engine's own seconds
   (planning and running, as the response's usage tells them), as a share of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from judger.client import connect
from judger.rubric import read_cases
from judger.types import Criterion

DEMO = Path(__file__).parents[2] / "judger/demo/cases.jsonl"


@contextmanager
def served(*flags: str) -> Iterator[str]:
    """`judger serve` in a process of its own, and its address."""
    command = [sys.executable, "-m", "judger", "serve", "--port", "0", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            address = next(m[1] for m in (re.search(r"serving \S+ on (\S+)", line) for line in process.stderr) if m)
            yield address
        finally:
            process.terminate()
            process.wait(30)


def load(address: str, *flags: str) -> dict[str, Any]:
    """One run of the load generator."""
    command = [sys.executable, "-m", "tests.benchmarks.load", address, *flags]
    result: dict[str, Any] = json.loads(subprocess.check_output(command))
    return result


def throughput(seconds: float) -> dict[str, Any]:
    """Calls a second in a closed loop, and latencies in an open one at 200 a second."""
    with served("--engine", "scripted") as address:
        closed = load(address, "--seconds", str(seconds))
        half = load(address, "--seconds", str(seconds), "--rate", "200")
    return {"closed": closed, "open_200": half}


async def overhead(repeats: int) -> dict[str, Any]:
    """Seconds of a Judge call with the built-in judge, and how many of them are the engine's."""
    case = max(read_cases(DEMO), key=lambda case: len(case.report))
    shares, walls, engines = [], [], []
    with served("--engine", "mini") as address:
        async with connect(address) as client:
            for turn in range(repeats + 1):
                criteria = [
                    Criterion(id=f"c{i}", text=f"{case.criteria[i % len(case.criteria)].text} ({turn}.{i})")
                    for i in range(26)
                ]
                started = time.perf_counter()
                judged = await client.judge(query=case.query, report=f"{case.report} {turn}", criteria=criteria)
                wall = time.perf_counter() - started
                if turn:  # the first call warms up
                    engine = judged.usage.engine_seconds
                    walls.append(wall)
                    engines.append(engine)
                    shares.append((wall - engine) / engine)
    return {
        "report_words": len(case.report.split()),
        "criteria": 26,
        "wall_seconds": statistics.median(walls),
        "engine_seconds": statistics.median(engines),
        "overhead_share": statistics.median(shares),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write the raw figures there")
    args = parser.parse_args()
    figures = {"throughput": throughput(args.seconds), "overhead": asyncio.run(overhead(args.repeats))}
    closed, half, cost = figures["throughput"]["closed"], figures["throughput"]["open_200"], figures["overhead"]
    table = Table("measured", "value", "to reach", title="The service beside its engine")
    table.add_row("Judge calls/s, scripted engine, closed loop", f"{closed['calls_per_second']:.0f}", "at least 400")
    table.add_row("  median, P99 there", f"{closed['p50_ms']:.0f}, {closed['p99_ms']:.0f} ms", "")
    table.add_row("P99 at 200 calls/s, Poisson arrivals", f"{half['p99_ms']:.0f} ms", "under 100 ms")
    table.add_row("  median, worst there", f"{half['p50_ms']:.0f}, {half['max_ms']:.0f} ms", "")
    table.add_row("  calls that failed", str(sum((closed["failures"] | half["failures"]).values())), "0")
    table.add_row(
        f"gRPC, queue and wire beside mini, {cost['criteria']} criteria, {cost['report_words']} words",
        f"{cost['overhead_share']:.1%} of {cost['engine_seconds']:.2f} s",
        "under 5%",
    )
    Console().print(table)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
