from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judger.errors import InvalidRequest
from judger.types import Criterion, Explain, Limits, Options, Role
from judger.validate import (
    check,
    check_compare,
    check_group,
    check_options,
    criteria_faults,
    role_and_weight,
    text_fault,
    text_faults,
)

GOOD = Criterion(id="c1", text="names the price", weight=2.0)
FLAW = Criterion(id="c2", text="invents a source", weight=-1.0, role=Role.NEGATIVE, fatal=True)


def found(query: str = "", report: str = "A report.", criteria: tuple[Criterion, ...] = (GOOD, FLAW)) -> list[str]:
    return [
        f"{field}: {reason}" for field, reason in (*text_faults(query, {"report": report}), *criteria_faults(criteria))
    ]


def test_a_good_case_has_no_faults_and_its_query_may_be_empty() -> None:
    assert found() == []
    assert found(query="  ") == []


@pytest.mark.parametrize(("report", "reason"), [("", "is empty"), (" \n\t", "is blank")])
def test_a_report_without_text_is_refused(report: str, reason: str) -> None:
    assert found(report=report) == [f"report: {reason}"]


def test_every_fault_is_named_with_its_field_in_the_order_of_the_fields() -> None:
    bad = (
        dataclasses.replace(GOOD, text=""),
        dataclasses.replace(FLAW, weight=1.0, id="c1"),
        dataclasses.replace(GOOD, id="c3", weight=-2.0),
        dataclasses.replace(GOOD, id="c4", fatal=True),
        dataclasses.replace(GOOD, id=" ", weight=math.nan),
        dataclasses.replace(GOOD, id="c6", weight=0.0, axis="\udfff"),
    )
    assert [line.partition(":")[0] for line in found(report="", criteria=bad)] == [
        "report",
        "criteria[0].text",
        "criteria[1].id",
        "criteria[1].weight",
        "criteria[2].weight",
        "criteria[3].fatal",
        "criteria[4].id",
        "criteria[4].weight",
        "criteria[5].axis",
        "criteria[5].weight",
    ]


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf, 0.0, -0.0])
def test_a_weight_that_is_no_number_or_zero_is_refused(weight: float) -> None:
    role = Role.NEGATIVE if weight < 0 else Role.EXPLICIT
    [fault] = found(criteria=(dataclasses.replace(GOOD, weight=weight, role=role),))
    assert fault.startswith("criteria[0].weight: must")


def test_a_duplicate_id_names_the_first_owner() -> None:
    assert found(criteria=(GOOD, FLAW, GOOD)) == [
        "criteria[2].id: 'c1' is a duplicate: criteria[0] has it already",
    ]


@pytest.mark.parametrize(("number", "refused"), [(0, True), (1, False), (512, False), (513, True), (10_000, True)])
def test_a_rubric_has_between_one_and_512_criteria(number: int, refused: bool) -> None:
    criteria = tuple(dataclasses.replace(GOOD, id=f"c{i}") for i in range(number))
    assert [line.partition(":")[0] for line in found(criteria=criteria)] == ["criteria"] * refused


def test_sizes_are_counted_in_bytes_of_utf8_and_the_limit_itself_is_allowed() -> None:
    assert text_fault("é" * 5, 10) is None
    assert text_fault("é" * 5, 9) == "has 10 bytes of UTF-8, more than the limit of 9"
    assert found(report="x" * (2 * 2**20)) == []
    assert found(report="é" * (2**20 + 1)) == ["report: has 2,097,154 bytes of UTF-8, more than the limit of 2,097,152"]
    assert found(query="x" * (2**18 + 1))[0].startswith("query: has")
    assert found(criteria=(dataclasses.replace(GOOD, text="x" * (2**15 + 1)),))[0].startswith("criteria[0].text: has")


def test_a_lone_surrogate_is_refused_with_its_place() -> None:
    assert found(report="ab\ud800c") == [
        "report: character 2 is a lone surrogate ('\\ud800'), which is no Unicode text"
    ]
    assert found(query="\udc00")[0].startswith("query: character 0")


def test_weights_of_which_no_finite_reward_can_be_made_are_refused() -> None:
    huge = dataclasses.replace(FLAW, weight=-1e300)
    tiny = dataclasses.replace(GOOD, weight=1e-300)
    assert [line.partition(":")[0] for line in found(criteria=(tiny, huge))] == ["criteria"]
    both = tuple(dataclasses.replace(GOOD, id=f"c{i}", weight=1.7e308) for i in range(2))
    assert [line.partition(":")[0] for line in found(criteria=both)] == ["criteria"]
    # What is left of these when the first is unscored has no finite ratio either.
    assert found(criteria=(dataclasses.replace(GOOD, id="big", weight=1e300), tiny, huge))[0].startswith("criteria: ")


