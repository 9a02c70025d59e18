"""How many GPUs a load needs: arithmetic, and a simulation of router and replicas that it is held against.

    python -m tests.benchmarks.sizing [--tokens-per-second 20000] [--report 4000] [--criteria 20] [--branch 40]
        [--calls 2] [--price 3.0] [--gpus 1 8 64] [--utilization 0.8]

`--tokens-per-second` is what one GPU reads: `judger_pace_tokens_per_second` of a server at its limit, or what
`tests.benchmarks.bench_torch_gpu` prints. A report of `--report` tokens, instructions and query among them, is judged
in `--calls` calls (several reward functions), each of `--criteria` branches of `--branch` tokens. With sessions the
second call finds the report's tokens in its replica's cache.

The simulation (simpy) has Poisson arrivals, Ray's ring with the bound on a replica's load, a queue and batches under
the token budget in each replica, and a prefix cache that forgets what it used longest ago.
"""

from __future__ import annotations

import argparse
import bisect
import math
import random
import statistics
from collections import OrderedDict, deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

from judger.cluster.router import room

VNODES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one report costs."""

    report: int = 4000
    """Tokens, instructions and query among them."""
    criteria: int = 20
    """Of one call."""
    branch: int = 40
    """Tokens of a criterion's branch."""
    calls: int = 2
    apart: float = 5.0
    """Seconds from one call to the next, on average."""

    @property
    def cold(self) -> int:
        """Tokens of a call on a report that is not known."""
        return self.report + self.warm

    @property
    def warm(self) -> int:
        """Tokens of a call on one that is."""
        return self.criteria * self.branch


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Replicas of one GPU each."""

    gpus: int
    pace: float
    """Tokens a second of one."""
    batch_tokens: int = 16_384
    overhead: float = 0.004
    """Seconds of each batch beside its tokens."""
    cache_tokens: int = 400_000
    bound: float = 3.0


def verdicts_per_second(work: Work, fleet: Fleet, *, sessions: bool = True) -> float:
    """What the fleet does at its limit.

    At random a call finds the report where one of the calls before it was: 1 - (1 - 1/n)^i of the time.
    """
    tokens = 0.0
    for call in range(work.calls):
        known = float(call > 0) if sessions else 1 - (1 - 1 / fleet.gpus) ** call
        tokens += known * work.warm + (1 - known) * work.cold
    mean = tokens / work.calls
    batch = max(1.0, fleet.batch_tokens / mean)
    seconds = mean / fleet.pace + fleet.overhead / batch
    return fleet.gpus * work.criteria / seconds


def per_million(price: float, gpus: int, verdicts: float) -> float:
    """What a million verdicts cost, at a price for one GPU and hour."""
    return price * gpus / 3600 / verdicts * 1e6


@dataclass(frozen=True, slots=True)
class Seen:
    """What a simulation saw in its second half."""

    verdicts_per_second: float
    median: float
    p99: float
    """Seconds from a call to its answer."""
    found: float
    """Share of report tokens that were found in a replica's cache."""


class Replica:
    """A queue, batches under a token budget, a cache of reports."""

    def __init__(self, world: simpy.Environment, work: Work, fleet: Fleet) -> None:
        self.world, self.work, self.fleet = world, work, fleet
        self.waiting: deque[tuple[int, simpy.Event]] = deque()
        self.ongoing = 0
        self.found = self.asked = 0
        self._known: OrderedDict[int, None] = OrderedDict()
        self._wake = world.event()
        world.process(self._run())

    def ask(self, report: int) -> simpy.Event:
        """An event that is there when the answer is."""
        answer = self.world.event()
        self.waiting.append((report, answer))
        self.ongoing += 1
        if not self._wake.triggered:
            self._wake.succeed()
        return answer

    def _run(self) -> Generator[Any, Any, None]:
        while True:
            if not self.waiting:
                self._wake = self.world.event()
                yield self._wake
            batch, tokens = [], 0
            while self.waiting and (not batch or tokens < self.fleet.batch_tokens):
                report, answer = self.waiting.popleft()
                batch.append(answer)
                tokens += self._cost(report)
            yield self.world.timeout(self.fleet.overhead + tokens / self.fleet.pace)
            for answer in batch:
                self.ongoing -= 1
                answer.succeed()

    def _cost(self, report: int) -> int:
        known = report in self._known
        self._known[report] = None
        self._known.move_to_end(report)
        while len(self._known) * self.work.report > max(self.fleet.cache_tokens, self.work.report):
            self._known.popitem(last=False)
        self.asked += 1
        self.found += known
        return self.work.warm if known else self.work.cold


