"""Rubrics that come with a row of somebody's data."""

from __future__ import annotations

import json

import pytest

from judger.errors import InvalidRequest
from judger.given import criteria_of
from judger.types import Role


@pytest.mark.parametrize(
    "given",
    [
        [{"text": "a", "weight": 2}, {"text": "b", "weight": -1}],
        {"criteria": [{"text": "a", "weight": 2}, {"text": "b", "weight": -1}], "id": "x"},
        [{"criterion": "a", "weight": 2}, {"criterion": "b", "weight": -1}, {"criterion": "c", "weight": 0}],
        {"rubrics": [{"criterion": "a", "points": 2, "tags": []}, {"criterion": "b", "points": -1, "tags": []}]},
        {"rubric": '[{"text": "a", "weight": 2}, {"text": "b", "weight": -1}]'},
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_rubric_is_read_with_the_keys_of_any_format(given: object, as_json: bool) -> None:
    criteria = criteria_of(json.dumps(given) if as_json else given)
    assert [(c.id, c.text, c.weight) for c in criteria] == [("c1", "a", 2.0), ("c2", "b", -1.0)]
    assert criteria[1].role is Role.NEGATIVE


def test_texts_alone_weigh_one_each() -> None:
    assert [(c.text, c.weight) for c in criteria_of(["a", "b"])] == [("a", 1.0), ("b", 1.0)]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (None, "rubric"),
        (3, "rubric"),
        ("", "rubric"),
        ("yes", "rubric"),
        ("[]", "rubric"),
        ([], "rubric"),
        ({}, "rubric"),
        ({"criteria": None}, "rubric"),
        ([3], "rubric[0]"),
        ([{"text": "a", "weight": "2"}], "rubric[0].weight"),
        ([{"text": "a", "weight": float("nan")}], "rubric[0].weight"),
        ('[{"text": "a", "weight": NaN}]', "rubric[0].weight"),
        ('{"criteria": [{"text": "a", "text": "b"}]}', "rubric.criteria[0].text"),
        ([{"criterion": "a", "weight": 0}], "rubric"),
        (["a"] * 513, "rubric"),
        ("[" * 5000, "rubric"),
        ('{"criteria": ["a"], "criteria": ["b"]}', "rubric.criteria"),
    ],
)
def test_what_is_no_rubric_is_refused_with_its_place(given: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        criteria_of(given)
    assert caught.value.field == field


@pytest.mark.parametrize("depth", [20, 980, 991, 2_000])
def test_a_rubric_nested_as_deeply_as_a_stranger_likes_is_refused(depth: int) -> None:
    with pytest.raises(InvalidRequest):
        criteria_of('{"criteria":' * depth + '["a"]' + "}" * depth)
