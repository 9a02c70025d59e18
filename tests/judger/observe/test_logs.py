"""The log of a server: a line for each request, for people or machines, without what was judged."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import pytest

from judger.observe.logs import BackgroundHandler, JsonLines, PlainLines
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc

SECRET = "a secret report"
ASKED = pb.JudgeRequest(
    request_id="mine",
    query="a secret query",
    report=SECRET,
    criteria=[pb.Criterion(text="[[fully]] secret"), pb.Criterion(text="[[unscored=too_long]]")],
    lane="EVALUATION",
)


@contextmanager
def serving(*flags: str) -> Iterator[tuple[str, list[str]]]:
    """`judger serve`: its address, and once it has ended the lines it wrote after that."""
    command = [sys.executable, "-m", "judger", "serve", "--engine", "scripted", "--port", "0", "--grace", "1", *flags]
    lines: list[str] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            address = next(m[1] for m in (re.search(r"serving \S+ on (\S+)", line) for line in process.stderr) if m)
            yield address, lines
        finally:
            process.terminate()
            lines += process.stderr.read().splitlines()
            assert process.wait(30) == 0


def of_requests(lines: list[str]) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, lines) if line["logger"] == "judger.observe.requestlog"]


def test_every_request_is_a_json_line_with_what_it_took_and_without_its_texts() -> None:
    with serving("--log-format", "json") as (address, lines), grpc.insecure_channel(address) as channel:
        stub = judger_pb2_grpc.JudgerStub(channel)
        stub.Judge(ASKED)
        list(stub.JudgeGroup(pb.JudgeGroupRequest(request_id="g", reports=["a", "b"], criteria=ASKED.criteria)))
        list(stub.JudgeStream(iter([ASKED, pb.JudgeRequest(request_id="empty")])))
        with pytest.raises(grpc.RpcError):
            stub.Judge(pb.JudgeRequest(report=SECRET))
        judge_id = stub.GetJudge(pb.GetJudgeRequest()).judge_id
    assert "secret" not in "".join(lines)
    judged, group, *streamed, refused = of_requests(lines)
    assert judged["method"] == "Judge"
    assert (judged["request_id"], judged["status"], judged["lane"]) == ("mine", "OK", "evaluation")
    assert (judged["cases"], judged["criteria"], judged["unscored"]) == (1, 2, {"too_long": 1})
    assert judged["judge_id"] == judge_id
    assert judged["seconds"] >= judged["engine_seconds"] >= 0
    assert (group["request_id"], group["cases"], group["criteria"]) == ("g", 2, 4)
    assert {(one["request_id"], one["status"]) for one in streamed} == {("mine", "OK"), ("empty", "INVALID_ARGUMENT")}
    assert refused["status"] == "INVALID_ARGUMENT"
    assert refused["reason"].startswith("criteria")
    assert len(refused["request_id"]) == 16  # its own one, as the caller gave none


def test_texts_are_logged_where_that_is_asked_for_and_levels_hold() -> None:
    with serving("--log-format", "json", "--log-texts") as (address, lines), grpc.insecure_channel(address) as channel:
        judger_pb2_grpc.JudgerStub(channel).Judge(ASKED)
    (line,) = of_requests(lines)
    assert line["texts"] == [
        {"query": "a secret query", "report": SECRET, "criteria": [one.text for one in ASKED.criteria]}
    ]
    with serving("--log-level", "warning") as (address, lines), grpc.insecure_channel(address) as channel:
        judger_pb2_grpc.JudgerStub(channel).Judge(ASKED)
    assert lines == []


def test_a_log_that_nobody_reads_holds_up_no_request() -> None:
    command = [sys.executable, "-m", "judger", "serve", "--engine", "scripted", "--port", "0", "--grace", "1"]
    read, write = os.pipe()
    with subprocess.Popen(command, stderr=write) as process:
        os.close(write)
        said = b""
        while b"serving" not in said or not said.endswith(b"\n"):
            said += os.read(read, 1000)
        address = said.split()[-1].decode()
        with grpc.insecure_channel(address) as channel:
            stub = judger_pb2_grpc.JudgerStub(channel)
            for _ in range(500):  # of which a pipe holds about 200
                assert stub.Judge(ASKED, timeout=30).verdicts
        process.terminate()
        assert process.wait(30) == 0
    os.close(read)


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("judger.x", logging.WARNING, __file__, 1, message, None, None)
    made.fields = fields
    return made


def lines_until(read: int, last: str) -> list[str]:
    """What is written to a pipe, up to a line that ends in `last`."""
    said = b""
    while not said.endswith(f"{last}\n".encode()):
        said += os.read(read, 65536)
    return said.decode().splitlines()


def ended(handler: BackgroundHandler) -> None:
    """It has written what it had, however long that takes: `stop` waits for two seconds."""
    handler.stop()
    handler._thread.join(60)
    assert not handler._thread.is_alive()


def test_a_pipe_that_somebody_made_non_blocking_loses_no_line_and_does_not_end_the_log() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    handler = BackgroundHandler(write, PlainLines())
    for number in range(3000):  # of which a pipe holds about 1,000
        handler.handle(record(f"{number} {'x' * 50}"))
    handler.handle(record("last"))
    lines = lines_until(read, "last")
    ended(handler)
    assert len(lines) == 3001
    os.close(read)
    os.close(write)


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("not to be said")

    __repr__ = __str__


@pytest.mark.parametrize("formatter", [PlainLines(), JsonLines()])
def test_a_bad_record_costs_its_own_line_and_names_where_it_came_from(formatter: logging.Formatter) -> None:
    read, write = os.pipe()
    handler = BackgroundHandler(write, formatter)
    missing = logging.LogRecord("judger.x", logging.INFO, __file__, 17, "%d of %d", (1,), None)
    for bad in (missing, record("fine", value=Unspeakable())):
        handler.handle(bad)
        handler.handle(record("next"))
    lines = [os.read(read, 65536)]
    ended(handler)
    os.set_blocking(read, False)
    with suppress(BlockingIOError):
        lines.append(os.read(read, 65536))
    said = b"".join(lines).decode().splitlines()
    assert ["a bad record" in line for line in said] == [True, False, True, False]
    assert "line 17: TypeError" in said[0]
    os.close(read)
    os.close(write)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_costs_its_lines_which_are_counted_and_the_log_goes_on() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    read, write = os.pipe()
    handler = BackgroundHandler(full, PlainLines())
    handler.handle(record("lost"))
    while not handler._num_dropped:
        assert handler._thread.is_alive()
    os.dup2(write, full)  # there is room again
    handler.handle(record("kept"))
    assert lines_until(read, "dropped_before=1") == ["judger: warning: kept dropped_before=1"]
    handler.stop()
    for descriptor in (full, read, write):
        os.close(descriptor)


def test_a_plain_line_is_one_line_whatever_a_caller_named_itself() -> None:
    line = PlainLines().format(record("Judge OK", request_id="a\njudger: error: forged", seconds=0.123456))
    assert line == 'judger: warning: Judge OK request_id="a\\njudger: error: forged" seconds=0.1235'
    assert "\n" not in JsonLines().format(record("a\nb", request_id="c\nd"))
