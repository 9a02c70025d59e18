"""The RPCs over a real loopback server, spoken to in plain protobuf."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from judger.config import ServeConfig
from judger.engines.base import Outcome, Plan
from judger.engines.scripted import ScriptedEngine
from judger.errors import InvalidRequest, JudgerError, Unavailable
from judger.server.process import SERVICE, Running, running
from judger.types import Probabilities, Unscored
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc
from judger.wire.status import error_from_status


@pytest.fixture
async def channel(scripted_server: Running) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(scripted_server.address, options=options) as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return judger_pb2_grpc.JudgerStub(channel)


def request(*texts: str, **fields: Any) -> pb.JudgeRequest:
    criteria = [pb.Criterion(id=f"c{i}", text=text) for i, text in enumerate(texts or ("[[fully]]",))]
    return pb.JudgeRequest(**{"request_id": "r1", "report": "A report.", "criteria": criteria, **fields})


def violation(error: grpc.aio.AioRpcError) -> error_details_pb2.BadRequest.FieldViolation:
    (details,) = [value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
    bad = error_details_pb2.BadRequest()
    assert status_pb2.Status.FromString(details).details[0].Unpack(bad)
    return bad.field_violations[0]


async def test_judge_answers_with_verdicts_reward_and_identity(stub: Any) -> None:
    response = await stub.Judge(request("[[fully]]", "[[partially]]", "[[unscored=deadline]]", allow_unscored=True))
    labels = [verdict.score.label for verdict in response.verdicts]
    assert labels == [pb.Score.FULLY_SATISFIED, pb.Score.PARTIALLY_SATISFIED, pb.Score.UNSPECIFIED]
    assert response.verdicts[2].unscored.reason == pb.Unscored.DEADLINE
    assert response.reward.value == 0.5
    assert response.request_id == "r1"
    assert response.judge_id.startswith("scripted-")


async def test_an_unscored_criterion_leaves_the_reward_without_a_value_on_the_wire(stub: Any) -> None:
    response = await stub.Judge(request("[[fully]]", "[[unscored=unparsable]]"))
    assert not response.reward.HasField("value")
    assert not response.reward.HasField("raw")
    assert response.reward.positive_weight == 2.0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"report": ""}, "report"),
        ({"report": " \n"}, "report"),
        ({"report": "x" * 3_000_000}, "report"),
        ({"criteria": []}, "criteria"),
        ({"criteria": [pb.Criterion(id=str(i), text="t") for i in range(10_000)]}, "criteria"),
        ({"criteria": [pb.Criterion(id="a", text="t", weight=float("nan"))]}, "criteria[0].weight"),
        ({"criteria": [pb.Criterion(id="a", text="t", weight=0.0)]}, "criteria[0].weight"),
        ({"criteria": [pb.Criterion(id="a", text=" ")]}, "criteria[0].text"),
        ({"criteria": [pb.Criterion(id="a", text="t"), pb.Criterion(id="a", text="u")]}, "criteria[1].id"),
        ({"criteria": [pb.Criterion(id="a", text="t", role=pb.Criterion.NEGATIVE, weight=1)]}, "criteria[0].weight"),
        ({"criteria": [pb.Criterion(id="a", text="t", fatal=True)]}, "criteria[0].fatal"),
        ({"criteria": [pb.Criterion(id="a", text="t", role=17)]}, "criteria[0].role"),
        ({"mapping": 99}, "mapping"),
        ({"lane": 99}, "lane"),
        ({"explain_margin": 2.0}, "explain_margin"),
        ({"trials": 1000}, "trials"),
    ],
)
async def test_a_bad_request_is_refused_with_its_field_and_the_next_one_is_served(
    stub: Any, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Judge(request(**fields))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violation(caught.value).field == field
    assert (await stub.Judge(request())).reward.value == 1.0


async def test_a_pin_to_another_judge_is_failed_precondition(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Judge(request(judge_id="mini-123"))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    own = (await stub.GetJudge(pb.GetJudgeRequest())).judge_id
    assert (await stub.Judge(request(judge_id=own))).judge_id == own


async def test_rationales_of_an_engine_without_them_are_unimplemented(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Judge(request(explain="ALWAYS"))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_passed_deadline_is_deadline_exceeded_and_the_server_lives_on(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Judge(request("[[slow=0.5]]"), timeout=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (await stub.Judge(request())).reward.value == 1.0


async def test_an_engine_crash_is_an_unscored_criterion_and_not_an_error(stub: Any) -> None:
    response = await stub.Judge(request("[[crash]]"))
    assert response.verdicts[0].unscored.reason == pb.Unscored.ENGINE_ERROR
    assert not response.reward.HasField("value")


async def test_a_group_answers_each_report_under_its_index(stub: Any) -> None:
    group = pb.JudgeGroupRequest(
        request_id="g",
        reports=[f"report {i} alpha" if i % 2 else f"report {i}" for i in range(8)],
        criteria=[pb.Criterion(text="alpha")],
    )
    responses = [response async for response in stub.JudgeGroup(group)]
    assert sorted(response.index for response in responses) == list(range(8))
    assert {response.index: response.reward.value for response in responses} == {i: float(i % 2) for i in range(8)}
    assert {response.request_id for response in responses} == {"g"}


async def test_a_report_that_is_refused_is_an_error_in_its_place_and_its_group_is_judged(stub: Any) -> None:
    reports = ["alpha", "", "x" * 3_000_000, " \n", "alpha"]
    group = pb.JudgeGroupRequest(request_id="g", reports=reports, criteria=[pb.Criterion(text="alpha")])
    found = {response.index: response async for response in stub.JudgeGroup(group)}
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert (found[0].reward.value, found[4].reward.value) == (1.0, 1.0)
    for index in (1, 2, 3):
        assert found[index].request_id == "g"
        assert not found[index].verdicts
        assert not found[index].reward.HasField("value")
        error = error_from_status(found[index].error.code, found[index].error.message, found[index].error)
        assert isinstance(error, InvalidRequest)
        assert error.field == f"reports[{index}]"


async def test_a_group_of_refused_reports_alone_costs_no_work(stub: Any, scripted_server: Running) -> None:
    engine = scripted_server.judge.engine
    assert isinstance(engine, ScriptedEngine)
    before = len(engine.batches)
    group = pb.JudgeGroupRequest(reports=["", " "], criteria=[pb.Criterion(text="alpha")])
    assert sorted([response.index async for response in stub.JudgeGroup(group) if response.HasField("error")]) == [0, 1]
    assert len(engine.batches) == before


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"reports": []}, "reports"),
        ({"reports": ["r"] * 1025}, "reports"),
        ({"criteria": []}, "criteria"),
        ({"criteria": [pb.Criterion(text=" ")]}, "criteria[0].text"),
        ({"query": "x" * 300_000}, "query"),
        ({"request_id": "x" * 2000}, "request_id"),
        ({"trials": 1000}, "trials"),
    ],
)
async def test_what_a_group_shares_is_refused_with_the_group(stub: Any, fields: dict[str, Any], field: str) -> None:
    group = pb.JudgeGroupRequest(**{"reports": ["", "fine"], "criteria": [pb.Criterion(text="alpha")], **fields})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [response async for response in stub.JudgeGroup(group)]
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violation(caught.value).field == field


async def test_a_stream_answers_every_request_and_a_bad_one_does_not_end_it(stub: Any) -> None:
    async def requests() -> AsyncIterator[pb.JudgeRequest]:
        for i in range(200):
            yield request("[[fully]]", request_id=str(i), report="" if i == 50 else f"report {i}")

    responses = {response.index: response async for response in stub.JudgeStream(requests())}
    assert sorted(responses) == list(range(200))
    assert responses[50].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert not responses[50].verdicts
    assert all(response.request_id == str(index) for index, response in responses.items())
    assert all(response.reward.value == 1.0 for index, response in responses.items() if index != 50)


async def test_a_stream_whose_reader_stalls_is_not_read_to_its_end(stub: Any, scripted_server: Running) -> None:
    """Flow control: what has not been answered bounds what is judged."""
    engine = scripted_server.judge.engine
    assert isinstance(engine, ScriptedEngine)
    before = sum(cases for cases, _ in engine.batches)
    sent = 0

    async def requests() -> AsyncIterator[pb.JudgeRequest]:
        nonlocal sent
        for i in range(5000):
            # A response repeats the criterion's id: 16 KB each, so the transport's buffers are small beside the stream.
            yield request(criteria=[pb.Criterion(id="x" * 16_000, text="[[fully]]")], report=f"report {i}")
            sent += 1

    call = stub.JudgeStream(requests())
    await call.read()
    unchanged = 0
    previous = -1
    async with asyncio.timeout(60):
        while unchanged < 50:
            await asyncio.sleep(0.01)
            now = sum(cases for cases, _ in engine.batches)
            unchanged, previous = (unchanged + 1, now) if now == previous else (0, now)
    judged = previous - before
    call.cancel()
    assert judged < 2500
    assert sent < 5000


async def test_compare_judges_both_reports_and_says_which_earns_more(stub: Any) -> None:
    compare = pb.CompareRequest(
        request_id="x",
        report_a="alpha beta",
        report_b="alpha",
        criteria=[pb.Criterion(text="alpha"), pb.Criterion(text="beta")],
    )
    response = await stub.Compare(compare)
    assert response.preference == pb.CompareResponse.A
    assert response.difference == 0.5
    assert (response.a.reward.value, response.b.reward.value) == (1.0, 0.5)
    compare.report_b = "beta alpha"
    assert (await stub.Compare(compare)).preference == pb.CompareResponse.TIE


async def test_compare_with_an_unscored_criterion_gives_no_preference(stub: Any) -> None:
    compare = pb.CompareRequest(report_a="a", report_b="b", criteria=[pb.Criterion(text="[[unscored=deadline]]")])
    response = await stub.Compare(compare)
    assert response.preference == pb.CompareResponse.UNSPECIFIED
    assert not response.HasField("difference")


async def test_compare_without_criteria_is_unimplemented_where_the_engine_has_no_pairwise_prompt(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Compare(pb.CompareRequest(report_a="a", report_b="b"))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_get_judge_states_the_limits(stub: Any) -> None:
    info = await stub.GetJudge(pb.GetJudgeRequest())
    assert (info.engine, info.limits.report_bytes, info.limits.criteria) == ("scripted", 2 * 2**20, 512)
    assert info.limits.message_bytes == 64 * 2**20
    assert info.calibration.temperature == 1.0


async def test_health_serves_once_a_warm_up_verdict_has_succeeded(channel: grpc.aio.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", SERVICE):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_lists_the_service(channel: grpc.aio.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = await anext(aiter(stub.ServerReflectionInfo(iter([asked]))))
    assert SERVICE in {service.name for service in answer.list_services_response.service}


async def test_bytes_that_are_no_message_are_refused_and_the_next_request_is_served(
    channel: grpc.aio.Channel, stub: Any
) -> None:
    raw = channel.unary_unary("/judger.v1.Judger/Judge")
    for garbage in (b"\xff\xff\xff", b"\x1a\x02\xff\xfe"):
        with pytest.raises(grpc.aio.AioRpcError):
            await raw(garbage)
    assert (await stub.Judge(request())).reward.value == 1.0


async def test_a_group_that_loses_its_judge_half_way_is_unavailable_so_that_the_client_may_retry(
    stub: Any, scripted_server: Running
) -> None:
    group = pb.JudgeGroupRequest(
        reports=["one", "two"], criteria=[pb.Criterion(text="[[slow=0.3]]"), pb.Criterion(text="[[fully]]")]
    )
    call = stub.JudgeGroup(group)
    reading = asyncio.ensure_future(call.read())
    while not scripted_server.judge.num_in_flight:  # noqa: ASYNC110 - no event tells: the loop turns until it is so
        await asyncio.sleep(0)
    await scripted_server.judge.work.close()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reading
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_refused_request_is_gone_with_its_answer_and_waits_for_no_garbage_collector(stub: Any) -> None:
    calls, refused = 30, pb.JudgeRequest(report="A report.", criteria=[pb.Criterion(text=" ")])
    gc.collect()
    gc.disable()
    try:
        for _ in range(calls):
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.Judge(refused)
        left = gc.collect()
    finally:
        gc.enable()
    assert left < 15 * calls  # gRPC's own are five a call; the frames of a raised abort would be fifty more


CUT = "cut in mid-emoji \ud83d"


class Cutting(ScriptedEngine):
    """Says half a character in its reasons and details."""

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        return [
            [replace(one, rationale=CUT, result=cut(one.result)) for one in outcomes] for outcomes in super().run(plans)
        ]


def cut(result: Probabilities | Unscored) -> Probabilities | Unscored:
    return replace(result, detail=CUT) if isinstance(result, Unscored) else result


async def test_half_a_character_in_what_a_model_wrote_is_replaced_and_loses_nothing() -> None:
    async with (
        running(ServeConfig(engine="scripted", port=0, grace=1), Cutting()) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub = judger_pb2_grpc.JudgerStub(channel)
        texts = ("[[fully]]", "[[unscored=unparsable]]")
        group = pb.JudgeGroupRequest(reports=["a", "b"], criteria=request(*texts).criteria)
        told = [
            await stub.Judge(request(*texts)),
            *[one async for one in stub.JudgeGroup(group)],
            *[one async for one in stub.JudgeStream(iter([request(*texts, report="c"), request(*texts, report="d")]))],
        ]
        assert len(told) == 5
        for response in told:
            fully, unscored = response.verdicts
            assert fully.score.satisfied
            assert fully.rationale == unscored.unscored.detail == "cut in mid-emoji \ufffd"


class Strange(ScriptedEngine):
    """Gives what no engine may give: a rationale that is no text, where a report says so."""

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        return [
            [replace(one, rationale=["secret"]) if plan.case.report.startswith("odd") else one for one in outcomes]  # type: ignore[arg-type]
            for plan, outcomes in zip(plans, super().run(plans), strict=True)
        ]


async def test_a_fault_of_our_own_costs_the_case_that_meets_it_and_no_sibling(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        running(ServeConfig(engine="scripted", port=0, grace=1, cache_memory_mb=0), Strange()) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub = judger_pb2_grpc.JudgerStub(channel)
        group = pb.JudgeGroupRequest(reports=["one", "odd", "two"], criteria=request().criteria)
        streamed = iter([request(report=report) for report in ("one", "odd", "two")])
        for answers in (stub.JudgeGroup(group), stub.JudgeStream(streamed)):
            told = {one.index: one async for one in answers}
            assert [told[i].reward.HasField("value") for i in range(3)] == [True, False, True]
            lost = told[1].verdicts[0].unscored
            assert lost.reason == pb.Unscored.ENGINE_ERROR
            assert "AttributeError" in lost.detail or "TypeError" in lost.detail
            assert "secret" not in lost.detail
        assert "a fault of this server's own" in caplog.text


HALF = b"\xed\xa0\xbd"  # what is left of U+1F600 where a text was cut in UTF-16 and written as UTF-8


@pytest.mark.parametrize("bad", [b"\x0a\x03" + HALF, b"\xff\xff\xff", b"\x1a\x7fshort"])
async def test_a_message_that_is_none_is_refused_and_ends_no_stream(channel: grpc.aio.Channel, bad: bytes) -> None:
    good = request().SerializeToString()
    refused = grpc.StatusCode.INVALID_ARGUMENT
    read = pb.JudgeResponse.FromString
    stream = channel.stream_stream("/judger.v1.Judger/JudgeStream", response_deserializer=read)
    told = {one.index: one async for one in stream(iter([good, bad, good]))}
    assert [told[i].reward.value for i in (0, 2)] == [1.0, 1.0]
    assert told[1].error.code == refused.value[0]
    for method in ("Judge", "Compare"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"/judger.v1.Judger/{method}")(bad)
        assert caught.value.code() is refused
        assert violation(caught.value).field == "request"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(channel.unary_stream("/judger.v1.Judger/JudgeGroup")(bad)))
    assert caught.value.code() is refused


async def test_when_to_come_back_is_said_only_where_that_is_before_the_deadline(
    stub: Any, scripted_server: Running
) -> None:
    async def error(seconds: float | None) -> JudgerError:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Judge(request(), timeout=seconds)
        details = dict(caught.value.trailing_metadata()).get("grpc-status-details-bin")
        return error_from_status(caught.value.code().name, caught.value.details(), details)

    keeper = scripted_server.judge.work.keeper
    keeper._back_at = time.monotonic() + 60.0  # as while an engine is being loaded
    for seconds, is_told in ((None, True), (600.0, True), (20.0, False)):
        away = await error(seconds)
        assert isinstance(away, Unavailable)
        assert (away.retry_after is not None) is is_told
    requests = [request(report="A report.") for _ in range(3)]
    call = stub.JudgeStream(iter(requests), timeout=20.0)
    errors = [response.error async for response in call]
    assert [list(one.details) for one in errors] == [[]] * 3  # no RetryInfo in a stream either
    keeper._back_at = None
    assert (await stub.Judge(request())).reward.value == 1.0
