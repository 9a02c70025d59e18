"""Requests: read and validated by a server, written by a client.

Messages are filled in place (`add`, then assignment): half the time of nested constructors.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from judger.errors import InvalidRequest
from judger.types import LIMITS, Case, Criterion, Explain, Lane, Mapping, Options
from judger.v1 import judger_pb2 as pb
from judger.validate import (
    check_criteria,
    check_options,
    check_texts,
    count_fault,
    role_and_weight,
    text_fault,
)
from judger.wire.enums import (
    EXPLAIN_NUMBERS,
    EXPLAINS,
    LANE_NUMBERS,
    LANES,
    MAPPING_NUMBERS,
    MAPPINGS,
    ROLE_NUMBERS,
    ROLES,
    read_enum,
    unknown_value,
)

REMEMBERED_BYTES = 2**15  # of a rubric
MAX_TAG_BYTES = 1024  # of a request_id, a judge_id or a language


M = TypeVar("M", bound=Message)

# Requests, as a server reads them.


def parse(kind: type[M], raw: bytes) -> M:
    """The message of these bytes. Raises InvalidRequest where they are none, as with half a character in a text."""
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise InvalidRequest("request", f"can't be read: {error}") from error


def read_request(request: pb.JudgeRequest) -> tuple[Case, Options]:
    """The case and how to judge it. Raises InvalidRequest."""
    report = request.report
    check_texts(request.query, {"report": report})
    return _case(request, report, _read_rubric(request.criteria)), _read_options(request)


def read_group(request: pb.JudgeGroupRequest) -> tuple[list[Case | InvalidRequest], Options]:
    """For each report, in order, its case with the request's id, or why it is refused. Raises InvalidRequest for the
    rest: what all reports share."""
    if fault := count_fault(len(request.reports), LIMITS.group_reports):
        raise InvalidRequest("reports", fault)
    check_texts(request.query, {})
    shared = _case(request, "-", _read_rubric(request.criteria))
    cases: list[Case | InvalidRequest] = []
    for i, report in enumerate(request.reports):
        fault = text_fault(report, LIMITS.report_bytes)
        cases.append(replace(shared, report=report) if fault is None else InvalidRequest(f"reports[{i}]", fault))
    return cases, _read_options(request)


def read_compare(request: pb.CompareRequest) -> tuple[Case, Case, Options]:
    """The two cases, both with the request's id; without criteria a pairwise prompt is meant. Raises InvalidRequest."""
    check_texts(request.query, {"report_a": request.report_a, "report_b": request.report_b})
    criteria = _read_rubric(request.criteria) if request.criteria else ()
    options = Options(
        mapping=read_enum("mapping", request.mapping, MAPPINGS, Mapping.STRICT),
        lane=read_enum("lane", request.lane, LANES, Lane.TRAINING),
    )
    return _case(request, request.report_a, criteria), _case(request, request.report_b, criteria), options


def _case(request: Any, report: str, criteria: tuple[Criterion, ...]) -> Case:
    for field in ("request_id", "judge_id", "language"):
        if fault := text_fault(getattr(request, field), MAX_TAG_BYTES, may_be_blank=True):
            raise InvalidRequest(field, fault)
    return Case(id=request.request_id, query=request.query, report=report, criteria=criteria, language=request.language)


def _read_rubric(messages: Sequence[pb.Criterion]) -> tuple[Criterion, ...]:
    """The criteria of a request, without a fault. Raises InvalidRequest."""
    # Counted before anything is made of them: a message has room for millions of empty ones.
    if fault := count_fault(len(messages), LIMITS.criteria):
        raise InvalidRequest("criteria", fault)
    raw = pb.JudgeRequest(criteria=messages).SerializeToString()
    return (_remembered if len(raw) <= REMEMBERED_BYTES else _rubric)(raw)


def _rubric(raw: bytes) -> tuple[Criterion, ...]:
    criteria = []
    for i, message in enumerate(pb.JudgeRequest.FromString(raw).criteria):
        if message.role and message.role not in ROLES:
            raise InvalidRequest(f"criteria[{i}].role", unknown_value(message.role, ROLES))
        weight = message.weight if message.HasField("weight") else None
        role, weight = role_and_weight(ROLES.get(message.role), weight)
        criteria.append(
            Criterion(
                id=message.id or f"c{i + 1}",
                text=message.text,
                weight=weight,
                role=role,
                axis=message.axis,
                fatal=message.fatal,
            )
        )
    check_criteria(criteria)
    return tuple(criteria)


# A trainer sends the same rubric with every rollout of a task: knowing it again costs a fifth of reading it.
_remembered = functools.lru_cache(maxsize=256)(_rubric)


def _read_options(request: Any) -> Options:
    options = Options(
        mapping=read_enum("mapping", request.mapping, MAPPINGS, Mapping.STRICT),
        explain=read_enum("explain", request.explain, EXPLAINS, Explain.NEVER),
        explain_margin=request.explain_margin,
        trials=request.trials or 1,
        allow_unscored=request.allow_unscored,
        lane=read_enum("lane", request.lane, LANES, Lane.TRAINING),
    )
    check_options(options)
    return options


# Requests, as a client writes them.


def write_request(case: Case, options: Options, judge_id: str = "") -> pb.JudgeRequest:
    """One case. Validate it first: a lone surrogate raises UnicodeEncodeError here."""
    request = pb.JudgeRequest(report=case.report)
    _write_rubric(request, case.id, case.query, case.criteria, options, judge_id, case.language)
    _write_tier(request, options)
    return request


def write_group(
    query: str,
    reports: Sequence[str],
    criteria: Iterable[Criterion],
    options: Options,
    judge_id: str = "",
    *,
    request_id: str = "",
    language: str = "",
) -> pb.JudgeGroupRequest:
    """One query and rubric, several reports."""
    request = pb.JudgeGroupRequest(reports=reports)
    _write_rubric(request, request_id, query, criteria, options, judge_id, language)
    _write_tier(request, options)
    return request


def write_compare(a: Case, b: Case, options: Options, judge_id: str = "") -> pb.CompareRequest:
    """Two reports; id, query, rubric and language are those of `a`."""
    request = pb.CompareRequest(report_a=a.report, report_b=b.report)
    _write_rubric(request, a.id, a.query, a.criteria, options, judge_id, a.language)
    return request


def _write_rubric(
    request: Any,
    request_id: str,
    query: str,
    criteria: Iterable[Criterion],
    options: Options,
    judge_id: str,
    language: str,
) -> None:
    request.request_id, request.query, request.judge_id, request.language = request_id, query, judge_id, language
    request.mapping, request.lane = MAPPING_NUMBERS[options.mapping], LANE_NUMBERS[options.lane]
    add = request.criteria.add
    for criterion in criteria:
        message = add()
        message.id, message.text, message.weight = criterion.id, criterion.text, criterion.weight
        message.role, message.fatal = ROLE_NUMBERS[criterion.role], criterion.fatal
        if criterion.axis:
            message.axis = criterion.axis


def _write_tier(request: Any, options: Options) -> None:
    request.explain, request.explain_margin = EXPLAIN_NUMBERS[options.explain], options.explain_margin
    request.trials, request.allow_unscored = options.trials, options.allow_unscored
