"""The tokenizer and the chat template: what is written is what the agent reads, and what is learned."""

from __future__ import annotations

import json

import pytest

from policy.model import Completion, ToolCall
from policy.models import hermes
from tests.train.lm.toy import TOOLS, Toy
from train.lm.rows import chat_ids

EPISODE = Toy(seed=5).episode()


def rendered(tokenizer, messages, **options):
    return tokenizer.apply_chat_template(messages, tokenize=False, **options)


def test_any_text_decodes_to_what_was_encoded(tokenizer):
    text = 'Łódź 中文 \\cite{a/b#2}\n\n {"a": [1, "é"]} \U0001f600'
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_marks_are_one_token_each_and_survive_decoding(tokenizer):
    for mark in ("<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>", "<tool_response>", "<think>", "</think>"):
        assert len(tokenizer(mark)["input_ids"]) == 1
    ids = tokenizer("<think>\na\n</think><|im_end|>")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<think>\na\n</think>"


def test_names_and_years_of_the_data_are_single_tokens(tokenizer):
    ids = tokenizer("The Kestrel bridge stands on the river Severn")["input_ids"]
    assert len(ids) == 8


def test_a_call_comes_back_as_the_expert_wrote_it(tokenizer):
    arguments = '{"results": 2, "queries": ["the \\"Elm\\" bridge", "Łódź"]}'
    message = Completion(
        content="I look.", thought="Which?", tool_calls=(ToolCall("c_0", "search", arguments),)
    ).message()
    ids, mask = chat_ids(tokenizer, {"messages": [{"role": "user", "content": "Hi"}, message], "tools": TOOLS})
    written = tokenizer.decode([token for token, learned in zip(ids, mask, strict=True) if learned])
    content, thought, calls, faults = hermes.parse(written.removesuffix("<|im_end|>"))
    assert (content, thought, faults) == ("I look.", "Which?", ())
    assert [(call.name, call.arguments) for call in calls] == [
        ("search", json.dumps(json.loads(arguments), ensure_ascii=False))
    ]


def test_a_call_that_was_parsed_renders_as_the_model_wrote_it(tokenizer):
    written = '<tool_call>\n{"name": "open", "arguments": {"targets": ["registry/elm", "é"]}}\n</tool_call>'
    content, thought, calls, _ = hermes.parse(written)
    message = Completion(content=content, thought=thought, tool_calls=calls).message()
    text = rendered(tokenizer, [{"role": "user", "content": "Hi"}, message])
    assert text.endswith(f"<|im_start|>assistant\n{written}<|im_end|>\n")


def test_every_prompt_begins_with_the_one_before_and_its_reply(tokenizer):
    messages = EPISODE["messages"]
    before = ""
    for end in [i for i, message in enumerate(messages) if message["role"] == "assistant"]:
        prompt = rendered(tokenizer, messages[:end], tools=TOOLS, add_generation_prompt=True)
        assert prompt.startswith(before)
        before = rendered(tokenizer, messages[: end + 1], tools=TOOLS)
        assert before.startswith(prompt)


def test_tools_take_a_line_each(tokenizer):
    text = rendered(tokenizer, [{"role": "user", "content": "Hi"}], tools=TOOLS)
    assert text.startswith("<|im_start|>system\n# Tools\nsearch(queries, results)\nopen(targets)<|im_end|>\n")


def test_results_of_one_turn_stand_in_one_user_turn(tokenizer):
    results = [{"role": "tool", "content": name, "tool_call_id": name} for name in ("a", "b")]
    text = rendered(tokenizer, [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "x"}, *results])
    both = "<tool_response>\na\n</tool_response>\n<tool_response>\nb\n</tool_response>"
    assert text.endswith(f"<|im_start|>user\n{both}<|im_end|>\n")


def test_a_slip_is_shown_and_only_what_mends_it_is_learned(tokenizer):
    call = {"function": {"name": "open", "arguments": '{"a": ['}}
    mended = {"function": {"name": "open", "arguments": '{"a": [1]}'}}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "I open.", "tool_calls": [call]},
        {"role": "tool", "content": "not valid JSON", "tool_call_id": "x"},
        {"role": "assistant", "content": "I send it whole.", "tool_calls": [mended]},
        {"role": "tool", "content": "text", "tool_call_id": "x"},
        {"role": "assistant", "content": "It is text."},
    ]
    ids, mask = chat_ids(tokenizer, {"messages": messages, "tools": None, "slips": [1]})
    learned = tokenizer.decode([token for token, m in zip(ids, mask, strict=True) if m])
    assert learned == (
        'I send it whole.\n<tool_call>\n{"name": "open", "arguments": {"a": [1]}}\n</tool_call><|im_end|>'
        "It is text.<|im_end|>"
    )
    assert '{"name": "open", "arguments": {"a": [}' in tokenizer.decode(ids)
    with pytest.raises(ValueError, match="slips can't be left out"):
        chat_ids(tokenizer, {"messages": messages, "tools": None, "slips": [2]})


def test_the_mask_is_the_assistants_tokens_and_its_end_mark(tokenizer):
    """Counted by hand: the conversation is written out here, piece by piece, and each piece encoded alone."""
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "open", "arguments": '{"a": 1}'}}]},
        {"role": "tool", "content": "text", "tool_call_id": "x"},
        {"role": "assistant", "content": "It is text."},
    ]
    pieces = [
        ("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", 0),
        ('<tool_call>\n{"name": "open", "arguments": {"a": 1}}\n</tool_call><|im_end|>', 1),
        ("\n<|im_start|>user\n<tool_response>\ntext\n</tool_response><|im_end|>\n<|im_start|>assistant\n", 0),
        ("It is text.<|im_end|>", 1),
        ("\n", 0),
    ]
    expected = [(token, learned) for text, learned in pieces for token in tokenizer(text)["input_ids"]]
    ids, mask = chat_ids(tokenizer, {"messages": messages, "tools": None})
    assert list(zip(ids, mask, strict=True)) == expected
