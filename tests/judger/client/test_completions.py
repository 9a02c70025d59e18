"""What a policy wrote, and what it was asked, as plain texts."""

from __future__ import annotations

import pytest

from judger.client.completions import question_of, report_of, strip_reasoning
from judger.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Plain text. ", "Plain text. "),
        ("<think>I should mention R290</think>Heat pumps are nice.", "Heat pumps are nice."),
        ("<THINK>a</Think>\n\nb", "b"),
        ("it began in the prompt</think>b", "b"),
        ("a <think>b</think> c <reasoning>d</reasoning> e", "a  c  e"),
        ("a <think>cut off", "a"),
        ("<think>only", ""),
        ("<think>a</think>", ""),
        ("a <think>b</think> c </think> d", "a  c </think> d"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>", "b"),
        ("a < b, think > c", "a < b, think > c"),
    ],
)
def test_thoughts_are_no_part_of_a_report(text: str, left: str) -> None:
    assert strip_reasoning(text) == left


def test_a_long_text_of_tags_is_read_once() -> None:
    assert strip_reasoning("<think>" * 200_000) == ""
    assert strip_reasoning("<think>a</think>b" * 50_000) == "b" * 50_000


def test_the_report_is_what_the_assistant_said_last() -> None:
    parts = [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]
    messages = [
        {"role": "assistant", "content": "first"},
        {"role": "tool", "content": "result"},
        {"role": "assistant", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": []},
    ]
    assert report_of(messages) == "x\n\ny"
    assert report_of([{"role": "user", "content": "a"}]) == ""
    assert report_of("<think>a</think>b", reasoning=True) == "<think>a</think>b"
    assert report_of({"role": "assistant", "content": "one"}) == "one"


def test_the_question_is_what_the_user_asked() -> None:
    asked = {"role": "user", "content": "What?"}
    assert question_of(None) == ""
    assert question_of("What?") == "What?"
    assert question_of([{"role": "system", "content": "Be nice."}, asked]) == "What?"
    turns = [asked, {"role": "assistant", "content": "This?"}, {"role": "user", "content": "No."}]
    assert question_of(turns) == "user: What?\n\nassistant: This?\n\nuser: No."


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (3, "completion"),
        (None, "completion"),
        (b"bytes", "completion"),
        (["text"], "completion[0]"),
        ([{"role": "assistant", "content": 3}], "completion[0].content"),
        ([{"role": "assistant", "content": [{"type": "image"}]}], "completion[0].content[0]"),
    ],
)
def test_what_is_no_completion_is_refused_with_its_place(given: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        report_of(given)
    assert caught.value.field == field
