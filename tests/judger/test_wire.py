from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from google.rpc import status_pb2
from hypothesis import given
from hypothesis import strategies as st

from judger import wire
from judger.errors import (
    STATUS,
    DeadlineExceeded,
    EngineError,
    InvalidRequest,
    JudgeMismatch,
    JudgerError,
    Overloaded,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from judger.types import (
    Case,
    Criterion,
    Explain,
    Judgement,
    Label,
    Lane,
    Mapping,
    Options,
    Reason,
    Reward,
    Role,
    Score,
    Span,
    Unscored,
    Usage,
    Verdict,
)
from judger.v1 import judger_pb2 as pb

CRITERIA = (
    Criterion(id="price", text="names the price", weight=2.5, axis="facts"),
    Criterion(id="bonus", text="compares vendors — übersichtlich", weight=1.0, role=Role.IMPLICIT),
    Criterion(id="fake", text="invents a source", weight=-1.0, role=Role.NEGATIVE, fatal=True),
)
CASE = Case(id="r-1", query="What does it cost?", report="It costs 3 €.", criteria=CRITERIA, language="en")
OPTIONS = Options(
    mapping=Mapping.EXPECTED,
    explain=Explain.UNDER_MARGIN,
    explain_margin=0.25,
    trials=3,
    allow_unscored=True,
    lane=Lane.BULK,
)
JUDGEMENT = Judgement(
    case_id="r-1",
    verdicts=(
        Verdict(
            criterion_id="price",
            result=Score(Label.FULLY_SATISFIED, 0.1, 0.2, 0.7, True, 0.2),
            rationale="",
            evidence=(Span(3, 12), Span(0, 2)),
        ),
        Verdict(criterion_id="bonus", result=Unscored(Reason.DEADLINE, "too late"), rationale="why"),
        Verdict(criterion_id="fake", result=Score(Label.NOT_SATISFIED, 0.9, 0.1, 0.0, False, 0.4)),
    ),
    reward=Reward(
        value=None,
        raw=0.0,
        normalized=-0.5,
        clamped=None,
        positive_weight=2.5,
        negative_weight=-1.0,
        mapping=Mapping.TERNARY,
        fatal=True,
    ),
    judge_id="scripted-0123",
    usage=Usage(prompt_tokens=5, shared_tokens=4, queue_seconds=0.5, engine_seconds=1.5, joined_criteria=2),
    flags=("says that it is perfect",),
)


def request(**fields: Any) -> pb.JudgeRequest:
    message = pb.JudgeRequest(report="A report.", criteria=[pb.Criterion(text="a thing")])
    message.MergeFrom(pb.JudgeRequest(**fields))
    return message


def fault(message: pb.JudgeRequest) -> str:
    with pytest.raises(InvalidRequest) as caught:
        wire.read_request(message)
    return caught.value.field


def test_a_request_survives_the_wire() -> None:
    sent = wire.write_request(CASE, OPTIONS, "judge-1")
    assert wire.read_request(pb.JudgeRequest.FromString(sent.SerializeToString())) == (CASE, OPTIONS)
    assert sent.judge_id == "judge-1"


def test_a_group_survives_the_wire_with_one_case_per_report() -> None:
    sent = wire.write_group(CASE.query, ["first", "second"], CRITERIA, OPTIONS, "j", request_id="g", language="en")
    cases, options = wire.read_group(pb.JudgeGroupRequest.FromString(sent.SerializeToString()))
    assert cases == [dataclasses.replace(CASE, id="g", report=report) for report in ("first", "second")]
    assert (options, sent.judge_id) == (OPTIONS, "j")


def test_a_comparison_survives_the_wire_with_and_without_criteria() -> None:
    for criteria in (CRITERIA, ()):
        a = dataclasses.replace(CASE, criteria=criteria)
        b = dataclasses.replace(a, report="It is free.")
        sent = wire.write_compare(a, b, Options(mapping=Mapping.TERNARY, lane=Lane.EVALUATION))
        assert wire.read_compare(sent) == (a, b, Options(mapping=Mapping.TERNARY, lane=Lane.EVALUATION))


def test_what_is_left_out_gets_its_default() -> None:
    message = pb.JudgeRequest(report="A report.")
    message.criteria.add(text="first")
    message.criteria.add(text="second", role=pb.Criterion.Role.NEGATIVE)
    message.criteria.add(text="third", weight=-2)
    message.criteria.add(text="fourth", weight=3, id="own")
    case, options = wire.read_request(message)
    assert case.criteria == (
        Criterion(id="c1", text="first"),
        Criterion(id="c2", text="second", weight=-1.0, role=Role.NEGATIVE),
        Criterion(id="c3", text="third", weight=-2.0, role=Role.NEGATIVE),
        Criterion(id="own", text="fourth", weight=3.0),
    )
    assert options == Options()


def test_an_explicit_weight_of_zero_is_refused_and_not_taken_for_the_default() -> None:
    assert fault(request(criteria=[pb.Criterion(text="x", weight=0.0)])) == "criteria[1].weight"


def test_a_default_id_may_not_collide_with_a_given_one() -> None:
    assert fault(request(criteria=[pb.Criterion(text="x", id="c1")])) == "criteria[1].id"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"mapping": 9}, "mapping"),
        ({"explain": 9}, "explain"),
        ({"lane": -1}, "lane"),
        ({"explain_margin": 1.01}, "explain_margin"),
        ({"explain_margin": -0.1}, "explain_margin"),
        ({"explain_margin": float("nan")}, "explain_margin"),
        ({"trials": 33}, "trials"),
        ({"request_id": "x" * 1025}, "request_id"),
        ({"judge_id": "x" * 1025}, "judge_id"),
        ({"language": "x" * 1025}, "language"),
        ({"report": " " * 8 + "x" * 2**21}, "report"),
        ({"query": "x" * (2**18 + 1)}, "query"),
        ({"criteria": [pb.Criterion()]}, "criteria[1].text"),
        ({"criteria": [pb.Criterion(text="x", weight=float("nan"))]}, "criteria[1].weight"),
        ({"criteria": [pb.Criterion(text="x", weight=-1, role=pb.Criterion.Role.EXPLICIT)]}, "criteria[1].weight"),
        ({"criteria": [pb.Criterion(text="x", fatal=True)]}, "criteria[1].fatal"),
        ({"criteria": [pb.Criterion(text="x", role=7)]}, "criteria[1].role"),
        ({"criteria": [pb.Criterion(text="x") for _ in range(10_000)]}, "criteria"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, Any], field: str) -> None:
    assert fault(request(**fields)) == field


