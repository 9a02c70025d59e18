"""A soak: mixed load beyond capacity with cancels, short deadlines, killed clients, engine deaths and server restarts.

    python -m tests.soak [--minutes 30] [--json FILE]           `make soak`; tests/judger/test_soak.py runs a short form

The server is `judger serve` in a process of its own, with a cache file, ended by SIGTERM and started again on the same
port. Clients are processes too, of which some are killed. Each answer that a client acknowledged is written down, and
afterwards held against a quiet re-run on a fresh server. What must not be: a call that ends later than its deadline
and a little, an index of a group missing or twice, a verdict that differs, memory that grows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc

from judger.types import Lane
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc

SLACK = 5.0
"""Seconds that a call may take beyond its deadline on a crowded machine before it counts as a hang."""
SCRIPTS = ("[[fully]]", "[[partially]]", "[[not]]", "[[p=0.2,0.3,0.5]]", "the market grows", "risk and cost")


def request(number: int) -> pb.JudgeRequest:
    """Request `number`: always the same, so that a quiet re-run can be compared with it."""
    chance = random.Random(number)
    criteria = [
        pb.Criterion(id=f"c{i}", text=f"{chance.choice(SCRIPTS)} {i}", weight=chance.choice((1.0, 2.0, -1.0)))
        for i in range(chance.randint(1, 8))
    ]
    words = " ".join(
        chance.choices(("market", "risk", "cost", "grows", "and", "the", "plan"), k=chance.randint(5, 400))
    )
    return pb.JudgeRequest(
        request_id=str(number), report=f"{number} {words}", criteria=criteria, lane=chance.choice(list(Lane)).name
    )


def essence(response: pb.JudgeResponse) -> str:
    """What must not differ: the verdicts and the reward, bit by bit."""
    kept = pb.JudgeResponse(request_id=response.request_id, verdicts=response.verdicts, reward=response.reward)
    return kept.SerializeToString(deterministic=True).hex()


def is_whole(response: pb.JudgeResponse) -> bool:
    return all(verdict.HasField("score") for verdict in response.verdicts)


async def client(address: str, seed: int, seconds: float, out: Path) -> None:
    """One client process: sends until its time is up, and writes a line for each acknowledged answer."""
    chance = random.Random(seed)
    ends = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    options = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.initial_reconnect_backoff_ms", 100)]
    with out.open("a", buffering=1) as lines:

        async def one(stub: Any) -> None:
            number, deadline = chance.randrange(2000), chance.choice((0.05, 0.5, 3.0, 10.0))
            started = time.monotonic()
            kind = chance.random()
            try:
                if kind < 0.1:  # a group: the same rubric, several reports
                    first = request(number)
                    reports = [f"{first.report} {i}" for i in range(4)]
                    group = pb.JudgeGroupRequest(request_id="g", reports=reports, criteria=first.criteria)
                    got = [response.index async for response in stub.JudgeGroup(group, timeout=deadline)]
                    counts["group " + ("whole" if sorted(got) == [0, 1, 2, 3] else "WRONG")] += 1
                elif kind < 0.2:  # somebody leaves
                    call = stub.Judge(request(number), timeout=deadline)
                    await asyncio.sleep(chance.random() * 0.1)
                    call.cancel()
                    counts["left"] += 1
                elif kind < 0.21:  # the engine dies of it
                    text = f"[[die]] {chance.random()}"
                    await stub.Judge(pb.JudgeRequest(report="r", criteria=[pb.Criterion(text=text)]), timeout=deadline)
                    counts["killed the engine"] += 1
                else:
                    response = await stub.Judge(request(number), timeout=deadline)
                    counts["answered" if is_whole(response) else "unscored"] += 1
                    if is_whole(response):
                        lines.write(f"{number} {essence(response)}\n")
            except grpc.aio.AioRpcError as error:
                counts[error.code().name] += 1
            if time.monotonic() - started > deadline + SLACK:
                counts["HANG"] += 1

        async with grpc.aio.insecure_channel(address, options=options) as channel:
            stub = judger_pb2_grpc.JudgerStub(channel)

            async def worker() -> None:
                while time.monotonic() < ends:
                    await one(stub)
                    await asyncio.sleep(chance.random() * 0.02)

            await asyncio.gather(*(worker() for _ in range(8)))
        lines.write("counts " + json.dumps(counts) + "\n")


class Server:
    """`judger serve` on one port, again and again."""

    def __init__(self, cache: Path) -> None:
        self.cache, self.port, self.codes = cache, 0, list[int]()
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "judger", "serve", "--engine", "scripted", "--port", str(self.port)]
        command += ["--cache", str(self.cache), "--grace", "2", "--max-queued-tokens", "20000", "--log-level", "error"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if match := re.search(r"serving \S+ on \S+:(\d+)", line):
                self.port = int(match[1])
                break
        else:
            raise SystemExit("the server ended before it served")
        # Read on, or a full pipe would stop it.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)
        self.process.stderr.close()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.codes.append(self.process.wait(60))
        self.drain.wait(60)

    @property
    def megabytes(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def soak(seconds: float, clients: int, restarts: int) -> dict[str, Any]:
    """Runs it, and says what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "verdicts")
        address = f"127.0.0.1:{server.port}"
        ends, killed, memory = time.monotonic() + seconds, 0, [server.megabytes]
        outs: list[Path] = []
        running: list[subprocess.Popen[bytes]] = []
        restart_at = [time.monotonic() + seconds * (i + 1) / (restarts + 1) for i in range(restarts)]
        kill_at = time.monotonic() + seconds / 3
        while (now := time.monotonic()) < ends:
            while len(running) < clients:
                outs.append(Path(folder) / f"client-{len(outs)}")
                command = [sys.executable, "-m", "tests.soak", "--client", address, str(outs[-1])]
                running.append(
                    subprocess.Popen([*command, "--seconds", str(max(2.0, ends - now)), "--seed", str(len(outs))])
                )
            if restart_at and now > restart_at[0]:
                restart_at.pop(0)
                server.stop()
                server.start()
            if now > kill_at:
                kill_at += max(10.0, seconds / 3)
                running[0].kill()
                killed += 1
            memory.append(server.megabytes)
            running = [one for one in running if one.poll() is None]
            time.sleep(0.5)
        for one in running:
            one.wait(120)
        server.stop()
        answers, counts = read(outs)
        quiet = Server(Path(folder) / "quiet")
        wrong = compare(f"127.0.0.1:{quiet.port}", answers)
        quiet.stop()
    half = memory[len(memory) // 2 :]
    return {
        "seconds": seconds,
        "acknowledged": sum(map(len, answers.values())),
        "distinct": len(answers),
        "wrong": wrong,
        "counts": dict(counts),
        "clients_killed": killed,
        "exit_codes": server.codes,
        "memory_mb": {"first": memory[0], "middle": half[0], "last": memory[-1]},
    }


def read(outs: list[Path]) -> tuple[dict[int, list[str]], Counter[str]]:
    """What the clients wrote down; a killed one's last line may be cut."""
    answers: dict[int, list[str]] = {}
    counts: Counter[str] = Counter()
    for out in outs:
        for line in out.read_text().splitlines(keepends=True) if out.exists() else ():
            kind, _, rest = line.partition(" ")
            if not line.endswith("\n"):
                continue
            if kind == "counts":
                counts.update(json.loads(rest))
            else:
                answers.setdefault(int(kind), []).append(rest.strip())
    return answers, counts


def compare(address: str, answers: dict[int, list[str]]) -> int:
    """How many acknowledged answers differ from a quiet server's."""
    with grpc.insecure_channel(address) as channel:
        stub = judger_pb2_grpc.JudgerStub(channel)
        return sum(
            given != essence(stub.Judge(request(number), timeout=60))
            for number, all_given in answers.items()
            for given in all_given
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--restarts", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--client", nargs=2, metavar=("ADDRESS", "OUT"), help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.client:
        asyncio.run(client(args.client[0], args.seed, args.seconds, Path(args.client[1])))
        return
    figures = soak(args.seconds or args.minutes * 60, args.clients, args.restarts)
    print(json.dumps(figures, indent=1))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))
    faults = [kind for kind in ("HANG", "group WRONG") if figures["counts"].get(kind)]
    if figures["wrong"] or faults or set(figures["exit_codes"]) != {0}:
        raise SystemExit(f"the soak found faults: {figures['wrong']} wrong verdicts, {faults}")


if __name__ == "__main__":
    main()
