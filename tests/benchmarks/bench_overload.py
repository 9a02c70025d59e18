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
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.server import running
from judger.types import Lane
from judger.v1 import judger_pb2 as pb
from tests.benchmarks.load import requests

WORDS, CRITERIA = 500, 6
METHOD = "/judger.v1.Judger/Judge"


class Load:
    """Calls over one channel, each with another report; what came of them."""

    def __init__(self, channel: grpc.aio.Channel, number: int, seed: int, lane: Lane = Lane.TRAINING) -> None:
        self.call = channel.unary_unary(METHOD, response_deserializer=pb.JudgeResponse.FromString)
        self.bodies = iter(requests(number, words=WORDS, criteria=CRITERIA, seed=seed))
        self.lane = pb.JudgeRequest(lane=lane.name).SerializeToString()
        self.codes: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.ends: list[float] = []

    async def one(self, timeout: float) -> None:  # noqa: ASYNC109 - gRPC's own
        started = time.perf_counter()
        try:
            response = await self.call(next(self.bodies) + self.lane, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            self.codes[error.code().name] += 1
            return
        self.codes["OK" if response.reward.HasField("value") else "partial"] += 1
        self.ends.append(time.perf_counter())
        self.latencies.append(self.ends[-1] - started)

    async def poisson(self, rate: float, seconds: float, deadline: float) -> None:
        """Arrivals that wait for nobody."""
        chance = random.Random(1)
        tasks, due, started = [], 0.0, time.perf_counter()
        while due < seconds:
            await asyncio.sleep(max(0.0, started + due - time.perf_counter()))
            tasks.append(asyncio.create_task(self.one(deadline)))
            due += chance.expovariate(rate)
        await asyncio.gather(*tasks)


async def overload(rate: float, factor: float, seconds: float, deadline: float) -> dict[str, Any]:
    """Goodput at `factor` times the capacity of an engine that does `rate` cases a second."""
    tokens = ScriptedEngine().plan(_case(), None).tokens  # type: ignore[arg-type]
    config = ServeConfig(engine="scripted", port=0, grace=1, max_batch_tokens=4 * tokens)
    async with (
        running(config, ScriptedEngine(pace=rate * tokens)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        warm = Load(channel, int(rate * 8) + 50, seed=2)
        await warm.poisson(rate * 1.5, 4.0, deadline)  # teaches the pace
        load = Load(channel, int(rate * factor * seconds * 1.5) + 50, seed=3)
        started = time.perf_counter()
        await load.poisson(rate * factor, seconds, deadline)
        wall = time.perf_counter() - started
    return {
        "factor": factor,
        "offered_per_second": sum(load.codes.values()) / seconds,
        "goodput_per_second": load.codes["OK"] / max(wall, seconds),
        "p99_ms": float(np.percentile(load.latencies, 99)) * 1000,
        "codes": dict(load.codes),
    }


async def lanes(rate: float, seconds: float) -> dict[str, float]:
    """Each lane's share of the cases while all three want more than theirs."""
    tokens = ScriptedEngine().plan(_case(), None).tokens  # type: ignore[arg-type]
    config = ServeConfig(engine="scripted", port=0, grace=1, max_batch_tokens=4 * tokens)
    async with (
        running(config, ScriptedEngine(pace=rate * tokens)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        number = int(rate * seconds * 2) + 100
        loads = {lane: Load(channel, number, seed, lane) for seed, lane in enumerate(Lane, start=5)}
        ends = time.perf_counter() + seconds

        async def worker(load: Load) -> None:
            while time.perf_counter() < ends:
                await load.one(60)

        await asyncio.gather(*(worker(load) for load in loads.values() for _ in range(24)))
        done = {lane: sum(1 for end in load.ends if end < ends) for lane, load in loads.items()}
    total = sum(done.values())
    return {lane.value: count / total for lane, count in done.items()}


async def hits(number: int) -> dict[str, float]:
    """Latency of cache hits, one after another."""
    async with (
        running(ServeConfig(engine="scripted", port=0, grace=1), ScriptedEngine()) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        call = channel.unary_unary(METHOD, response_deserializer=pb.JudgeResponse.FromString)
        body = requests(1, words=2000, criteria=26, seed=7)[0]
        await call(body)
        seconds = []
        for _ in range(number):
            started = time.perf_counter()
            response = await call(body)
            seconds.append(time.perf_counter() - started)
            assert response.usage.cached_criteria == 26
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return {"calls": number, "p50_ms": float(p50), "p99_ms": float(p99)}


def _case() -> Any:
    from judger import wire

    return wire.read_request(pb.JudgeRequest.FromString(requests(1, words=WORDS, criteria=CRITERIA, seed=0)[0]))[0]


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
