"""What replicas are for: one that dies or is replaced costs nobody an answer, and a report goes where it is known."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

import judger.client
from judger.errors import InvalidRequest
from judger.types import Judgement
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from tests.cluster.local import ROOT, Cluster, processes, replicas
from tests.ports import free_port

Answers = list[Judgement]


@asynccontextmanager
async def load(cluster: Cluster, *, callers: int = 8, least: int = 60) -> AsyncIterator[Answers]:
    """Callers who ask one after the other while the block runs, half of them over streams; all are answered."""
    answers: Answers = []
    is_over = asyncio.Event()

    def case(caller: int, number: int) -> tuple[str, str, list[str]]:
        return "q", f"caller {caller}, number {number}: apple", ["apple", "[[slow=0.02]] pear"]

    async def calling(caller: int) -> None:
        async with judger.client.connect(cluster.address, timeout=60) as judge:
            number = 0
            while not is_over.is_set():
                answers.append(await judge.judge(*case(caller, number)))
                number += 1

    async def streaming(caller: int) -> None:
        async def cases() -> AsyncIterator[Any]:
            number = 0
            while not is_over.is_set():
                yield case(caller, number)
                number += 1

        async with judger.client.connect(cluster.address, timeout=60) as judge:
            async for _, answer in judge.judge_stream(cases(), in_flight=4):
                assert isinstance(answer, Judgement), answer
                answers.append(answer)

    async with asyncio.timeout(200), asyncio.TaskGroup() as group:
        for caller in range(callers):
            group.create_task(streaming(caller) if caller % 2 else calling(caller))
        try:
            await more(answers, least)
            yield answers
            await more(answers, least)
        finally:
            is_over.set()


async def more(answers: Answers, count: int) -> None:
    """Returns when there are that many more."""
    wanted = len(answers) + count
    while len(answers) < wanted:  # noqa: ASYNC110 - it is others who append
        await asyncio.sleep(0.05)


async def test_a_replica_that_is_killed_costs_no_answer_and_no_caller(cluster: Cluster) -> None:
    await cluster.deploy(replicas=2)
    async with load(cluster) as answers:
        before = replicas()
        assert len(before) == 2
        victim = next(iter(before))
        os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(100):
            while len(now := replicas()) < 2 or victim in now:  # noqa: ASYNC110 - another process's affair
                await asyncio.sleep(0.2)
    assert {answer.reward.value for answer in answers} == {0.5}


async def test_callers_who_leave_their_streams_leave_the_proxy_whole(cluster: Cluster) -> None:
    """gRPC's context of a call that has ended reads freed memory when it is asked who called."""
    await cluster.deploy(replicas=1)
    before = processes("ray::ProxyActor")
    assert len(before) == 1

    async def endless(name: str) -> AsyncIterator[Any]:
        number = 0
        while True:
            yield "q", f"{name}, number {number}", ["[[slow=0.01]] apple"]
            number += 1

    async def leaving(name: str) -> None:
        async with judger.client.connect(cluster.address, timeout=60) as judge:
            async for index, answer in judge.judge_stream(endless(name), in_flight=64):
                assert isinstance(answer, Judgement)
                if index > 20:
                    return

    for turn in range(5):
        await asyncio.gather(*(leaving(f"turn {turn}, caller {caller}") for caller in range(4)))
    assert processes("ray::ProxyActor") == before


async def test_an_update_of_all_replicas_fails_nobody(cluster: Cluster) -> None:
    await cluster.deploy(replicas=2)
    async with load(cluster) as answers:
        before = set(replicas())
        await cluster.deploy(replicas=2, max_batch_tokens=8192)
        assert not before & set(replicas())
    assert {answer.reward.value for answer in answers} == {0.5}


async def test_a_report_comes_back_to_the_replica_that_knows_it(cluster: Cluster) -> None:
    """No cache is shared, so that only the replica that judged a report knows its verdicts."""
    await cluster.deploy(replicas=4, load_bound=100)
    async with grpc.aio.insecure_channel(cluster.address) as channel:
        judge = judger_pb2_grpc.JudgerStub(channel)

        async def known(kind: str, session: Callable[[], str | None]) -> int:
            """Criteria of 60 reports that their second call found known."""

            async def ask(number: int) -> int:
                texts = ("apple", "pear")
                request = pb.JudgeRequest(
                    report=f"{kind} report {number}", criteria=[pb.Criterion(text=text) for text in texts]
                )
                chosen = session()
                answer = await judge.Judge(request, metadata=() if chosen is None else (("session_id", chosen),))
                return int(answer.usage.cached_criteria)

            assert sum([await ask(number) for number in range(60)]) == 0
            return sum([await ask(number) for number in range(60)])

        assert await known("our", lambda: None) == 120
        assert await known("scattered", lambda: uuid.uuid4().hex) < 60  # 30 on average


async def test_a_group_comes_back_to_the_replica_that_knows_it_whatever_the_rubric(cluster: Cluster) -> None:
    """A reward function's rubric after another's: the third has the criteria of both, and finds them all judged."""
    await cluster.deploy(replicas=4, load_bound=100)
    known = 0
    async with judger.client.connect(cluster.address, timeout=60) as judge:
        for rubric in (["apple"], ["pear"], ["apple", "pear"]):
            for number in range(12):
                reports = [f"group {number}, report {report}" for report in range(2)]
                answers = await judge.judge_group_all("fruit?", reports, rubric)
                known += sum(one.usage.cached_criteria for one in answers if isinstance(one, Judgement))
    assert known == 12 * 2 * 2


