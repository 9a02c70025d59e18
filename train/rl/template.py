"""The chat template as rollouts need it: a first prompt once, and after that only what is new, as text.

A history is never rendered and tokenized again: what is trained is what was sampled, token for token. The text between
two replies (tool results, the cue for the next reply) is found by rendering it behind a short stand-in conversation,
so that a template may treat earlier turns as it likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from policy.errors import ConfigError
from policy.model import Message, Schema
from train.templates import end_of, render, stand_in

__all__ = ["ChatTemplate"]


class ChatTemplate:
    """`tokenizer` is transformers'; its template must end each reply with `tokenizer.eos_token`."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.end: str = tokenizer.eos_token
        self._tail = end_of(tokenizer)

    def first(self, messages: Sequence[Message], tools: Sequence[Schema]) -> list[int]:
        """The prompt of a conversation whose past, if it has one, was not sampled here."""
        return self._encode(render(self.tokenizer, messages, cue=True, tools=tools))

    def following(self, messages: Sequence[Message], *, has_ended: bool) -> list[int]:
        """The tokens between a sampled reply and the next, `messages` being what came of it.

        `has_ended`: the reply was sampled with its end token; a reply that was cut off gets one here.
        """
        # Templates may look whether a result has its call.
        before = stand_in(sum(message["role"] == "tool" for message in messages))
        base = render(self.tokenizer, before, cue=False)
        whole = render(self.tokenizer, [*before, *messages], cue=True)
        if not whole.startswith(base):
            raise ConfigError(
                "the chat template rewrites a reply when messages follow it: it can't be used for rollouts"
            )
        return self._encode(("" if has_ended else self.end) + self._tail + whole[len(base) :])

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
