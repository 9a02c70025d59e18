"""Tool calls in raw text."""

from __future__ import annotations

import json

import pytest

from policy.model import ToolCall
from policy.models.hermes import opens_thought, parse


def test_calls_are_taken_out_of_the_words_around_them():
    call = '<tool_call>\n{"name": "search", "arguments": {"queries": ["水"]}}\n</tool_call>'
    text = f"<think>\nfirst\n</think>\n\nI look.\n{call}"
    assert parse(text) == ("I look.", "first", (ToolCall("call_0", "search", '{"queries": ["水"]}'),), ())


def test_several_calls_are_numbered():
    one = '<tool_call>{"name": "a", "arguments": {}}</tool_call>'
    assert [call.id for call in parse(one * 3)[2]] == ["call_0", "call_1", "call_2"]


def test_arguments_may_be_written_as_a_string():
    (call,) = parse('<tool_call>{"name": "a", "arguments": "{\\"x\\": 1}"}</tool_call>')[2]
    assert call.arguments == '{"x": 1}'


def test_a_call_inside_a_thought_is_only_a_thought():
    content, thought, calls, faults = parse('<think>maybe <tool_call>{"name": "a"}</tool_call></think>done')
    assert (content, calls, faults) == ("done", (), ())
    assert "maybe" in thought


def test_a_thought_that_never_ends_is_all_thought():
    assert parse('<think>on and <tool_call>{"name": "a"}') == ("", 'on and <tool_call>{"name": "a"}', (), ())


def test_what_cannot_be_read_is_reported_and_stays_in_the_content():
    for text in ("<tool_call>{oops}</tool_call>", '<tool_call>["a"]</tool_call>', '<tool_call>{"name": 3}</tool_call>'):
        content, _, calls, faults = parse(text)
        assert (content, calls, len(faults)) == (text, (), 1)


def test_a_call_without_its_end_is_reported_as_cut_off():
    text = '<tool_call>{"name": "a", "arguments": {}}'
    content, _, calls, faults = parse(text)
    assert (content, calls) == (text, ())
    assert "cut off" in faults[0]


def test_brackets_by_the_thousand_are_a_malformed_call():
    content, _, calls, faults = parse(f"<tool_call>{'[' * 100_000}</tool_call>")
    assert (len(calls), len(faults), len(content)) == (0, 1, 100_000 + len("<tool_call></tool_call>"))


SCHEMA = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "parameters": {
                "properties": {
                    "queries": {"type": "array"},
                    "text": {"type": "string"},
                    "results": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                }
            },
        },
    }
]
XML = (
    '<tool_call>\n<function=search>\n<parameter=queries>\n["mill"]\n</parameter>\n<parameter=text>\n12\n\n'
    "</parameter>\n<parameter=results>\n5\n</parameter>\n</function>\n</tool_call>"
)
GLM = (
    '<tool_call>search\n<arg_key>queries</arg_key>\n<arg_value>["mill"]</arg_value>\n<arg_key>text</arg_key>\n'
    "<arg_value>12\n</arg_value>\n<arg_key>results</arg_key>\n<arg_value>5</arg_value>\n</tool_call>"
)


@pytest.mark.parametrize("text", [XML, GLM])
def test_calls_in_xml_are_read_by_the_schema_of_their_tool(text):
    content, _, (call,), faults = parse(f"I look.\n{text}", tools=SCHEMA)
    assert (content, call.name, faults) == ("I look.", "search", ())
    assert json.loads(call.arguments) == {"queries": ["mill"], "text": "12\n", "results": 5}


@pytest.mark.parametrize("text", [XML, GLM])
def test_without_a_schema_only_lists_and_objects_are_read_as_such(text):
    assert json.loads(parse(text)[2][0].arguments) == {"queries": ["mill"], "text": "12\n", "results": "5"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<function=search><parameter=x>1</function>", "must end with </parameter>"),
        ("<function=search", "must end with </function>"),
        ("<function=></function>", "must name a tool"),
        ("search<arg_key>x</arg_key><arg_value>1", "needs its <arg_value>"),
        ("<function=search><parameter=x", "must end with </function>"),
    ],
)
def test_half_a_call_in_xml_is_reported(body, said):
    content, _, calls, faults = parse(f"<tool_call>{body}</tool_call>")
    assert (calls, len(faults)) == ((), 1)
    assert said in faults[0]
    assert body in content


def test_a_call_of_a_known_tool_may_be_its_name_alone():
    assert parse("<tool_call>search</tool_call>", tools=SCHEMA)[2][0].arguments == "{}"
    assert parse("<tool_call>search</tool_call>")[3]


def test_where_the_prompt_has_begun_the_thought_a_reply_without_its_end_is_all_thought():
    assert parse("on and on", in_thought=True) == ("", "on and on", (), ())
    assert parse("hm</think>done", in_thought=True)[:2] == ("done", "hm")
    assert opens_thought("<|im_start|>assistant\n<think>\n")
    assert not opens_thought("<think>\n\n</think>\n\n")
