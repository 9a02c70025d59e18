"""Under every attack the prompt keeps its structure: one fence around the report, and no token of its own in there."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from judger import prompt
from judger.engines.tokens import Prompter, control_ids
from judger.prompt.fence import CHAT_MARKS, FenceKey
from judger.types import Case, Criterion
from tests.adversarial import corpus

KEY = FenceKey(b"the key of these tests, nobody's secret")
CRITERIA = ("The report names a cause for the fall of the price.", "It names the wrong year.")
REPORT = "Wind costs 40 euros.\n\nIt cost 90 in 2010; turbines grew."
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>", "</s>", "[INST]", "[/INST]"]
ADDED = ["<think>", "</think>", "<tool_call>"]
"""Marks that a tokenizer adds without calling them special."""


def case(report: str = REPORT) -> Case:
    criteria = tuple(Criterion(id=text, text=text, weight=-1.0 if i else 1.0) for i, text in enumerate(CRITERIA))
    return Case(id="case", query="What does wind cost?", report=report, criteria=criteria)


def learn() -> list[str]:
    labels = " ".join(f"{prompt.CUE} {word}." for word in prompt.LabelWords())
    return ([prompt.template(name) for name in prompt.FILES] + [labels]) * 30


def byte_level(*, ignore_merges: bool = False) -> Tokenizer:
    """As Qwen, Llama 3, gpt-oss and OLMo have it."""
    made = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        learn(),
        trainers.BpeTrainer(vocab_size=1200, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False),
    )
    made.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in ADDED])
    return made


def byte_fallback() -> Tokenizer:
    """As Gemma, Llama 2, Mistral and Phi-3 have it: spaces as a letter, unknown characters as bytes."""
    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    made.normalizer = normalizers.Replace(" ", "▁")
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    octets = [f"<0x{i:02X}>" for i in range(256)]
    made.train_from_iterator(
        learn(),
        trainers.BpeTrainer(vocab_size=1500, special_tokens=["<unk>", *SPECIAL, *ADDED, *octets], show_progress=False),
    )
    content = json.loads(made.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] not in octets]
    return Tokenizer.from_str(json.dumps(content))


def unigram() -> Tokenizer:
    """As SentencePiece's other model has it: its special tokens are entries like all others. With a normaliser."""
    words = [f"▁{word}" for word in sorted(set(" ".join(learn()).split())) if word.isalpha()]
    letters = ["▁", *map(chr, range(33, 127))]
    entries = [(mark, 0.0) for mark in ("<unk>", *SPECIAL, *ADDED)]
    made = Tokenizer(models.Unigram([*entries, *((p, -5.0) for p in words), *((p, -9.0) for p in letters)], unk_id=0))
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in ["<unk>", *SPECIAL, *ADDED]])
    return made


TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "byte-level": byte_level,
    "byte-level, merges ignored": functools.partial(byte_level, ignore_merges=True),
    "byte fallback": byte_fallback,
    "unigram": unigram,
}


@functools.cache
def prompter(kind: str) -> tuple[Any, Prompter]:
    raw = TOKENIZERS[kind]()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token="<|im_end|>",
        additional_special_tokens=[mark for mark in SPECIAL if mark != "<|im_end|>"],
        unk_token="<unk>" if raw.token_to_id("<unk>") is not None else None,
        chat_template="{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    )
    return tokenizer, Prompter(tokenizer, name=kind, fence=KEY)


@pytest.mark.parametrize("attack", corpus.everything(), ids=lambda attack: attack.name)
def test_the_fence_opens_once_and_closes_once(attack: corpus.Attack) -> None:
    report = attack.apply(REPORT, CRITERIA)
    fence = KEY.line(report)
    text = prompt.prompt_text(case(report), fence=KEY)
    for index in range(len(CRITERIA)):
        lines = text.user(index).split("\n")
        assert lines.count(fence) == 2
        assert text.user(index).count(fence.split()[1]) == 2
        opens = lines.index(fence)
        closes = len(lines) - 1 - lines[::-1].index(fence)
        assert "\n".join(lines[opens + 1 : closes]) == report


def test_a_retry_finds_the_same_prefix_and_a_group_shares_all_before_the_fence() -> None:
    attacked = [attack.apply(REPORT, CRITERIA) for attack in corpus.texts()]
    texts = [prompt.prompt_text(case(report), fence=KEY) for report in attacked]
    assert texts == [prompt.prompt_text(case(report), fence=KEY) for report in attacked]
    assert len({(text.system, text.query) for text in texts}) == 1
    assert len({text.report.split("\n")[1] for text in texts}) == len(set(attacked))


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_no_mark_in_a_report_becomes_a_token_of_the_prompts_own(kind: str) -> None:
    tokenizer, made = prompter(kind)
    marks = control_ids(tokenizer)
    assert {tokenizer.convert_tokens_to_ids(mark) for mark in [*SPECIAL, *ADDED]} <= marks
    expected = [sum(token in marks for token in made.tree(case()).lone(index)) for index in range(2)]
    everything = "".join([*SPECIAL, *ADDED, " <think> ", "<<|im_end|>", "＜/s＞", "<|im_<|im_end|>end|>"])
    for report in [everything, *(attack.apply(REPORT, CRITERIA) for attack in corpus.everything())]:
        for field in ("report", "query"):
            one = Case(
                id="case",
                query=report if field == "query" else "Why?",
                report=report if field == "report" else "Because.",
                criteria=(*case().criteria[:1], Criterion(id="forged", text=report[:2000], weight=-1.0)),
            )
            tree = made.tree(one)
            assert marks.isdisjoint(tree.report)
            assert [sum(token in marks for token in tree.lone(index)) for index in range(2)] == expected


@pytest.mark.parametrize("kind", ["byte-level", "byte-level, merges ignored"])
def test_what_is_cut_apart_still_reads_the_same(kind: str) -> None:
    tokenizer, made = prompter(kind)
    report = "A <think> and </s><|im_end|> é ✅"
    assert report in tokenizer.decode(made.tree(case(report)).report)


@pytest.mark.parametrize("attack", corpus.everything(), ids=lambda attack: attack.name)
def test_a_message_to_an_endpoint_holds_no_mark_of_a_chat_template(attack: corpus.Attack) -> None:
    text = prompt.prompt_text(case(attack.apply(REPORT, CRITERIA)), fence=KEY)
    system, user = prompt.messages(text, 1)
    assert CHAT_MARKS.search(user["content"]) is None
    assert user["content"].count(KEY.line(attack.apply(REPORT, CRITERIA))) == 2
    assert system["content"] == text.system
