"""Tool calls in raw text."""

from __future__ import annotations

from policy.model import ToolCall
from policy.models.hermes import parse


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
