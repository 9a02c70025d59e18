"""A byte-level tokenizer trained on the data, with the special tokens and the chat template of Qwen and Hermes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from importlib.resources import files

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

__all__ = ["END", "MARKS", "PAD", "chat_template", "train_tokenizer"]

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
MARKS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
"""Tokens of their own, but part of what is read: decoding with `skip_special_tokens` keeps them, as Qwen does."""


def chat_template() -> str:
    """The template that a tiny model is made with."""
    return files("train.lm").joinpath("chat_template.jinja").read_text(encoding="utf-8")


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> PreTrainedTokenizerFast:
    """A tokenizer of at most `vocab_size` tokens, learned from `texts`; any text decodes to what was encoded.

    The commonest words and numbers are a token each, with the space before them; all else is spelled in bytes. So a
    fact is copied in whole tokens, and none of a small vocabulary is spent on the pieces that merges leave on the way.
    """
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    counts = Counter(piece for text in texts for piece, _ in split.pre_tokenize_str(_without_marks(text)))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    room = vocab_size - len(letters) - len(MARKS) - 3
    words = [(word, count) for word, count in counts.most_common() if len(word) > 1][: max(0, room)]
    # Log-probabilities: a word as a whole is likelier than spelled out.
    scored = [(word, math.log(count / counts.total())) for word, count in words]
    raw = Tokenizer(
        models.Unigram([*((letter, -50.0) for letter in letters), *scored], unk_id=None, byte_fallback=False)
    )
    raw.pre_tokenizer = split
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([PAD, START, END])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token=END, pad_token=PAD, additional_special_tokens=[START],
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
    tokenizer.add_tokens(list(MARKS))
    tokenizer.chat_template = chat_template()
    return tokenizer


def _without_marks(text: str) -> str:
    """The text between the marks, so that no merges are spent on spelling them out."""
    for mark in (START, END, *MARKS):
        text = text.replace(mark, "\n")
    return text
