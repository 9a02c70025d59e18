"""The contract on Ray Serve is that of a server of its own: answers, errors, deadlines, lanes, tokens, health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import judger.client
from judger.client.aio import Client
from judger.errors import JudgerError, Overloaded, Unauthenticated, Unavailable
from judger.server.callers import new_token
from judger.server.process import Running
from judger.types import Judgement
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from judger.wire.status import DETAILS_TRAILER, error_from_status
from tests.cluster.local import Cluster
from tests.conftest import scripted_server  # noqa: F401

SERVING = health_pb2.HealthCheckResponse.SERVING
RUBRIC = ["apple", {"text": "pear", "weight": 2}, {"text": "[[p=0.2,0.3,0.5]]", "weight": -1}]
REPORTS = [f"an apple{' and a pear' * (number % 2)}, number {number}" for number in range(12)]


def connect(address: str, **settings: Any) -> Client:
    return judger.client.connect(address, timeout=60, **settings)


async def everything(address: str) -> list[Any]:
    """What each of the calls says of the same work."""
    async with connect(address) as judge:
        await judge.wait_ready(30)
        said = [await judge.judge("fruit?", report, RUBRIC) for report in REPORTS[:4]]
        said += await judge.judge_group_all("fruit?", [*REPORTS, "", "x" * 3_000_000], RUBRIC)
        said += await judge.judge_many([("fruit?", report, RUBRIC) for report in REPORTS])
        comparison = await judge.compare("fruit?", REPORTS[0], REPORTS[1], RUBRIC)
        info = await judge.get_judge()
        return [*map(told, said), comparison.preference, comparison.difference, info.judge_id, info.limits]


def told(answer: Judgement | JudgerError) -> Any:
    return repr(answer) if isinstance(answer, JudgerError) else (answer.verdicts, answer.reward, answer.judge_id)


async def test_one_and_four_replicas_answer_as_a_server_of_its_own(cluster: Cluster, scripted_server: Running) -> None:  # noqa: F811
    expected = await everything(scripted_server.address)
    for replicas in (1, 4):
        await cluster.deploy(replicas=replicas)
        assert await everything(cluster.address) == expected


REFUSED: list[tuple[str, Any]] = [
    ("Judge", pb.JudgeRequest(report="", criteria=[pb.Criterion(text="a")])),
    ("Judge", pb.JudgeRequest(report="r", criteria=[pb.Criterion(text="a")], judge_id="another")),
    ("Judge", pb.JudgeRequest(report="r", criteria=[pb.Criterion(text="a")], explain=pb.Explain.ALWAYS)),
    ("JudgeGroup", pb.JudgeGroupRequest(reports=["r"], criteria=[pb.Criterion(text="a")], judge_id="another")),
    ("JudgeGroup", pb.JudgeGroupRequest(reports=["r"])),
    ("Compare", pb.CompareRequest(report_a="a", report_b="b")),
]


async def status_of(address: str, method: str, request: Any) -> JudgerError:
    """What a call without a client of ours is refused with; its details are there."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = getattr(judger_pb2_grpc.JudgerStub(channel), method)(request, timeout=30)
        try:
            if hasattr(call, "__aiter__"):
                answers = [answer async for answer in call]
                assert not answers
            else:
                await call
        except grpc.aio.AioRpcError as error:
            details = dict(error.trailing_metadata())[DETAILS_TRAILER]
            return error_from_status(error.code().name, error.details(), details)
    raise AssertionError("it was not refused")


async def test_an_error_keeps_its_code_its_words_and_its_details(cluster: Cluster, scripted_server: Running) -> None:  # noqa: F811
    await cluster.deploy()
    for method, request in REFUSED:
        expected = await status_of(scripted_server.address, method, request)
        assert isinstance(expected, JudgerError)
        found = await status_of(cluster.address, method, request)
        assert (repr(found), vars(found)) == (repr(expected), vars(expected))
    async with grpc.aio.insecure_channel(cluster.address) as channel:
        judge = channel.unary_unary("/judger.v1.Judger/Judge")
        with pytest.raises(grpc.aio.AioRpcError, match="can't be read") as raised:
            await judge(b"\xff")
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.aio.AioRpcError) as raised:  # the proxies' own way to the replicas is nobody else's
            await channel.unary_unary("/judger.v1.Judger/JudgeOfStream")(b"")
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


SLOW = [pb.Criterion(text="[[slow=1]] a")]


async def test_a_full_queue_says_when_to_come_back_and_a_stream_is_held_back(cluster: Cluster) -> None:
    await cluster.deploy(max_queued_tokens=1, max_batch_tokens=1, cache_memory_mb=0)
    async with connect(cluster.address) as judge:
        slow = [("q", f"r {number}", [f"[[slow=0.3]] {number}"]) for number in range(4)]
        busy = asyncio.create_task(judge.judge("q", "r", ["[[slow=5]]"]))
        await held(judge)
        for method, request in (
            ("Judge", pb.JudgeRequest(report="r", criteria=SLOW)),
            ("JudgeGroup", pb.JudgeGroupRequest(reports=["r", "s"], criteria=SLOW)),
            ("Compare", pb.CompareRequest(report_a="r", report_b="s", criteria=SLOW)),
        ):
            error = await status_of(cluster.address, method, request)
            assert isinstance(error, Overloaded)
            assert error.retry_after is not None
        assert all(isinstance(one, Judgement) for one in await judge.judge_many(slow))
        assert isinstance(await busy, Judgement)
        answers = await asyncio.gather(*(judge.judge(*case) for case in slow))  # the client comes back as it was told
        assert [answer.reward.value for answer in answers] == [0.0] * len(slow)


