"""The shared tier: what one server judged the other knows, and a Redis that fails costs nobody a verdict."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from judger.cache import redis as cache_redis
from judger.cache.codec import encode
from judger.cache.redis import CacheRedis, check_redis
from judger.cache.verdicts import VerdictCache
from judger.config import ServeConfig
from judger.engines.base import VERDICT_TIER, Outcome
from judger.engines.scripted import ScriptedEngine
from judger.errors import InvalidRequest
from judger.judge import Judge
from judger.schedule.admission import Ticket
from judger.server.process import Running, running
from judger.types import Case, Criterion, Options, Probabilities
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from tests.judger.cache.test_cache import STRANGE
from tests.ports import free_port
from tests.waiting import PATIENCE, until_here

redis = pytest.importorskip("redis", reason="needs the [redis] extra")
needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server (a Debian package)")

CASE = Case(id="a", query="q", report="r", criteria=(Criterion(id="c", text="one"), Criterion(id="d", text="two")))
OUTCOMES = [Outcome(result=Probabilities(0.1, 0.2, 0.7), prompt_tokens=3), Outcome(result=Probabilities(1.0, 0.0, 0.0))]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a crowded machine a Redis that works may take longer than a server would wait."""
    monkeypatch.setattr(cache_redis, "TIMEOUT", 10.0)


