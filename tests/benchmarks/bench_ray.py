"""What replicas on Ray Serve give. `make bench-ray` runs it; end background work first.

    python -m tests.benchmarks.bench_ray [--seconds 15] [--only throughput|overhead|affinity|head] [--json FILE]

1. Throughput: the scripted engine waits 20 ms for each batch of one case; calls a second with 1 and with 2 replicas.
2. Overhead: the same engine without a wait; calls a second and the latency of one caller, beside a server of its own.
3. Affinity: four replicas of the torch engine at random weights, under the load of a GRPO trainer
   (`tests.benchmarks.affinity`). The share of prompt tokens that were found in a replica's prefix cache, with sessions
   and with replicas at random; each report in a call of its own, and each group in one.
4. Head: a node with replicas and one with the cluster's head (GCS), with and without a Redis behind it. The head dies
   under load and comes back: calls answered and failed meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

import judger.client
from judger.config import ServeConfig
from judger.server.process import running
from judger.types import Judgement
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from tests.benchmarks.affinity import ROLLOUTS, SMALLEST, batches
from tests.cluster.local import Cluster, started
from tests.ports import free_port

WAIT = "[[slow=0.02]] apple"


async def throughput(cluster: Cluster, seconds: float) -> dict[str, Any]:
    """Calls a second by number of replicas."""
    found: dict[str, Any] = {}
    for replicas in (1, 2):
        await cluster.deploy(replicas=replicas, max_batch_tokens=1, cache_memory_mb=0)
        found[f"{replicas} replicas, calls/s"] = await rate(cluster.address, seconds, WAIT)
    found["ratio"] = found["2 replicas, calls/s"] / found["1 replicas, calls/s"]
    return found


async def rate(address: str, seconds: float, criterion: str, *, in_flight: int = 32) -> float:
    """Answers a second of one closed loop, after two seconds to get going."""

    async def endless() -> AsyncIterator[Any]:
        number = 0
        while True:
            yield "q", f"an apple, number {number}, {uuid.uuid4()}", [criterion]
            number += 1

    async with judger.client.connect(address, timeout=60) as judge:
        await judge.wait_ready(60)
        began, counted = time.monotonic() + 2.0, 0
        async for _, answer in judge.judge_stream(endless(), in_flight=in_flight):
            if not isinstance(answer, Judgement):
                raise answer
            now = time.monotonic()
            counted += now >= began
            if now >= began + seconds:
                return counted / (now - began)
    raise AssertionError("the stream has no end")


async def overhead(cluster: Cluster, seconds: float) -> dict[str, Any]:
    """What the hop through Serve costs."""
    found: dict[str, Any] = {}
    await cluster.deploy(replicas=1, cache_memory_mb=0)
    found["Ray Serve"] = await cost(cluster.address, seconds)
    async with running(ServeConfig(engine="scripted", port=0, cache_memory_mb=0)) as server:
        found["a server of its own, in the caller's process"] = await cost(server.address, seconds)
    return found


async def cost(address: str, seconds: float) -> dict[str, float]:
    found = {"calls/s": await rate(address, seconds, "apple")}
    async with judger.client.connect(address, timeout=60) as judge:
        times = []
        for number in range(200):
            began = time.monotonic()
            await judge.judge("q", f"an apple {number}", ["apple"])
            times.append(time.monotonic() - began)
    return found | {"median ms": 1e3 * statistics.median(times), "P99 ms": 1e3 * sorted(times)[197]}


async def affinity(cluster: Cluster, model: Path) -> dict[str, Any]:
    """The share of prompt tokens found in a replica's cache, by what is called and how replicas are chosen."""
    await cluster.deploy(engine="torch", model=str(model), device="cpu", threads=1, replicas=4, cache_memory_mb=0)
    found: dict[str, Any] = {}
    for kind, call in {"Judge, a call a report": one_by_one, "JudgeGroup, a call a group": as_groups}.items():
        shares = {"sessions": 0.0, "at random": 0.0}
        for name in shares:
            before = prefix_tokens(cluster)
            async with grpc.aio.insecure_channel(cluster.address) as channel:
                judge = judger_pb2_grpc.JudgerStub(channel)
                # Reports of its own for each measurement: none may know those of another.
                for groups in batches(f"{kind} {name}"):
                    check(await asyncio.gather(*(call(judge, *group, name) for group in groups)))
            tokens = await told(cluster, before)
            shares[name] = tokens[0] / sum(tokens)
            print(f"{kind}, {name}: {tokens[0]:.0f} of {sum(tokens):.0f} tokens found", file=sys.stderr, flush=True)
        found[kind] = shares | {"ratio": shares["sessions"] / shares["at random"]}
    return found


Answered = list[pb.JudgeResponse]


async def one_by_one(judge: Any, query: str, reports: list[str], rubric: Sequence[str], way: str) -> Answered:
    """Judges a group's reports, each in a call of its own."""
    criteria = [pb.Criterion(text=text) for text in rubric]
    requests = [pb.JudgeRequest(query=query, report=report, criteria=criteria) for report in reports]
    calls = [judge.Judge(request, metadata=sessions(way), timeout=600) for request in requests]
    return list(await asyncio.gather(*calls))