async def held(judge: Client) -> None:
    await until(judge, lambda load: load.requests_in_flight > 0)


async def until(judge: Client, holds: Callable[[Any], bool]) -> None:
    """Returns when that is true of the load."""
    async with asyncio.timeout(60):
        while not holds((await judge.get_judge()).load):  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)


async def test_a_deadline_is_known_to_the_replica(cluster: Cluster) -> None:
    await cluster.deploy(max_batch_tokens=1, cache_memory_mb=0)
    async with connect(cluster.address) as judge:
        busy = asyncio.create_task(judge.judge("q", "r", ["[[slow=2]]"]))
        await held(judge)
        request = pb.JudgeRequest(report="r", criteria=SLOW)
        async with grpc.aio.insecure_channel(cluster.address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await judger_pb2_grpc.JudgerStub(channel).Judge(request, timeout=1.0)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        # A judge's words, in time: gRPC's own would have no details.
        assert DETAILS_TRAILER in dict(raised.value.trailing_metadata())
        await busy


async def test_a_caller_who_leaves_takes_their_work_along(cluster: Cluster) -> None:
    await cluster.deploy(max_batch_tokens=1, cache_memory_mb=0)
    async with connect(cluster.address) as judge:
        busy = asyncio.create_task(judge.judge("q", "r", ["[[slow=1]]"]))
        await held(judge)
        waiting = [asyncio.create_task(judge.judge("q", f"r{number}", ["[[slow=5]]"])) for number in range(5)]
        await until(judge, lambda load: load.requests_in_flight == 6)
        for task in waiting:
            task.cancel()
        await until(judge, lambda load: load.requests_in_flight <= 1)
        await busy


async def test_lanes_share_a_replica_by_their_weights(cluster: Cluster) -> None:
    await cluster.deploy(max_batch_tokens=1, cache_memory_mb=0)
    ended: list[str] = []

    async def one(judge: Client, lane: str, number: int) -> None:
        await judge.judge("q", f"{lane} {number}", ["[[slow=0.05]]"], lane=lane)
        ended.append(lane)

    async with connect(cluster.address) as judge:
        busy = asyncio.create_task(judge.judge("q", "r", ["[[slow=1]]"]))
        await held(judge)
        bulk = [asyncio.create_task(one(judge, "bulk", number)) for number in range(20)]
        await until(judge, lambda load: load.requests_in_flight == 21)
        training = [asyncio.create_task(one(judge, "training", number)) for number in range(12)]
        await asyncio.gather(busy, *bulk, *training)
    assert ended[:16].count("training") >= 11  # 6 of 7 are theirs, though they came last


async def test_tokens_are_asked_for(cluster: Cluster, tmp_path: Path) -> None:
    token, table = new_token("trainer")
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(table)
    await cluster.deploy(tokens=tokens)
    case = ("q", "an apple", ["apple"])
    async with connect(cluster.address, token=token) as judge:
        assert (await judge.judge(*case)).reward.value == 1.0
    async with connect(cluster.address) as judge:
        await judge.wait_ready(60)
        for call in (judge.judge(*case), judge.judge_group_all("q", ["a"], ["b"]), judge.get_judge()):
            with pytest.raises(Unauthenticated):
                await call
        assert [type(one) for one in await judge.judge_many([case])] == [Unauthenticated]


async def test_health_is_that_of_the_replicas(cluster: Cluster) -> None:
    await cluster.deploy()
    async with grpc.aio.insecure_channel(cluster.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "judger.v1.Judger"):
            assert (await health.Check(health_pb2.HealthCheckRequest(service=service))).status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await health.Check(health_pb2.HealthCheckRequest(service="nobody"))
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND
        watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        seen = aiter(watch)
        assert (await anext(seen)).status == SERVING
        await cluster.remove()
        assert (await anext(seen)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await cluster.deploy()
        assert (await anext(seen)).status == SERVING
        watch.cancel()


async def test_where_nobody_judges_a_call_is_told_so(cluster: Cluster) -> None:
    await cluster.deploy()
    await cluster.remove()
    async with judger.client.connect(cluster.address, timeout=20, max_attempts=1) as judge:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await judge.judge("q", "r", ["a"])
        assert time.monotonic() - began < 10


async def test_a_large_report_passes_whole(cluster: Cluster) -> None:
    await cluster.deploy()
    async with connect(cluster.address) as judge:
        report = "word " * 400_000 + "apple"
        assert (await judge.judge("q", report, ["apple"])).reward.value == 1.0
        many = await judge.judge_group_all("q", [f"{number} {report}" for number in range(8)], ["apple"])
        assert [one.reward.value for one in many if isinstance(one, Judgement)] == [1.0] * 8