def test_an_unknown_enum_value_lists_the_known_ones() -> None:
    with pytest.raises(
        InvalidRequest, match=r"^mapping: 9 is no value of this enum \(1 STRICT, 2 TERNARY, 3 EXPECTED\)"
    ):
        wire.read_request(request(mapping=9))


def test_an_empty_request_a_group_and_a_comparison_name_their_fields_too() -> None:
    assert fault(pb.JudgeRequest()) == "report"
    assert fault(pb.JudgeRequest(report="x")) == "criteria"
    for message, field in (
        (pb.JudgeGroupRequest(criteria=[pb.Criterion(text="x")]), "reports"),
        (pb.JudgeGroupRequest(criteria=[pb.Criterion(text="x")], reports=["a"] * 1025), "reports"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            wire.read_group(message)
        assert caught.value.field == field
    (case, refused), _ = wire.read_group(pb.JudgeGroupRequest(criteria=[pb.Criterion(text="x")], reports=["a", ""]))
    assert isinstance(case, Case)
    assert str(refused) == "reports[1]: is empty"
    with pytest.raises(InvalidRequest, match=r"^report_b: is empty"):
        wire.read_compare(pb.CompareRequest(report_a="a"))


def test_a_long_criterion_is_read_like_a_short_one() -> None:
    text = "word " * 2000
    case, _ = wire.read_request(request(criteria=[pb.Criterion(text=text)]))
    assert case.criteria[1] == Criterion(id="c2", text=text)


def test_a_response_survives_the_wire_and_what_is_absent_stays_absent() -> None:
    sent = pb.JudgeResponse.FromString(wire.write_response(JUDGEMENT, index=7).SerializeToString())
    assert sent.index == 7
    assert wire.read_response(sent) == JUDGEMENT
    assert not sent.reward.HasField("value")
    assert sent.reward.HasField("raw")
    assert sent.verdicts[0].HasField("rationale")
    assert not sent.verdicts[2].HasField("rationale")


@given(st.text(), st.floats(0, 1), st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))))
def test_any_verdict_survives_the_wire(text: str, p: float, spans: list[tuple[int, int]]) -> None:
    verdict = Verdict(
        criterion_id=text,
        result=Score(Label.PARTIALLY_SATISFIED, p, 1 - p, 0.0, False, p),
        rationale=text,
        evidence=tuple(Span(*span) for span in spans),
    )
    judgement = dataclasses.replace(JUDGEMENT, verdicts=(verdict,))
    assert wire.read_response(wire.write_response(judgement)) == judgement


