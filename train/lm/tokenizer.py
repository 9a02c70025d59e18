"""A byte-level BPE tokenizer trained on the data, with the special tokens and the chat template of Qwen and Hermes."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
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

    Numbers and words are never merged with their neighbours: a fact is copied in whole tokens, and the same word has
    the same token wherever it stands after a space.
    """
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator((_without_marks(text) for text in texts), trainer)
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
