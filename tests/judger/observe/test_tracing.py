"""Traces reach a collector over OTLP, joined to the caller's and to the log."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.errors import InvalidRequest
from judger.observe.logs import JsonLines
from judger.server.process import running
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc

pytest.importorskip("opentelemetry.instrumentation.grpc", reason="needs the [otel] extra")
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc

TRACE = "0af7651916cd43dd8448eb211c80319c"
METADATA = (("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),)
ASKED = pb.JudgeRequest(request_id="mine", report="A report.", criteria=[pb.Criterion(text="[[fully]]")])


class Collector(otlp_grpc.TraceServiceServicer):
    """Keeps the spans it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[Any] = []

    def Export(self, request: Any, context: Any) -> Any:
        for resource in request.resource_spans:
            self.resources.append(resource.resource)
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return otlp.ExportTraceServiceResponse()


async def test_calls_and_their_cases_are_spans_of_the_callers_trace_and_the_log_names_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    collector, server = Collector(), grpc.server(ThreadPoolExecutor(2))
    otlp_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    config = ServeConfig(engine="scripted", port=0, grace=1, otlp=f"http://127.0.0.1:{port}")
    with caplog.at_level(logging.INFO, "judger"):
        async with running(config, ScriptedEngine()) as judger, grpc.aio.insecure_channel(judger.address) as channel:
            stub = judger_pb2_grpc.JudgerStub(channel)
            await stub.Judge(ASKED, metadata=METADATA)
            group = pb.JudgeGroupRequest(reports=["a", "b"], criteria=ASKED.criteria)
            assert len([one async for one in stub.JudgeGroup(group, metadata=METADATA)]) == 2
            assert len([one async for one in stub.JudgeStream(iter([ASKED]), metadata=METADATA)]) == 1
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Judge(pb.JudgeRequest(), metadata=METADATA)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    server.stop(0).wait()
    names = sorted(span.name for span in collector.spans)
    calls = ["/judger.v1.Judger/Judge"] * 2 + ["/judger.v1.Judger/JudgeGroup", "/judger.v1.Judger/JudgeStream"]
    assert names == [*calls, *["judge case"] * 4]
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    by_id = {span.span_id: span.name for span in collector.spans}
    assert all(by_id[span.parent_span_id] in calls for span in collector.spans if span.name == "judge case")
    assert "judger" in str(collector.resources[0])
    lines = [json.loads(JsonLines().format(one)) for one in caplog.records if one.name == "judger.observe.requestlog"]
    assert {line["trace_id"] for line in lines} == {TRACE}
    assert {bytes.fromhex(line["span_id"]) for line in lines} <= by_id.keys()
    assert "A report" not in str(collector.spans)


async def test_a_collector_that_is_away_harms_no_request() -> None:
    config = ServeConfig(engine="scripted", port=0, grace=1, otlp="http://127.0.0.1:1")
    async with running(config, ScriptedEngine()) as judger, grpc.aio.insecure_channel(judger.address) as channel:
        assert (await judger_pb2_grpc.JudgerStub(channel).Judge(ASKED)).reward.value == 1.0


async def test_an_endpoint_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="otlp"):
        async with running(ServeConfig(engine="scripted", port=0, otlp="localhost"), ScriptedEngine()):
            pass
