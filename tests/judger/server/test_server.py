"""The process around the service: signals, ports, what it refuses to do."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from judger.config import ServeConfig
from judger.engines.base import Outcome, Plan
from judger.engines.scripted import ScriptedEngine
from judger.errors import EngineError, InvalidRequest
from judger.server.process import is_loopback, running
from judger.types import Reason, Unscored
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from tests.judger.schedule.engines import Gated
from tests.ports import free_port
from tests.waiting import until, until_here

SERVE = [sys.executable, "-m", "judger", "serve", "--engine", "scripted", "--port", "0"]


@contextmanager
def served(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`judger serve` in a process of its own, and its address once it serves."""
    with subprocess.Popen([*SERVE, *flags], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if match := re.search(r"serving \S+ on (\S+)", line):
                    yield process, match[1]
                    return
            pytest.fail("the server ended before it served")
        finally:
            process.kill()


def request(*texts: str) -> pb.JudgeRequest:
    return pb.JudgeRequest(report="A report.", criteria=[pb.Criterion(text=text) for text in texts])


def test_a_terminated_server_finishes_running_work_and_exits_with_0() -> None:
    with served() as (process, address), grpc.insecure_channel(address) as channel:
        stub = judger_pb2_grpc.JudgerStub(channel)
        assert stub.Judge(request("[[fully]]"), timeout=30).reward.value == 1.0
        running_call = stub.Judge.future(request("[[slow=1]] [[fully]]"), timeout=30)
        # The call is in the engine when the server says that it has a request in flight.
        until_here(lambda: load(stub) or running_call.done())
        process.send_signal(signal.SIGTERM)
        assert running_call.result().reward.value == 1.0
        assert process.wait(30) == 0


def test_what_is_not_done_within_the_grace_is_unavailable_with_when_to_come_back_and_the_exit_code_is_0() -> None:
    with served("--grace", "0.3") as (process, address), grpc.insecure_channel(address) as channel:
        stub = judger_pb2_grpc.JudgerStub(channel)
        calls = [stub.Judge.future(request(f"[[slow=2.5]] [[fully]] {i}"), timeout=60) for i in range(3)]
        stream = stub.JudgeStream(iter(lambda: request("[[slow=2.5]] stream"), None), timeout=60)
        until_here(lambda: load(stub) >= 4)
        process.send_signal(signal.SIGTERM)
        refused = []
        for call in calls:
            error = call.exception()
            if error is not None:  # one of them may have been in the engine's last batch
                refused.append(retry_delay(error))
        assert len(refused) >= 2
        assert min(refused) > 0
        with pytest.raises(grpc.RpcError) as caught:
            list(stream)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert retry_delay(caught.value) > 0
        assert process.wait(30) == 0


def load(stub: judger_pb2_grpc.JudgerStub) -> int:
    return int(stub.GetJudge(pb.GetJudgeRequest(), timeout=30).load.requests_in_flight)


def retry_delay(error: grpc.RpcError) -> float:
    assert error.code() is grpc.StatusCode.UNAVAILABLE, error
    (details,) = [value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
    info = error_details_pb2.RetryInfo()
    assert status_pb2.Status.FromString(details).details[0].Unpack(info)
    return info.retry_delay.ToNanoseconds() / 1e9


async def test_a_server_that_leaves_takes_nothing_new_and_says_when_to_come_back() -> None:
    engine = Gated()
    engine.gate.set()  # for the warm-up
    manager = running(ServeConfig(engine="scripted", port=0, grace=60), engine)
    server = await manager.__aenter__()
    engine.gate.clear()
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = judger_pb2_grpc.JudgerStub(channel)
        slow = asyncio.ensure_future(stub.Judge(request("[[fully]]")))
        await until(lambda: server.judge.num_in_flight)
        ending = asyncio.ensure_future(manager.__aexit__(None, None, None))
        asked: list[asyncio.Future[pb.JudgeResponse]] = []
        async with asyncio.timeout(30):
            while not any(one.done() for one in asked):  # those that came before its end wait with the first one
                asked.append(asyncio.ensure_future(stub.Judge(request(f"[[fully]] {len(asked)}"))))
                await asyncio.wait(asked, timeout=0.05)
        refused = [one.exception() for one in asked if one.done()]
        assert min(map(retry_delay, refused)) > 0
        engine.gate.set()
        for one in (slow, *(one for one in asked if not one.done())):
            assert (await one).reward.value == 1.0
        await ending


def test_an_idle_server_ends_at_once_on_ctrl_c() -> None:
    with served() as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0  # and not after its grace, which is half a minute


def test_a_taken_port_is_one_line_and_exit_code_2() -> None:
    with served() as (_, address):
        port = address.rpartition(":")[2]
        second = subprocess.run([*SERVE, "--port", port], capture_output=True, text=True, timeout=60)
    assert second.returncode == 2
    assert "it is taken" in second.stderr
    assert "Traceback" not in second.stderr


def test_metrics_are_served_where_a_port_is_set() -> None:
    port = free_port()
    with served("--metrics-port", str(port)) as (_, address), grpc.insecure_channel(address) as channel:
        judger_pb2_grpc.JudgerStub(channel).Judge(request("[[fully]]", "[[unscored=too_long]]"), timeout=30)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
            text = response.read().decode()
    assert 'judger_unscored_total{reason="too_long"} 1.0' in text
    assert 'judger_requests_total{code="OK",method="Judge"} 1.0' in text


async def test_a_server_off_loopback_has_to_be_allowed() -> None:
    with pytest.raises(InvalidRequest, match="allow-remote"):
        async with running(ServeConfig(engine="scripted", host="0.0.0.0", port=0)):
            pass
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "10.0.0.1", "example.org")] == [
        True,
        True,
        True,
        False,
        False,
    ]


