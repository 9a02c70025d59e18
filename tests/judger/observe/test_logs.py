"""The log of a server: a line for each request, for people or machines, without what was judged."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from judger.observe.logs import JsonLines, PlainLines
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


def test_a_plain_line_is_one_line_whatever_a_caller_named_itself() -> None:
    line = PlainLines().format(record("Judge OK", request_id="a\njudger: error: forged", seconds=0.123456))
    assert line == 'judger: warning: Judge OK request_id="a\\njudger: error: forged" seconds=0.1235'
    assert "\n" not in JsonLines().format(record("a\nb", request_id="c\nd"))
