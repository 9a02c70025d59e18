"""Real chat templates (TRL ships them, Apache-2.0): the door, what SFT teaches, and what a rollout goes on with."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from policy.errors import ConfigError
from policy.models import hermes
from policy.rendering import rendered
from tests.train.rl.conftest import make_tokenizer
from train.lm.rows import chat_ids
from train.rl.template import ChatTemplate
from train.templates import check_template, take_up

READ = [
    "qwen2_5_training",
    "qwen3_training",
    "qwen3_instruct_2507_training",
    "qwen3_5_think_training",
    "qwen3_5_nothink_training",
    "qwen3_6_training",
    "qwen3_8_training",
    "nemotron_3_nano_training",
    "nemotron_3_ultra_training",
]
ARGUMENTS = {"queries": ['the "Elm" bridge', "Łódź\n\n</x>"], "results": 2}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Finds.",
            "parameters": {
                "type": "object",
                "properties": {
                    "queries": {"type": "array", "items": {"type": "string"}, "description": "What."},
                    "results": {"type": "integer", "description": "How many."},
                },
            },
        },
    }
]


def call(arguments: str) -> dict:
    return {"id": "c_0", "type": "function", "function": {"name": "search", "arguments": arguments}}


def conversation(arguments: str) -> list[dict]:
    """As a dataset's row holds it: arguments as text, keys without a value."""
    nothing = {"tool_calls": None, "tool_call_id": None}
    return [
        {"role": "user", "content": "Which?", **nothing},
        {"role": "assistant", "content": "I look.", "tool_calls": [call(arguments)], "tool_call_id": None},
        {"role": "tool", "content": "[elm#1] The Elm bridge.", "tool_calls": None, "tool_call_id": "c_0"},
        {"role": "assistant", "content": "The Elm bridge.", **nothing},
    ]


@pytest.fixture(scope="module")
def tokenizer():
    made = make_tokenizer()
    marks = ["<|endoftext|>", "<|user|>", "<|observation|>", "<|assistant|>", "<think>", "</think>"]
    made.add_special_tokens({"additional_special_tokens": marks})
    return made


@pytest.fixture
def templated(tokenizer):
    def make(name: str, eos: str = "<|im_end|>"):
        take_up(tokenizer, name, eos)
        return tokenizer

    yield make
    tokenizer.eos_token = "<|im_end|>"


@pytest.mark.parametrize("name", READ)
def test_what_sft_teaches_is_read_as_the_call_that_was_made(name, templated):
    """Qwen2.5's template would encode a text of arguments twice; the XML ones would fail at it."""
    tokenizer = templated(name)
    ids, mask = chat_ids(tokenizer, {"messages": conversation(json.dumps(ARGUMENTS)), "tools": json.dumps(TOOLS)})
    learned = tokenizer.decode([token for token, m in zip(ids, mask, strict=True) if m])
    first, second, _ = learned.split("<|im_end|>")
    content, _, (made,), faults = hermes.parse(first, tools=TOOLS)
    assert (content, made.name, json.loads(made.arguments), faults) == ("I look.", "search", ARGUMENTS, ())
    assert hermes.parse(second)[0] == "The Elm bridge."


@pytest.mark.parametrize("name", READ)
def test_a_rollout_goes_on_as_the_template_writes_the_whole(name, templated):
    """The prompt, the reply as the template writes it, and what follows it: the words of the conversation in one go."""
    tokenizer = templated(name)
    check_template(tokenizer, name)
    template, messages = ChatTemplate(tokenizer), conversation(json.dumps(ARGUMENTS))
    messages[1]["reasoning_content"] = "Which one?"
    following = tokenizer.decode(template.following([messages[2]], has_ended=True))
    assert following.count("[elm#1] The Elm bridge.") == 1
    whole = tokenizer.apply_chat_template(
        [rendered(m) for m in messages[:3]], tools=TOOLS, tokenize=False, add_generation_prompt=True
    )
    assert whole.endswith(following)
    assert whole[: -len(following)].endswith("<|im_end|>")


def test_arguments_that_are_no_object_stand_in_the_words(templated):
    tokenizer = templated("qwen3_5_think_training")  # whose template walks over their members
    for wrong in ('{"queries": ["a"', '["a"]', '"a"'):
        ids, _ = chat_ids(tokenizer, {"messages": conversation(wrong), "tools": TOOLS})
        assert f'<tool_call>\n{{"name": "search", "arguments": {wrong}}}\n</tool_call>' in tokenizer.decode(ids)


def test_a_base_model_is_taken_with_the_end_that_its_template_writes(templated):
    tokenizer = templated("qwen2_5_training", "<|endoftext|>")
    with pytest.raises(ConfigError, match=r"it writes '<\|im_end\|>' there: give --eos-token '<\|im_end\|>'"):
        check_template(tokenizer, "Qwen/Qwen2.5-7B")
    take_up(tokenizer, None, "<|im_end|>")
    check_template(tokenizer, "Qwen/Qwen2.5-7B")


@pytest.mark.parametrize(
    ("name", "eos", "said"),
    [
        ("qwen3", "<|im_end|>", "--chat-template qwen3_training"),
        ("qwen2_5_vl_training", "<|im_end|>", "calls that the chat template writes can't be read"),
        ("lfm2_v2_training", "<|im_end|>", "can't be read"),
        ("glm4moe_training", "<|user|>", "does not end with '<|user|>' as one without does"),
    ],
)
def test_what_would_teach_nothing_is_refused_at_the_door(name, eos, said, templated):
    with pytest.raises(ConfigError) as error:
        check_template(templated(name, eos), name)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ("{{- message.content }}\n        {{- '\\n</tool_response>' }}", "does not show a call's result"),
        ('message.role == "tool"', "does not show a call's result"),
    ],
)
def test_a_result_must_come_through(spoiled, said, templated):
    tokenizer = templated("qwen2_5_training")
    text = tokenizer.chat_template
    assert spoiled in text
    replaced = 'message.role == "other"' if "role" in spoiled else ""
    tokenizer.chat_template = text.replace(spoiled, replaced)
    with pytest.raises(ConfigError, match=said):
        check_template(tokenizer, "m")


def test_a_template_of_nobodys_is_named(tokenizer):
    with pytest.raises(ConfigError, match="qwen2_5_training"):
        take_up(tokenizer, "qwen9", None)
    with pytest.raises(ConfigError, match="no token of this tokenizer"):
        take_up(tokenizer, None, "<|nothing|>")
    assert files("trl").joinpath("chat_templates/qwen3_training.jinja").is_file()