def test_a_replica_has_room_up_to_the_bound() -> None:
    from judger.cluster.router import room

    assert room([0, 0, 0, 0], 1.5) == 1
    assert room([4, 4, 4, 3], 1.5) == 6
    assert room([8, 0], 1.0) == 5


@pytest.fixture
def redis_url(tmp_path: Path) -> Any:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    from tests.judger.cache.test_cache_redis import redis_server

    port = free_port()
    with redis_server(tmp_path / "redis", port):
        yield f"redis://127.0.0.1:{port}"


async def test_replicas_share_what_they_know_in_redis(cluster: Cluster, redis_url: str) -> None:
    await cluster.deploy(replicas=3, cache_memory_mb=0, cache_redis=redis_url, load_bound=0)
    cases = [("q", f"report {number}", ["apple", "pear"]) for number in range(30)]
    async with judger.client.connect(cluster.address, timeout=60) as judge:
        await judge.judge_many(cases)
        again = await judge.judge_many(cases)
    assert sum(one.usage.cached_criteria for one in again if isinstance(one, Judgement)) > 50


async def test_ray_has_the_figures_of_every_replica(cluster: Cluster) -> None:
    await cluster.deploy(replicas=2)
    async with judger.client.connect(cluster.address, timeout=60) as judge:
        await judge.judge_many([("q", f"report {number}", ["apple"]) for number in range(20)])

    def total() -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{cluster.metrics_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        ours = [line for line in lines if line.startswith("ray_judger_criteria_total{") and 'source="judged"' in line]
        return sum(float(line.rpartition(" ")[2]) for line in ours)

    async with asyncio.timeout(60):
        while await asyncio.to_thread(total) < 20:  # noqa: ASYNC110 - Ray gathers them in its own time
            await asyncio.sleep(1)


async def test_queued_tokens_bring_more_replicas(cluster: Cluster) -> None:
    await cluster.deploy(max_replicas=2, tokens_per_replica=10, max_batch_tokens=1, scaling_delay=0.0)
    async with judger.client.connect(cluster.address, timeout=120) as judge:
        work = asyncio.create_task(
            judge.judge_many([("q", f"{'word ' * 40}{number}", ["[[slow=0.2]]"]) for number in range(300)])
        )
        async with asyncio.timeout(100):
            while len(replicas()) < 2:  # noqa: ASYNC110 - another process's affair
                await asyncio.sleep(0.2)
        work.cancel()


async def test_the_command_serves_on_a_cluster_and_leaves_it_as_it_was(cluster: Cluster) -> None:
    await cluster.deploy()
    await cluster.remove()
    port = cluster.address.rpartition(":")[2]
    command = [sys.executable, "-m", "judger", "serve", "--ray", "--ray-address", cluster.ray_address, "--port", port]
    command += ["--engine", "scripted", "--replicas", "2", "--cpus-per-replica", "0.1", "--allow-remote"]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    async with asyncio.timeout(120):
        said = [line async for line in until_served(process.stderr)]
        assert said[-1].endswith(f"on Ray, port {port}\n")
        async with judger.client.connect(cluster.address, timeout=60) as judge:
            assert (await judge.judge("q", "an apple", ["apple"])).reward.value == 1.0
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == 0
    assert not replicas()
    await cluster.deploy()  # Serve itself goes on
    refused = await asyncio.create_subprocess_exec(*command, "--port", "1", stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(120):
        _, said_at_last = await refused.communicate()
    assert refused.returncode == 2
    assert f"gRPC on port {port}".encode() in said_at_last
    assert replicas()  # which are not its own


async def until_served(lines: asyncio.StreamReader) -> AsyncIterator[str]:
    async for line in lines:
        yield line.decode()
        if b"judger: serving" in line:
            return


async def test_the_config_for_serve_deploy_is_one_and_its_application_runs(cluster: Cluster) -> None:
    from ray.serve.context import _get_global_client
    from ray.serve.schema import ServeDeploySchema

    config = yaml.safe_load((ROOT / "docs/deploy/serve.yaml").read_text())
    ServeDeploySchema.model_validate(config)
    config["applications"][0]["args"] = {"engine": "scripted", "replicas": 1, "cpus_per_replica": 0.1}
    await cluster.remove()
    schema = ServeDeploySchema.model_validate(config)
    await asyncio.to_thread(lambda: _get_global_client().deploy_apps(schema, _blocking=True))
    async with judger.client.connect(cluster.address, timeout=60) as judge:
        await judge.wait_ready(60)
        assert (await judge.judge("q", "an apple", ["apple"])).reward.value == 1.0


def test_a_key_file_that_cannot_be_is_told_before_anything_starts() -> None:
    from judger.cluster.app import build
    from judger.cluster.config import ClusterConfig

    with pytest.raises(InvalidRequest, match="fence_key_file"):
        build(ClusterConfig(engine="torch", model="m", fence_key_file=Path("/nowhere/at/all")))