@contextmanager
def redis_server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A redis-server that listens; ended with the block."""
    folder.mkdir(exist_ok=True)
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until_here(lambda: is_answered(port))
        yield process
    finally:
        process.kill()
        process.wait()


def is_answered(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def request(*texts: str) -> pb.JudgeRequest:
    return pb.JudgeRequest(report="A report.", criteria=[pb.Criterion(text=text) for text in texts])


async def judge(server: Running, asked: pb.JudgeRequest) -> pb.JudgeResponse:
    async with grpc.aio.insecure_channel(server.address) as channel:
        response: pb.JudgeResponse = await judger_pb2_grpc.JudgerStub(channel).Judge(asked, timeout=30)
    return response


@needs_redis
@pytest.mark.usefixtures("patient")
async def test_what_one_server_judged_the_other_knows_bit_by_bit(tmp_path: Path) -> None:
    port = free_port()
    config = ServeConfig(engine="scripted", port=0, grace=1, cache_redis=f"redis://127.0.0.1:{port}/0")
    with redis_server(tmp_path, port):
        async with running(config, ScriptedEngine()) as first, running(config, engine := ScriptedEngine()) as second:
            told = await judge(first, request("[[p=0.1,0.2,0.7]]", "[[fully]]", "[[unscored=too_long]]"))
            engine.batches.clear()
            async with asyncio.timeout(PATIENCE):
                asked = request("[[p=0.1,0.2,0.7]]", "[[fully]]")
                while (again := await judge(second, asked)).usage.cached_criteria < 2:
                    await asyncio.sleep(0.02)  # it is written behind the answer's back
                    second.judge.cache = VerdictCache(second.judge.judge_id, shared=second.judge.cache.shared)
            assert again.verdicts == told.verdicts[:2]
            assert not (await judge(second, request("[[unscored=too_long]]"))).usage.cached_criteria


@needs_redis
@pytest.mark.usefixtures("patient")
async def test_a_redis_that_dies_costs_no_verdict_is_logged_once_and_is_used_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_redis, "FIRST_BACKOFF", 0.05)
    monkeypatch.setattr(cache_redis, "LONGEST_BACKOFF", 0.1)
    port = free_port()
    config = ServeConfig(engine="scripted", port=0, grace=1, cache_redis=f"redis://:secret@127.0.0.1:{port}")
    async with running(config, ScriptedEngine()) as server:
        value = server.metrics.registry.get_sample_value
        for number in range(30):
            assert (await judge(server, request(f"[[fully]] {number}"))).reward.value == 1.0
        assert value("judger_cache_shared_up") == 0
        assert value("judger_cache_faults_total", {"kind": "redis_failed"}) >= 1
        said = [one.getMessage() for one in caplog.records if one.name == "judger.cache.redis"]
        assert len(said) == 1
        assert "secret" not in caplog.text
    config = config.model_copy(update={"cache_redis": f"redis://127.0.0.1:{port}"})
    caplog.clear()
    async with running(config, ScriptedEngine()) as server:
        await judge(server, request("[[fully]] away"))
        with redis_server(tmp_path, port):
            async with asyncio.timeout(PATIENCE):
                number = 0
                while not server.judge.cache.shared.is_up:
                    number += 1
                    assert (await judge(server, request(f"[[fully]] {number}"))).reward.value == 1.0
        assert [one.levelno for one in caplog.records if one.name == "judger.cache.redis"] == [
            logging.ERROR,
            logging.WARNING,
        ]


async def test_a_redis_that_hangs_delays_a_case_once_and_then_nobody() -> None:
    faults = list[str]()
    with socket.socket() as silent:  # takes connections and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        shared = CacheRedis(f"redis://127.0.0.1:{silent.getsockname()[1]}", faults.append)
        started = time.monotonic()
        assert await shared.read(b"a", [b"b"]) == {}
        assert time.monotonic() - started < 40 * cache_redis.TIMEOUT
        shared._closed_until += 60  # for the test, longer than it takes on any machine
        assert [await shared.read(b"a", [b"b"]) for _ in range(50)] == [{}] * 50
        assert faults == ["redis_failed"]
        await shared.close()


@needs_redis
@pytest.mark.usefixtures("patient")
async def test_what_others_wrote_there_is_a_miss(tmp_path: Path) -> None:
    port, faults = free_port(), list[str]()
    with redis_server(tmp_path, port), redis.Redis(port=port) as client:
        shared = CacheRedis(f"redis://127.0.0.1:{port}", faults.append)
        cache = VerdictCache("judge", shared=shared)
        cache.keep(CASE, VERDICT_TIER, OUTCOMES)
        await shared.written()
        fresh = VerdictCache("judge", shared=shared)
        assert [one.result for one in (await fresh.look_up(CASE, VERDICT_TIER)).values()] == [
            one.result for one in OUTCOMES
        ]
        (key,) = client.keys()
        field = client.hkeys(key)[0]
        other = encode({b"another statement": OUTCOMES[0]})
        strange = [body.replace(b'"00"', b'"' + field.hex().encode() + b'"') for body in STRANGE]
        for body in strange:
            client.hset(key, field, body)
            faults.clear()
            assert len(await VerdictCache("judge", shared=shared).look_up(CASE, VERDICT_TIER)) == 1, body
            assert faults == ["redis_garbled"], body
        client.hset(key, field, other)
        assert len(await VerdictCache("judge", shared=shared).look_up(CASE, VERDICT_TIER)) == 1
        await cache.close()


@needs_redis
@pytest.mark.usefixtures("patient")
async def test_a_key_of_another_kind_is_a_miss_and_no_outage(tmp_path: Path) -> None:
    port, faults = free_port(), list[str]()
    with redis_server(tmp_path, port), redis.Redis(port=port) as client:
        shared = CacheRedis(f"redis://127.0.0.1:{port}", faults.append)
        cache = VerdictCache("judge", shared=shared)
        client.set(b"judger:1:" + cache._address(CASE, VERDICT_TIER), "somebody else's")
        assert await cache.look_up(CASE, VERDICT_TIER) == {}
        cache.keep(CASE, VERDICT_TIER, OUTCOMES)
        await shared.written()
        other = replace(CASE, report="another")
        cache.keep(other, VERDICT_TIER, OUTCOMES)
        await shared.written()
        assert len(await VerdictCache("judge", shared=shared).look_up(other, VERDICT_TIER)) == 2
        assert shared.is_up
        assert set(faults) == {"redis_garbled"}
        await cache.close()


@needs_redis
@pytest.mark.usefixtures("patient")
async def test_a_group_of_any_size_is_looked_up_in_few_exchanges_and_over_two_connections(tmp_path: Path) -> None:
    """65 readers at once were more than the pool had connections, and that looked like an outage."""
    port, faults = free_port(), list[str]()
    cases = [replace(CASE, report=f"report {number}") for number in range(300)]
    with redis_server(tmp_path, port), redis.Redis(port=port) as client:
        before = client.info("clients")["connected_clients"]
        shared = CacheRedis(f"redis://127.0.0.1:{port}", faults.append)
        cache = VerdictCache("judge", shared=shared)
        for one in cases:
            cache.keep(one, VERDICT_TIER, OUTCOMES)
        await shared.written()
        client.config_resetstat()
        judge = Judge(ScriptedEngine(), cache=lambda judge_id: VerdictCache("judge", shared=shared))
        tickets = await judge.admit(cases, Options(), Ticket())
        known = await asyncio.gather(*(judge.cache.look_up(one, VERDICT_TIER) for one in cases))
        assert {len(one) for one in known} == {2}
        assert len(tickets) == 300
        assert not any(judge.admission.held.values())  # what is known takes no room
        assert faults == []
        assert shared.is_up
        assert client.info("clients")["connected_clients"] <= before + 2
        assert client.info("commandstats")["cmdstat_hmget"]["calls"] == 300  # memory had the second look
        assert client.info("stats")["total_reads_processed"] < 100
        await judge.close()


@needs_redis
@pytest.mark.usefixtures("patient")
async def test_more_writes_than_connections_are_all_written(tmp_path: Path) -> None:
    port, faults = free_port(), list[str]()
    with redis_server(tmp_path, port), redis.Redis(port=port) as client:
        shared = CacheRedis(f"redis://127.0.0.1:{port}", faults.append)
        for number in range(500):
            shared.write(number.to_bytes(24, "big"), {b"statement": b"body"})
        await shared.written()
        assert client.dbsize() == 500
        assert faults == []
        await shared.close()


async def test_a_hundred_readers_of_a_redis_that_is_away_fail_once() -> None:
    faults = list[str]()
    shared = CacheRedis(f"redis://127.0.0.1:{free_port()}", faults.append)
    assert await asyncio.gather(*(shared.read(b"a", [b"b"]) for _ in range(100))) == [{}] * 100
    assert faults == ["redis_failed"]
    await shared.close()


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="redis://"):
        check_redis(url)
