"""Protobuf-JSON into messages, and our errors as Connect's."""

from __future__ import annotations

import base64
import json

import pytest
from google.rpc import error_details_pb2

from judger.errors import InvalidRequest, JudgeMismatch, JudgerError, Overloaded, TooLarge, Unavailable
from judger.v1 import judger_pb2 as pb
from judger.wire import connect_error, read_json, to_json
from judger.wire.schema import json_schemas


def test_what_was_written_is_read_again() -> None:
    criterion = pb.Criterion(id="c", text="ü", weight=-0.5, role="NEGATIVE", axis="a", fatal=True)
    request = pb.JudgeGroupRequest(
        query="q", reports=["a", "b"], criteria=[criterion], mapping="EXPECTED", trials=3, lane="BULK"
    )
    assert read_json(json.loads(to_json(request)), pb.JudgeGroupRequest) == request


def test_names_count_in_both_spellings_enums_in_any_case_and_null_is_left_out() -> None:
    read = read_json(
        {"requestId": "r", "explain_margin": "0.5", "mapping": "ternary", "lane": 3, "trials": None, "judgeId": None},
        pb.JudgeRequest,
    )
    assert read == pb.JudgeRequest(request_id="r", explain_margin=0.5, mapping="TERNARY", lane="BULK")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (None, "body"),
        ([], "body"),
        ({"x" * 100: 1}, "'" + "x" * 56 + "..."),
        ({"reports": "text"}, "reports"),
        ({"reports": [None]}, "reports[0]"),
        ({"reports": ["a", 1]}, "reports[1]"),
        ({"reports": ["\ud800"]}, "reports[0]"),
        ({"criteria": {"text": "a"}}, "criteria"),
        ({"criteria": [None]}, "criteria[0]"),
        ({"criteria": [{"weight": 10**400}]}, "criteria[0].weight"),
        ({"criteria": [{"weight": True}]}, "criteria[0].weight"),
        ({"criteria": [{"fatal": 1}]}, "criteria[0].fatal"),
        ({"criteria": [{"role": "flaw"}]}, "criteria[0].role"),
        ({"mapping": 1.5}, "mapping"),
        ({"mapping": True}, "mapping"),
        ({"trials": -1}, "trials"),
        ({"trials": 2**32}, "trials"),
        ({"trials": 1.5}, "trials"),
    ],
)
def test_what_a_message_has_no_place_for_is_refused_with_its_path(values: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_json(values, pb.JudgeGroupRequest)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("error", "code", "kinds"),
    [
        (InvalidRequest("report", "is empty"), "invalid_argument", ["google.rpc.BadRequest"]),
        (Overloaded("busy", 1.5), "resource_exhausted", ["google.rpc.RetryInfo"]),
        (TooLarge("too much"), "resource_exhausted", []),
        (Unavailable("away", 2.0), "unavailable", ["google.rpc.RetryInfo"]),
        (JudgeMismatch("a", "b"), "failed_precondition", ["google.rpc.ErrorInfo"]),
    ],
)
def test_an_error_has_connects_shape(error: JudgerError, code: str, kinds: list[str]) -> None:
    written = json.loads(json.dumps(connect_error(error)))
    assert (written["code"], written["message"]) == (code, str(error))
    assert [detail["type"] for detail in written.get("details", [])] == kinds


def test_the_details_of_an_error_can_be_read_as_the_messages_that_they_are() -> None:
    (detail,) = connect_error(InvalidRequest("report", "is empty"))["details"]
    packed = base64.b64decode(detail["value"] + "=" * (-len(detail["value"]) % 4))
    assert error_details_pb2.BadRequest.FromString(packed).field_violations[0].field == "report"


def test_schemas_have_every_field_of_every_message() -> None:
    schemas = json_schemas(pb.DESCRIPTOR)
    assert schemas["JudgeRequest"]["properties"].keys() == {field.name for field in pb.JudgeRequest.DESCRIPTOR.fields}
    assert schemas["JudgeGroupRequest"]["properties"]["reports"] == {"type": "array", "items": {"type": "string"}}
    assert "STRICT" in schemas["JudgeRequest"]["properties"]["mapping"]["enum"]
