"""The soak's director: starts server and clients, does them harm by the clock, and checks what was acknowledged."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from judger.v1 import judger_pb2_grpc
from tests.soak.asked import SECONDS_A_CASE, essence, request
from tests.soak.client import CASES_A_CALL, DEADLINES, NEVER, SLACK
from tests.soak.server import PATIENCE, Server

LOAD = 2.0
"""Times the capacity."""
MEMORY_FROM = 300.0
"""Seconds that the server's last life has to last for its growth to say something."""
MAX_GROWTH = 0.05
LONGEST = 120.0
"""Seconds beyond the plan, for a crowded machine to judge a group and a stream in."""
SAMPLE = 2000
"""Acknowledged answers that the stopped server's cache is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, and how much harm."""

    seconds: float = 1800.0
    clients: int = 6
    restarts: int = 2
    crash_every: float = 60.0
    kill_every: float = 45.0


@dataclass(slots=True)
class _Course:
    """What happened while it ran."""

    server: Server
    outs: list[Path] = field(default_factory=list)
    clients: list[subprocess.Popen[bytes]] = field(default_factory=list)
    killed: int = 0
    recoveries: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    """(seconds since the server started, megabytes) of its last life."""


def soak(plan: Plan) -> dict[str, Any]:
    """Runs it, and says what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        course = _Course(Server(Path(folder) / "verdicts"))
        started = time.monotonic()
        try:
            _direct(course, plan, Path(folder))
        except BaseException:
            for one in (course.server, *course.clients):
                one.kill()
            raise
        seconds = time.monotonic() - started
        left = left_behind(course.server)
        course.server.stop()
        answers, counts, worst, surprises = read(course.outs)
        course.server.start()
        sample = dict(random.Random(0).sample(sorted(answers.items()), min(SAMPLE, len(answers))))
        not_kept, changed = asyncio.run(ask_again(course.server.address, sample, quiet=False))
        course.server.stop()
        quiet = Server(Path(folder) / "quiet")
        _, wrong = asyncio.run(ask_again(quiet.address, answers, quiet=True))
        quiet.stop()
        log = course.server.text
    return {
        "seconds": seconds,
        "capacity_per_second": 1 / SECONDS_A_CASE,
        "acknowledged": sum(map(len, answers.values())),
        "distinct": len(answers),
        "distinct_per_second": len(answers) / seconds,
        "wrong": wrong + changed,
        "cache_asked": len(sample),
        "cache_lost": not_kept,
        "left_behind": left,
        "worst_overrun_seconds": worst,
        "counts": dict(counts.most_common()),
        "surprises": surprises,
        "clients_killed": course.killed,
        "engine_deaths": len(course.recoveries),
        "engine_restarts": course.server.num_restarts,
        "recovery_seconds": {"median": _median(course.recoveries), "worst": max(course.recoveries, default=0.0)},
        "exit_codes": course.server.exit_codes,
        "memory": growth(course.memory),
        "log_faults": sum(map(log.count, ("Traceback", "critical", "INTERNAL", "UNKNOWN"))),
    }


def faults(figures: dict[str, Any], plan: Plan) -> list[str]:
    """What must not be, of what was."""
    counts = figures["counts"]
    found = [f"{kind}: {counts[kind]}" for kind in counts if kind in (*NEVER, "HANG") or "LOST" in kind]
    found += figures["surprises"][:5]
    if not figures["acknowledged"]:
        found.append("nothing was acknowledged")
    for name in ("wrong", "cache_lost", "left_behind", "log_faults"):
        if figures[name]:
            found.append(f"{name}: {figures[name]}")
    if set(figures["exit_codes"]) != {0}:
        found.append(f"exit codes {figures['exit_codes']}")
    if not figures["engine_deaths"] or figures["engine_restarts"] != figures["engine_deaths"]:
        found.append(f"{figures['engine_deaths']} deaths of the engine, {figures['engine_restarts']} restarts")
    if len(figures["exit_codes"]) != plan.restarts + 2:
        found.append(f"{len(figures['exit_codes']) - 2} restarts of the server")
    memory = figures["memory"]
    if memory["over_seconds"] >= MEMORY_FROM and memory["growth"] >= MAX_GROWTH:
        found.append(f"memory grew by {memory['growth']:.1%}")
    return found


def left_behind(server: Server) -> float:
    """What is still held and counted once nobody asks any more, and the batch under way has ended.

    The engine can't be called back from that one: whoever left during it holds tokens until its end. (Or from the next,
    which may have begun before the server was told.)
    """
    ends, before = time.monotonic() + PATIENCE, server.metric("judger_batch_tokens_count")
    while left := sum(map(server.metric, ("judger_cases_in_flight", "judger_held_tokens"))):
        if server.metric("judger_batch_tokens_count") > before + 2 or time.monotonic() > ends:
            break
        time.sleep(0.05)
    return left


def _direct(course: _Course, plan: Plan, folder: Path) -> None:
    """Load and harm until the time is up. The restarts come in the first third: memory needs a long life to show.

    The plan's clock stands while harm is done, or on a crowded machine the first harm would take all of its time. And
    it goes on, for a while, until all of the harm is done and a group and a stream have come whole through it.
    """
    begun, stood, ends = time.monotonic(), 0.0, plan.seconds
    restart_at = [plan.seconds * (i + 1) / (3 * plan.restarts) for i in range(plan.restarts)]
    crash_at, kill_at = min(plan.crash_every, plan.seconds / 4) / 2, plan.kill_every / 2
    rate = LOAD / SECONDS_A_CASE / CASES_A_CALL / plan.clients
    while True:
        now = time.monotonic() - begun - stood
        if now >= ends:
            is_done = not restart_at and min(crash_at, kill_at) >= plan.seconds and _has_whole(course.outs)
            if is_done or now > plan.seconds + LONGEST:
                break
            ends = now + 5.0
        course.clients = [one for one in course.clients if one.poll() is None]
        while len(course.clients) < plan.clients and ends - now > 1:
            course.outs.append(folder / f"client-{len(course.outs)}")
            flags = ("--seconds", str(ends - now), "--rate", str(rate), "--seed", str(len(course.outs)))
            command = [sys.executable, "-m", "tests.soak", "--client", course.server.address, str(course.outs[-1])]
            course.clients.append(subprocess.Popen([*command, *flags]))
        harmed_at = time.monotonic()
        if restart_at and now > restart_at[0]:
            restart_at.pop(0)
            course.server.stop()
            course.server.start()
            course.memory.clear()
        elif now > crash_at:
            crash_at += plan.crash_every
            course.recoveries.append(course.server.kill_engine(len(course.recoveries)))
            print(f"{time.monotonic() - begun:.0f} s: engine death {len(course.recoveries)}", file=sys.stderr)
        elif now > kill_at and course.clients:
            kill_at += plan.kill_every
            course.clients[0].kill()
            course.clients[0].wait()
            course.killed += 1
        stood += time.monotonic() - harmed_at
        course.memory.append((time.monotonic() - course.server.started, course.server.megabytes))
        time.sleep(0.2)
    for one in course.clients:
        one.wait(max(DEADLINES) + SLACK + PATIENCE)


def read(outs: list[Path]) -> tuple[dict[str, list[str]], Counter[str], float, list[str]]:
    """What the clients wrote down, their counts, the longest time over a deadline, and errors that must not be.

    A killed one's last line may be cut, and its counts are missing.
    """
    answers: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    worst, surprises = 0.0, list[str]()
    for out in outs:
        for line in out.read_text().splitlines(keepends=True) if out.exists() else ():
            kind, _, rest = line.partition(" ")
            if not line.endswith("\n"):
                continue
            if kind == "whole":
                counts[f"{rest.strip()} whole"] += 1
            elif kind == "counts":
                seen = json.loads(rest)
                counts.update(seen["counts"])
                worst = max(worst, seen["worst_overrun"])
                surprises += seen["surprises"]
            else:
                answers.setdefault(kind, []).append(rest.strip())
    return answers, counts, worst, surprises


def _has_whole(outs: list[Path]) -> bool:
    """Whether clients have had a group and a stream whole so far."""
    counts = read(outs)[1]
    return counts["group whole"] > 0 and counts["stream whole"] > 0


async def ask_again(address: str, answers: dict[str, list[str]], *, quiet: bool) -> tuple[int, int]:
    """How many acknowledged answers a server doesn't have in its cache, and how many differ from what it says now."""
    not_cached = differ = 0
    permits = asyncio.Semaphore(16)
    async with grpc.aio.insecure_channel(address) as channel:
        stub = judger_pb2_grpc.JudgerStub(channel)

        async def one(key: str, given: list[str]) -> None:
            nonlocal not_cached, differ
            async with permits:
                response = await stub.Judge(request(key, quiet=quiet), timeout=120)
            not_cached += response.usage.cached_criteria < len(response.verdicts)
            now = essence(response)
            differ += sum(then != now for then in given)

        await asyncio.gather(*(one(key, given) for key, given in answers.items()))
    return not_cached, differ


def growth(samples: list[tuple[float, float]]) -> dict[str, float]:
    """Resident memory of the server's last life: the median of its last tenth over that of its third tenth.

    The first fifth is not looked at: caches and connections fill up there.
    """
    life = samples[-1][0]
    early = _median([size for at, size in samples if 0.2 * life <= at < 0.3 * life] or [samples[0][1]])
    late = _median([size for at, size in samples if at >= 0.9 * life])
    return {"over_seconds": life, "early_mb": early, "late_mb": late, "growth": late / early - 1}


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0