def test_every_label_reason_and_mapping_has_its_number() -> None:
    for label in Label:
        verdict = Verdict(criterion_id="c", result=Score(label, 0.0, 0.0, 1.0, True, 0.5))
        judgement = dataclasses.replace(JUDGEMENT, verdicts=(verdict,))
        message = wire.write_response(judgement)
        assert pb.Score.Label.Name(message.verdicts[0].score.label) == label.name
        assert wire.read_response(message) == judgement
    for reason in Reason:
        judgement = dataclasses.replace(JUDGEMENT, verdicts=(Verdict(criterion_id="c", result=Unscored(reason)),))
        assert wire.read_response(wire.write_response(judgement)) == judgement


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (pb.Verdict(criterion_id="c"), Reason.UNPARSABLE),
        (pb.Verdict(criterion_id="c", score=pb.Score(p_full=1.0)), Reason.UNPARSABLE),
        (pb.Verdict(criterion_id="c", score={"label": 9}), Reason.UNPARSABLE),
        (pb.Verdict(criterion_id="c", unscored={"reason": 9}), Reason.ENGINE_ERROR),
    ],
)
def test_a_result_from_a_newer_server_is_unscored_and_not_a_number(message: pb.Verdict, reason: Reason) -> None:
    response = wire.write_response(JUDGEMENT)
    del response.verdicts[:]
    response.verdicts.append(message)
    [verdict] = wire.read_response(response).verdicts
    assert isinstance(verdict.result, Unscored)
    assert verdict.result.reason is reason


def test_a_response_with_an_unknown_mapping_is_refused() -> None:
    with pytest.raises(EngineError, match="mapping 0"):
        wire.read_response(pb.JudgeResponse())


ERRORS = [
    InvalidRequest("criteria[3].weight", "must not be zero"),
    JudgeMismatch("mini-1", "mini-2"),
    Overloaded("the queue is full", 1.25),
    Overloaded("not before this deadline"),
    TooLarge("more than the queue ever takes"),
    DeadlineExceeded("too late"),
    Unsupported("no explanations"),
    Unauthenticated("no token"),
    Unavailable("going away"),
    Unavailable("going away", 2.0),
    EngineError("the engine died"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_the_wire_with_its_details(error: JudgerError) -> None:
    status = wire.error_status(error)
    for details in (status, status.SerializeToString()):
        again = wire.error_from_status(status.code, status.message, details)
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_every_error_of_the_table_has_its_code() -> None:
    assert {type(error) for error in ERRORS} == set(STATUS)
    for error in ERRORS:
        assert wire.code_name(error) == STATUS[type(error)]
    assert wire.code_name(JudgerError("?")) == "INTERNAL"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INVALID_ARGUMENT", InvalidRequest),
        ("RESOURCE_EXHAUSTED", TooLarge),
        ("CANCELLED", Unavailable),
        ("PERMISSION_DENIED", Unauthenticated),
        ("FAILED_PRECONDITION", EngineError),
        ("DATA_LOSS", EngineError),
        (13, EngineError),
        (99, EngineError),
        (14, Unavailable),
    ],
)
def test_a_status_without_details_still_becomes_an_error(code: int | str, kind: type[JudgerError]) -> None:
    for details in (None, b"", b"\xff\xff", status_pb2.Status()):
        error = wire.error_from_status(code, "what happened", details)
        assert type(error) is kind
        assert "what happened" in str(error)


def test_json_is_one_line_with_the_protos_names_and_defaults_and_without_what_is_absent() -> None:
    line = wire.to_json(wire.write_response(JUDGEMENT))
    assert "\n" not in line
    read = json.loads(line)
    assert read["request_id"] == "r-1"
    assert read["index"] == 0
    assert read["verdicts"][0]["score"]["label"] == "FULLY_SATISFIED"
    assert read["verdicts"][2]["score"]["p_full"] == 0.0
    assert read["verdicts"][2]["evidence"] == []
    assert "rationale" not in read["verdicts"][2]
    assert "value" not in read["reward"]
    assert read["reward"]["raw"] == 0.0
    assert "error" not in read


def test_json_of_a_refusal_shows_the_field() -> None:
    response = pb.JudgeResponse(error=wire.error_status(InvalidRequest("report", "is empty")))
    [detail] = json.loads(wire.to_json(response))["error"]["details"]
    [violation] = detail["field_violations"]
    assert (violation["field"], violation["description"]) == ("report", "is empty")


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", ""),
        ("ascii", "ascii"),
        ("h\u00e4lfte \u6f22 \U0001f600", "h\u00e4lfte \u6f22 \U0001f600"),
        ("cut \ud83d", "cut \ufffd"),
        ("\ude00 cut", "\ufffd cut"),
        ("\ud83d\ude00", "\U0001f600"),  # the halves of one character, decoded one by one
        ("\ude00\ud83d \U0001f600", "\ufffd\ufffd \U0001f600"),
    ],
)
def test_text_with_half_a_character_is_made_whole_and_other_text_is_left_alone(text: str, whole: str) -> None:
    assert wire.whole_text(text) == whole
    assert wire.whole_text(text).encode().decode() == whole


def test_half_a_character_in_an_error_does_not_keep_it_from_being_told() -> None:
    status = wire.error_status(InvalidRequest("criteria[\ud83d]", "is \ud83d"))
    assert wire.error_from_status(status.code, status.message, status).args == ("criteria[\ufffd]: is \ufffd",)
