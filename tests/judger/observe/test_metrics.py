"""Every metric that the dashboard and the docs name is there, and counts what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import grpc
from prometheus_client import generate_latest

from judger.server.process import Running
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc

DOCS = Path(__file__).parents[3] / "docs"
ASKED = pb.JudgeRequest(
    report="A report.",
    criteria=[
        pb.Criterion(text="[[fully]]"),
        pb.Criterion(text="[[partially]]", weight=-1.0),
        pb.Criterion(text="[[unscored=too_long]]"),
    ],
)


async def test_the_dashboard_and_the_docs_name_metrics_that_exist_and_the_dashboard_all_of_them(
    scripted_server: Running,
) -> None:
    async with grpc.aio.insecure_channel(scripted_server.address) as channel:
        await judger_pb2_grpc.JudgerStub(channel).Judge(ASKED)
    exposed = generate_latest(scripted_server.metrics.registry).decode()
    # Counters without a sample yet have their type line only.
    kinds = dict(re.findall(r"^# TYPE (judger_\w+) (\w+)$", exposed, re.MULTILINE))
    names = {name for name in kinds if not name.endswith("_created")}
    board = " ".join(
        target["expr"]
        for panel in json.loads((DOCS / "grafana.json").read_text())["panels"]
        for target in panel["targets"]
    )
    shown = {name.removesuffix("_bucket") for name in re.findall(r"judger_\w+", board)}
    assert shown == names
    assert set(re.findall(r"`(judger_\w+)`", (DOCS / "service.md").read_text())) <= names


async def test_metrics_tell_where_a_verdict_came_from_and_which_way_it_went(scripted_server: Running) -> None:
    async with grpc.aio.insecure_channel(scripted_server.address) as channel:
        stub = judger_pb2_grpc.JudgerStub(channel)
        await stub.Judge(ASKED)
        await stub.Judge(ASKED)
    value = scripted_server.metrics.registry.get_sample_value
    assert value("judger_criteria_total", {"source": "judged"}) == 4
    assert value("judger_criteria_total", {"source": "cached"}) == 2
    assert value("judger_satisfied_total", {"sign": "negative"}) == 2
    assert value("judger_verdicts_total", {"sign": "positive", "label": "fully_satisfied"}) == 2
    assert value("judger_unscored_total", {"reason": "too_long"}) == 2
    assert value("judger_stage_seconds_count", {"stage": "request"}) == 2
    assert value("judger_batch_tokens_count") == 2  # the unscored one is asked again
    assert value("judger_batch_tokens_sum") > 0
    assert value("judger_engine_up") == 1
    assert value("judger_held_tokens", {"lane": "training"}) == 0
