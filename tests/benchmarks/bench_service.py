"""What the service costs beside its engine, and what it sustains. `make bench` runs it; end background work first.

    python -m tests.benchmarks.bench_service [--seconds 10] [--json FILE]

1. Throughput: the scripted engine, each call a distinct report of 2,000 words with 26 criteria, no cache, the load
   generator in a process of its own on the same cores; then the latency at 200 calls a second, half of the 400 to
   reach.
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
import tempfile
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
from tests.benchmarks.synthetic import cases as made
from tests.benchmarks.synthetic import write

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


def load(address: str, cases: Path, *flags: str) -> dict[str, Any]:
    """One run of `judger bench`, in a process of its own. A call that fails shows in its figures, not here."""
    command = [sys.executable, "-m", "judger", "bench", str(cases), "--addr", address, "--json", "--warm-up", "1"]
    done = subprocess.run([*command, *flags], stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"judger bench ended with {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def throughput(seconds: float) -> dict[str, Any]:
    """Calls a second in a closed loop, and latencies in an open one at 200 a second."""
    with tempfile.TemporaryDirectory() as folder, served("--engine", "scripted") as address:
        cases = write(Path(folder) / "cases.jsonl", made(20, words=2000, criteria=26, seed=0))
        closed = load(address, cases, "--seconds", str(seconds), "--concurrency", "16")
        half = load(address, cases, "--seconds", str(seconds), "--rate", "200")
    return {"closed": closed, "open_200": half}


def milliseconds(figures: dict[str, Any], name: str) -> float:
    return float(figures["latency"][name]) * 1000


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
    table.add_row(
        "Judge calls/s, scripted engine, closed loop", f"{closed['goodput']['calls_per_second']:.0f}", "at least 400"
    )
    table.add_row("  median, P99 there", f"{milliseconds(closed, 'p50'):.0f}, {milliseconds(closed, 'p99'):.0f} ms", "")
    table.add_row("P99 at 200 calls/s, Poisson arrivals", f"{milliseconds(half, 'p99'):.0f} ms", "under 100 ms")
    table.add_row("  median, worst there", f"{milliseconds(half, 'p50'):.0f}, {milliseconds(half, 'max'):.0f} ms", "")
    table.add_row(
        "  calls that failed", str(sum(one["calls"] - one["goodput"]["calls"] for one in (closed, half))), "0"
    )
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