async def test_an_engine_without_a_warm_up_verdict_is_never_served() -> None:
    class Mute(ScriptedEngine):
        def run(self, plans: list[Plan]) -> list[list[Outcome]]:  # type: ignore[override]
            return [[Outcome(result=Unscored(Reason.ENGINE_ERROR, "mute"))] for _ in plans]

    with pytest.raises(EngineError, match="mute"):
        async with running(ServeConfig(engine="scripted", port=0), Mute()):
            pytest.fail("it served")


async def test_health_is_serving_after_the_warm_up_and_not_serving_while_the_last_work_ends() -> None:
    answer = health_pb2.HealthCheckResponse
    manager = running(ServeConfig(engine="scripted", port=0, grace=5), ScriptedEngine())
    server = await manager.__aenter__()
    async with grpc.aio.insecure_channel(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="judger.v1.Judger"))
        assert (await watch.read()).status == answer.SERVING
        slow = asyncio.ensure_future(judger_pb2_grpc.JudgerStub(channel).Judge(request("[[slow=0.3]] [[fully]]")))
        await until(lambda: server.judge.num_in_flight)
        ending = asyncio.ensure_future(manager.__aexit__(None, None, None))
        assert (await watch.read()).status == answer.NOT_SERVING
        assert (await slow).reward.value == 1.0
        watch.cancel()
        await ending


def test_a_server_with_a_cache_file_answers_after_its_restart_without_judging_again(tmp_path: Path) -> None:
    asked = request("[[p=0.1,0.2,0.7]]", "[[not]]", "[[unscored=too_long]]")
    answers = []
    for _ in range(2):
        with served("--cache", str(tmp_path / "verdicts")) as (process, address):
            with grpc.insecure_channel(address) as channel:
                answers.append(judger_pb2_grpc.JudgerStub(channel).Judge(asked, timeout=30))
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
    first, again = answers
    assert list(again.verdicts) == list(first.verdicts)
    assert (first.usage.cached_criteria, again.usage.cached_criteria) == (0, 2)
