"""Goodput under overload, and the lanes' shares at saturation: a loopback server, the scripted engine at a set pace.

    python -m tests.benchmarks.bench_overload [--seconds 10] [--json FILE]

1. Poisson arrivals, each with a deadline, at the engine's capacity and at three times as much. Goodput is what was
   answered in full within its deadline, by the second. To reach: at three times at least 90% of that at capacity.
2. Three lanes that each send more than their share. To reach: each gets its share of the verdicts within 10%.
3. Cache hits over the wire. To reach: P99 under 5 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from judger.client import Settings
from judger.config import ServeConfig
from judger.engines.base import VERDICT_TIER
from judger.engines.scripted import ScriptedEngine
from judger.load import Calls, Figures, Generator, Sent
from judger.server.process import running
from judger.types import Case, Lane, Options
from tests.benchmarks.synthetic import cases

WORDS, CRITERIA = 500, 6


def load(address: str, seed: int, *, lane: Lane = Lane.TRAINING, deadline: float | None = None) -> Load:
    """A load generator for a lane, and the account of what it sent."""
    figures, ends = Figures(), list[float]()
    calls = Calls(cases(1, words=WORDS, criteria=CRITERIA, seed=seed), Options(lane=lane))

    def note(row: Sent) -> None:
        figures.add(row)
        if row.in_time:
            ends.append(row.ended)

    return Load(Generator(Settings(address=address), calls, deadline=deadline, on_sent=note), figures, ends)


@dataclass(frozen=True, slots=True)
class Load:
    """A generator; what it counted; when each whole answer came, in seconds."""

    generator: Generator
    figures: Figures
    ends: list[float]


async def overload(rate: float, factor: float, seconds: float, deadline: float) -> dict[str, Any]:
    """Goodput at `factor` times the capacity of an engine that does `rate` cases a second."""
    tokens = ScriptedEngine().plan(_case(), VERDICT_TIER).tokens
    config = ServeConfig(engine="scripted", port=0, grace=1, max_batch_tokens=4 * tokens)
    async with running(config, ScriptedEngine(pace=rate * tokens)) as server:
        async with (warm := load(server.address, 2, deadline=deadline)).generator:
            await warm.generator.open_loop(rate * 1.5, 4.0, seed=1)  # teaches the pace
        async with (one := load(server.address, 3, deadline=deadline)).generator:
            wall = await one.generator.open_loop(rate * factor, seconds, seed=1)
    p99 = one.figures.answered.percentile(99)
    return {
        "factor": factor,
        "offered_per_second": one.figures.calls / seconds,
        "goodput_per_second": one.figures.in_time / max(wall, seconds),
        "p99_ms": p99 * 1000 if p99 is not None else None,
        "codes": dict(one.figures.codes),
    }


async def lanes(rate: float, seconds: float) -> dict[str, float]:
    """Each lane's share of the cases while all three want more than theirs."""
    tokens = ScriptedEngine().plan(_case(), VERDICT_TIER).tokens
    config = ServeConfig(engine="scripted", port=0, grace=1, max_batch_tokens=4 * tokens)
    async with running(config, ScriptedEngine(pace=rate * tokens)) as server, AsyncExitStack() as stack:
        loads = {lane: load(server.address, seed, lane=lane) for seed, lane in enumerate(Lane, start=5)}
        for one in loads.values():
            await stack.enter_async_context(one.generator)
        await asyncio.gather(*(one.generator.closed_loop(24, seconds) for one in loads.values()))
        done = {lane: sum(end < seconds for end in one.ends) for lane, one in loads.items()}
    total = sum(done.values())
    return {lane.value: count / total for lane, count in done.items()}


async def hits(number: int) -> dict[str, float | None]:
    """Latency of cache hits, one after another."""
    figures = Figures()
    calls = Calls(cases(1, words=2000, criteria=26, seed=7), Options(), repeat=True)
    async with (
        running(ServeConfig(engine="scripted", port=0, grace=1), ScriptedEngine()) as server,
        Generator(Settings(address=server.address), calls) as generator,
    ):
        await generator.call(0)  # from here on it is known

        def note(row: Sent) -> None:
            assert row.cached == row.criteria
            figures.add(row)
            if figures.calls == number:
                generator.stopping.set()

        generator.on_sent = note
        await generator.closed_loop(1, 600.0)
    p50, p99 = (figures.answered.percentile(percent) or 0.0 for percent in (50, 99))
    return {"calls": figures.calls, "p50_ms": p50 * 1000, "p99_ms": p99 * 1000}


def _case() -> Case:
    (case,) = cases(1, words=WORDS, criteria=CRITERIA, seed=0)
    return case


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "overload": [await overload(args.rate, factor, args.seconds, args.deadline) for factor in (1.0, 3.0)],
        "lanes": await lanes(args.rate, args.seconds),
        "hits": await hits(args.hits),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=40, help="cases a second that the engine does")
    parser.add_argument("--deadline", type=float, default=1.5, help="seconds of each call")
    parser.add_argument("--hits", type=int, default=500)
    parser.add_argument("--json", type=Path, help="write the raw figures there")
    args = parser.parse_args()
    figures = asyncio.run(measure(args))
    at, over = (one["goodput_per_second"] for one in figures["overload"])
    print(f"goodput at capacity {at:.1f}/s, at three times {over:.1f}/s: {over / at:.0%} (to reach: 90%)")
    print("shares of the lanes:", ", ".join(f"{lane} {share:.1%}" for lane, share in figures["lanes"].items()))
    print(f"cache hit: median {figures['hits']['p50_ms']:.1f} ms, P99 {figures['hits']['p99_ms']:.1f} ms")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