def simulate(
    work: Work, fleet: Fleet, load: float, *, seconds: float = 240.0, sessions: bool = True, seed: int = 0
) -> Seen:
    """Runs it at that many verdicts a second."""
    chance = random.Random(seed)
    world = simpy.Environment()
    replicas = [Replica(world, work, fleet) for _ in range(fleet.gpus)]
    ring = sorted((chance.random(), replica) for replica in range(fleet.gpus) for _ in range(VNODES))
    places = [place for place, _ in ring]
    times: list[float] = []
    done = 0
    before = (0, 0)

    def choose(session: float) -> Replica:
        if not sessions:
            return replicas[chance.randrange(fleet.gpus)]
        most = room([replica.ongoing for replica in replicas], fleet.bound)
        start = bisect.bisect_right(places, session)
        for step in range(len(ring)):
            replica = replicas[ring[(start + step) % len(ring)][1]]
            if replica.ongoing < most:
                return replica
        return replicas[ring[start % len(ring)][1]]

    def one(report: int) -> Generator[Any, Any, None]:
        nonlocal done
        session = chance.random()
        for call in range(work.calls):
            if call:
                yield world.timeout(chance.expovariate(1 / work.apart))
            began = world.now
            yield choose(session).ask(report)
            if world.now >= seconds / 2:
                done += 1
                times.append(world.now - began)

    def arrivals() -> Generator[Any, Any, None]:
        report = 0
        while True:
            yield world.timeout(chance.expovariate(load / work.criteria / work.calls))
            world.process(one(report))
            report += 1

    def counting() -> Generator[Any, Any, None]:
        nonlocal before
        yield world.timeout(seconds / 2)
        before = totals()

    def totals() -> tuple[int, int]:
        return sum(replica.asked for replica in replicas), sum(replica.found for replica in replicas)

    world.process(arrivals())
    world.process(counting())
    world.run(until=seconds)
    asked, found = (now - earlier for now, earlier in zip(totals(), before, strict=True))
    times.sort()
    return Seen(
        done * work.criteria / (seconds / 2),
        statistics.median(times) if times else math.nan,
        times[int(0.99 * len(times))] if times else math.nan,
        found / max(1, asked),
    )


def main() -> None:
    """Prints the table of docs/sizing.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens-per-second", type=float, default=20_000)
    for name in ("report", "criteria", "branch", "calls"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Work(), name))
    parser.add_argument("--price", type=float, default=3.0, help="of one GPU and hour")
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--utilization", type=float, default=0.8, help="of the limit, at which it is run")
    args = parser.parse_args()
    work = Work(report=args.report, criteria=args.criteria, branch=args.branch, calls=args.calls)
    print(
        "| GPUs | verdicts/s | cost of a million | simulated verdicts/s | median, P99 | found | at random: found, P99 |"
    )
    print("|---|---|---|---|---|---|---|")
    for gpus in args.gpus:
        fleet = Fleet(gpus=gpus, pace=args.tokens_per_second)
        load = args.utilization * verdicts_per_second(work, fleet)
        seen, lost = simulate(work, fleet, load), simulate(work, fleet, load, sessions=False)
        print(
            f"| {gpus} | {load:,.0f} | {per_million(args.price, gpus, load):.2f} | {seen.verdicts_per_second:,.0f} "
            f"| {seen.median:.2f} s, {seen.p99:.2f} s | {seen.found:.0%} | {lost.found:.0%}, {lost.p99:.1f} s |"
        )


if __name__ == "__main__":
    main()
