"""A load generator in a process of its own: distinct reports against a running server, and what came of it.

    python -m tests.benchmarks.load ADDRESS --seconds 10 [--rate 200] --words 2000 --criteria 26

Without `--rate` the loop is closed: `--concurrency` calls are always in flight, and the rate found is what the server
sustains. With it the loop is open: Poisson arrivals that wait for nobody, so that a slow server can't slow its load.
Prints one JSON object. Requests are made and serialised before the clock starts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time

import grpc
import numpy as np

from judger.v1 import judger_pb2 as pb

WORDS = tuple(
    "the report of a study on market growth energy policy cost model data price city water health risk supply chain "
    "2024 2025 percent million trend analysis source evidence method result table figure region demand capacity".split()
)


def requests(number: int, *, words: int, criteria: int, seed: int) -> list[bytes]:
    """Serialised JudgeRequests, no two with the same report."""
    chance = random.Random(seed)
    rubric = [
        pb.Criterion(
            id=f"c{i}",
            text=f"The report explains the {WORDS[i % len(WORDS)]} of {' '.join(chance.choices(WORDS, k=12))}",
            weight=1.0 if i % 5 else -1.0,
        )
        for i in range(criteria)
    ]
    return [
        pb.JudgeRequest(
            request_id=str(i),
            query="How large is it?",
            report=f"{i} {' '.join(chance.choices(WORDS, k=words))}",
            criteria=rubric,
        ).SerializeToString()
        for i in range(number)
    ]


async def measure(args: argparse.Namespace) -> dict[str, object]:
    """Runs the load and sums it up."""
    rate = args.rate or args.at_most
    bodies = requests(int(rate * args.seconds * 1.2) + 100, words=args.words, criteria=args.criteria, seed=args.seed)
    latencies: list[float] = []
    failures: dict[str, int] = {}
    async with grpc.aio.insecure_channel(args.address) as channel:
        call = channel.unary_unary("/judger.v1.Judger/Judge", response_deserializer=pb.JudgeResponse.FromString)

        async def one(body: bytes) -> None:
            started = time.perf_counter()
            try:
                response = await call(body, timeout=60)
            except grpc.aio.AioRpcError as error:
                failures[error.code().name] = failures.get(error.code().name, 0) + 1
                return
            latencies.append(time.perf_counter() - started)
            if len(response.verdicts) != args.criteria or not response.reward.HasField("value"):
                failures["incomplete"] = failures.get("incomplete", 0) + 1

        for body in bodies[:50]:
            await one(body)
        latencies.clear()
        left = iter(bodies[50:])
        started = time.perf_counter()
        if args.rate:
            chance = random.Random(args.seed)
            tasks = []
            due = 0.0
            while due < args.seconds:
                await asyncio.sleep(max(0.0, started + due - time.perf_counter()))
                tasks.append(asyncio.create_task(one(next(left))))
                due += chance.expovariate(args.rate)
            await asyncio.gather(*tasks)
        else:

            async def worker() -> None:
                while time.perf_counter() - started < args.seconds:
                    await one(next(left))

            await asyncio.gather(*[worker() for _ in range(args.concurrency)])
        seconds = time.perf_counter() - started
    p50, p95, p99 = np.percentile(latencies, [50, 95, 99]) * 1000
    return {
        "calls": len(latencies),
        "seconds": seconds,
        "calls_per_second": len(latencies) / seconds,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": max(latencies) * 1000,
        "failures": failures,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, help="arrivals a second; without it the loop is closed")
    parser.add_argument(
        "--at-most", type=float, default=900, help="closed loop: the highest rate requests are made for"
    )
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--words", type=int, default=2000)
    parser.add_argument("--criteria", type=int, default=26)
    parser.add_argument("--seed", type=int, default=0)
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
