"""Thoughts and calls in the words of a reply, as families of models mark them."""

from __future__ import annotations

import json

import pytest

from policy.models.marks import has_call, split_thought
from policy.models.reply import read

CALL = '{"name": "search", "arguments": {"queries": ["mill"]}}'
CALLS = [
    f"<tool_call>{CALL}</tool_call>",
    f"[TOOL_CALLS][{CALL}]",
    '[TOOL_CALLS]search[ARGS]{"queries": ["mill"]}',
    f"<|python_tag|>{CALL}",
    '<function=search>{"queries": ["mill"]}</function>',
    '<function_calls><invoke name="search"></invoke></function_calls>',
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>search",
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.search:0",
    '<|channel|>commentary to=functions.search <|constrain|>json<|message|>{"queries": ["mill"]}',
    CALL,
    f"[{CALL}]",
    f"```json\n{CALL}\n```",
    '{"function": "search", "parameters": {"queries": ["mill"]}}',
    '{"type": "function", "function": {"name": "search", "arguments": "{}"}}',
    '{"action": "search", "action_input": "mill"}',
    f"I look it up.\n```\n<tool_call>{CALL}</tool_call>\n```",
]


@pytest.mark.parametrize("text", CALLS)
def test_a_call_in_words_is_seen_in_any_familys_form(text):
    assert has_call(text)


WORDS = "Words. " * 80
REPORTS = [
    "The mill grinds after high water [mill#1].",
    f"# How models call tools\n\nHermes writes `<tool_call>`:\n\n```\n<tool_call>{CALL}</tool_call>\n```\n\n{WORDS}",
    '{"name": "Voe", "range": 2.9}',
    "{mill} and [voe] are names.",
    "[]",
    "",
]


@pytest.mark.parametrize("text", REPORTS)
def test_a_report_may_speak_of_calls_in_code(text):
    assert not has_call(text)


@pytest.mark.parametrize(
    ("text", "thought", "rest"),
    [
        ("<think>hm</think>The report.", "hm", "The report."),
        ("\n<thinking>\nhm\n</thinking>\n\nThe report.", "hm", "The report."),
        ("[THINK]hm[/THINK]The report.", "hm", "The report."),
        ("◁think▷hm◁/think▷The report.", "hm", "The report."),
        ("<|channel|>analysis<|message|>hm<|end|><|channel|>final<|message|>It.", "hm<|end|>", "It."),
        ("<thinking>on and on", "on and on", ""),
        ("hm</think>The report.", "hm", "The report."),
        ("<think>hm</think>\n</think>\nThe report.", "hm", "The report."),
        (
            "<think>It ends with `</think>`, I think.</think>The report.",
            "It ends with `</think>`, I think.",
            "The report.",
        ),
        ("Models end thoughts with `</think>`.", "", "Models end thoughts with `</think>`."),
        ("One writes\n\n```\n<think>a</think>\n```\n\nso.", "", "One writes\n\n```\n<think>a</think>\n```\n\nso."),
        ("<think>a ``` that is left open</think>The report.", "a ``` that is left open", "The report."),
    ],
)
def test_a_thought_is_told_from_the_words_behind_it(text, thought, rest):
    assert split_thought(text) == (thought, rest)


def test_a_reply_that_is_all_thought_says_nothing():
    message = {"role": "assistant", "content": "[THINK]on and on"}
    reply = read(json.dumps({"choices": [{"message": message}]}).encode(), id_prefix="c")
    assert (reply.content, reply.thought) == ("", "on and on")