async def as_groups(judge: Any, query: str, reports: list[str], rubric: Sequence[str], way: str) -> Answered:
    """Judges a group in one call."""
    request = pb.JudgeGroupRequest(query=query, reports=reports, criteria=[pb.Criterion(text=text) for text in rubric])
    return [answer async for answer in judge.JudgeGroup(request, metadata=sessions(way), timeout=600)]


def sessions(way: str) -> tuple[tuple[str, str], ...]:
    """Metadata: none, so that the proxy makes the session, or one that no other call has."""
    return () if way == "sessions" else (("session_id", uuid.uuid4().hex),)


def check(groups: list[Answered]) -> None:
    """Raises AssertionError where anything was not judged: it would have no tokens."""
    assert {len(answers) for answers in groups} == {ROLLOUTS}
    for verdict in [verdict for answers in groups for answer in answers for verdict in answer.verdicts]:
        assert verdict.HasField("score"), verdict.unscored


async def told(cluster: Cluster, before: tuple[float, float]) -> list[float]:
    """What has been added to the prefix tokens, once Ray, which gathers them in its own time, tells no more."""
    last: list[float] = []
    async with asyncio.timeout(300):
        while True:
            await asyncio.sleep(20)
            tokens = [after - earlier for after, earlier in zip(prefix_tokens(cluster), before, strict=True)]
            if any(tokens) and tokens == last:
                return tokens
            last = tokens


def prefix_tokens(cluster: Cluster) -> tuple[float, float]:
    """(found, computed), of all replicas that there ever were."""
    with urllib.request.urlopen(f"http://127.0.0.1:{cluster.metrics_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()

    def total(name: str) -> float:
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"ray_judger_{name}{{"))

    return total("prefix_tokens_found"), total("prefix_tokens_computed")


@asynccontextmanager
async def counted(address: str) -> AsyncIterator[list[tuple[float, str]]]:
    """Calls of four callers, without retries, while the block runs: (instant, how it ended)."""
    ended: list[tuple[float, str]] = []
    command = (sys.executable, "-m", "tests.benchmarks.ray_callers", address, WAIT)
    callers = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert callers.stdout is not None
    lines = callers.stdout

    async def read() -> None:
        async for line in lines:
            when, how = json.loads(line)
            ended.append((when, how))

    reading = asyncio.create_task(read())
    try:
        yield ended
    finally:
        callers.kill()
        await callers.wait()
        await reading


async def head(cluster: Cluster, *, down: float) -> dict[str, Any]:
    """The GCS dies and is back after `down` seconds."""
    import ray

    node = ray._private.worker._global_node
    await cluster.deploy(replicas=2)
    async with counted(cluster.address) as ended:
        await asyncio.sleep(5)
        killed = time.monotonic()
        await asyncio.to_thread(node.kill_gcs_server)
        await asyncio.sleep(down)
        began = time.monotonic()
        await asyncio.to_thread(node.start_gcs_server)
        back = time.monotonic()
        await asyncio.sleep(20)

        def between(first: float, last: float) -> dict[str, int]:
            said = [how for when, how in ended if first <= when < last]
            return {how: said.count(how) for how in sorted(set(said))}

        found = {
            "while it is down": between(killed, began),
            "while it starts": between(began, back),
            "the 20 s after": between(back, back + 20),
        }
    try:
        async with asyncio.timeout(60):
            await cluster.deploy(replicas=3)
        found["a new deployment after that"] = {"works": 1}
    except Exception as error:  # noqa: BLE001 - it is what this looks for
        found["a new deployment after that"] = {f"{type(error).__name__}: {str(error)[:150]}": 1}
    return found


async def measured(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All that was asked for."""
    found: dict[str, Any] = {}
    wanted = set(args.only or ("throughput", "overhead", "affinity", "head"))
    if wanted & {"throughput", "overhead", "affinity"}:
        with started() as cluster:
            if "throughput" in wanted:
                found["throughput"] = await throughput(cluster, args.seconds)
            if "overhead" in wanted:
                found["overhead"] = await overhead(cluster, args.seconds)
            if "affinity" in wanted:
                from tests.judger.engines.generative import tiny

                found["affinity"] = await affinity(cluster, Path(tiny.save(folder / "tiny-qwen3", **SMALLEST)))
    if "head" in wanted and shutil.which("redis-server") is not None:
        from tests.judger.cache.test_cache_redis import redis_server

        port = free_port()
        with redis_server(folder / "redis", port), started(redis=f"127.0.0.1:{port}") as cluster:
            found["head, with Redis"] = await head(cluster, down=15)
    return found


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="of one measurement")
    parser.add_argument("--only", action="append", choices=("throughput", "overhead", "affinity", "head"))
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measured(args, Path(folder)))
    text = json.dumps(found, indent=2)
    print(text)
    if args.json is not None:
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
