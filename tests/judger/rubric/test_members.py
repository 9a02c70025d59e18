"""Members of a JSON object changed without touching the rest of the text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judger.rubric.members import elements, on_one_line, with_members

VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
LAYOUTS = st.sampled_from([None, 0, 2])


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=4), st.text(max_size=3), VALUES, LAYOUTS)
def test_a_member_is_set_and_no_other_changes(before, key, value, indent):
    text = with_members(json.dumps(before, indent=indent), {key: json.dumps(value)})
    assert json.loads(text) == before | {key: value}
    assert list(json.loads(text)) == list(before | {key: value})
    assert json.loads(on_one_line(text)) == json.loads(text)
    assert "\n" not in on_one_line(text)


@given(st.lists(VALUES, max_size=4), LAYOUTS)
def test_the_elements_of_a_list_are_its_text_without_the_commas(values, indent):
    assert [json.loads(text) for text in elements(json.dumps(values, indent=indent))] == values


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("{}", '{"k": 1}'),
        (" { } ", ' { "k": 1} '),
        ('{"a":1e999}', '{"a":1e999, "k": 1}'),
        ('{"k" : {"}": "]"} ,"a":[ ]}', '{"k": 1 ,"a":[ ]}'),
        ('{"\\u006b": 0, "b": "\\ud83d"}', '{"k": 1, "b": "\\ud83d"}'),
    ],
)
def test_what_stays_keeps_its_characters(text, new):
    assert with_members(text, {"k": "1"}) == new


def test_a_member_takes_the_place_of_one_with_another_key():
    assert with_members('{"a": 0, "old": [1, 2], "b": 3}', {"k": "1"}, instead_of={"k": "old"}) == (
        '{"a": 0, "k": 1, "b": 3}'
    )