@pytest.mark.parametrize(
    ("pair", "refused"), [((1e-300, 1e-300), False), ((1e300, 1e300), False), ((1.0, 1e6), False), ((1.0, 1e20), True)]
)
def test_a_weight_of_any_size_is_taken_beside_its_like(pair: tuple[float, float], refused: bool) -> None:
    criteria = tuple(dataclasses.replace(GOOD, id=f"c{i}", weight=w) for i, w in enumerate(pair))
    assert [line.partition(":")[0] for line in found(criteria=criteria)] == ["criteria"] * refused


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False).filter(bool), min_size=1, max_size=8))
def test_a_rubric_that_passes_has_finite_sums_and_ratio(weights: list[float]) -> None:
    criteria = tuple(
        Criterion(id=str(i), text="x", weight=w, role=Role.NEGATIVE if w < 0 else Role.IMPLICIT)
        for i, w in enumerate(weights)
    )
    if not found(criteria=criteria):
        positive = sum(w for w in weights if w > 0)
        total = sum(map(abs, weights))
        assert math.isfinite(total / (positive or total))


def test_check_raises_the_first_fault() -> None:
    with pytest.raises(InvalidRequest, match=r"^report: is empty$") as caught:
        check("", "", ())
    assert caught.value.field == "report"
    check("", "A report.", (GOOD,))


def test_the_limits_can_be_lowered() -> None:
    with pytest.raises(InvalidRequest, match=r"^report: has 9 bytes"):
        check("", "A report.", (GOOD,), Limits(report_bytes=8))


def test_a_group_names_the_report_at_fault_and_is_neither_empty_nor_endless() -> None:
    check_group("", ["a", "b"], (GOOD,))
    with pytest.raises(InvalidRequest, match=r"^reports\[1\]: is blank"):
        check_group("", ["a", " "], (GOOD,))
    with pytest.raises(InvalidRequest, match=r"^reports: is empty"):
        check_group("", [], (GOOD,))
    with pytest.raises(InvalidRequest, match=r"^reports: has 3 entries, more than the limit of 2"):
        check_group("", ["a", "b", "c"], (GOOD,), Limits(group_reports=2))


def test_a_comparison_needs_both_reports_but_no_criteria() -> None:
    check_compare("", "a", "b", ())
    with pytest.raises(InvalidRequest, match=r"^report_b: is empty"):
        check_compare("", "a", "", ())
    with pytest.raises(InvalidRequest, match=r"^query: character 0"):
        check_compare("\ud800", "a", "b", ())
    with pytest.raises(InvalidRequest, match=r"^criteria\[1\]\.id: 'c1' is a duplicate"):
        check_compare("", "a", "b", (GOOD, GOOD))


@pytest.mark.parametrize(
    ("role", "weight", "expected"),
    [
        (None, None, (Role.EXPLICIT, 1.0)),
        (None, -3.0, (Role.NEGATIVE, -3.0)),
        (None, 3.0, (Role.EXPLICIT, 3.0)),
        (Role.NEGATIVE, None, (Role.NEGATIVE, -1.0)),
        (Role.IMPLICIT, None, (Role.IMPLICIT, 1.0)),
        (Role.IMPLICIT, -1.0, (Role.IMPLICIT, -1.0)),
    ],
)
def test_role_and_weight_default_to_each_other(
    role: Role | None, weight: float | None, expected: tuple[Role, float]
) -> None:
    assert role_and_weight(role, weight) == expected


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"explain_margin": 1.5, "explain": Explain.UNDER_MARGIN}, "explain_margin"),
        ({"explain_margin": math.nan, "explain": Explain.UNDER_MARGIN}, "explain_margin"),
        ({"trials": 0}, "trials"),
        ({"trials": 33, "explain": Explain.ALWAYS}, "trials"),
        ({"trials": 5}, "trials"),
        ({"explain_margin": 0.2}, "explain_margin"),
        ({"explain_margin": 0.2, "explain": Explain.ALWAYS}, "explain_margin"),
        ({"explain_margin": 0.2, "explain": Explain.UNDER_MARGIN, "trials": 32}, None),
        ({"trials": 5, "explain": Explain.ALWAYS}, None),
        ({}, None),
    ],
)
def test_an_option_that_is_out_of_range_or_would_do_nothing_is_refused(options, field):
    if field is None:
        check_options(Options(**options))
        return
    with pytest.raises(InvalidRequest) as raised:
        check_options(Options(**options))
    assert raised.value.field == field
