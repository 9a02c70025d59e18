"""The chat template as rollouts need it: a first prompt once, and after that only what is new, as text.

A history is never rendered and tokenized again: what is trained is what was sampled, token for token. The text between
two replies (tool results, the cue for the next reply) is found by rendering it behind a short stand-in conversation,
so that a template may treat earlier turns as it likes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from policy.errors import ConfigError
from policy.model import Message, Schema
from policy.trajectory import rendered

__all__ = ["ChatTemplate", "check_template"]

_STAND_IN: list[Message] = [{"role": "user", "content": "-"}, {"role": "assistant", "content": "-"}]
_GENERATION = re.compile(r"\{%-?\s*generation\b")
_PROBE: Schema = {
    "type": "function",
    "function": {
        "name": "probe_of_tools",
        "description": "Nothing.",
        "parameters": {"type": "object", "properties": {"x": {"type": "string", "description": "A word."}}},
    },
}


class ChatTemplate:
    """`tokenizer` is transformers'; its template must end each reply with `tokenizer.eos_token`."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.end: str = tokenizer.eos_token
        before, mark, self._tail = self._render(_STAND_IN, cue=False).rpartition(self.end)
        if not (before and mark):
            raise ConfigError(f"the chat template does not end a reply with {self.end!r}, the tokenizer's eos token")

    def first(self, messages: Sequence[Message], tools: Sequence[Schema]) -> list[int]:
        """The prompt of a conversation whose past, if it has one, was not sampled here."""
        return self._encode(self._render([rendered(m) for m in messages], tools=list(tools) or None, cue=True))

    def following(self, messages: Sequence[Message], *, has_ended: bool) -> list[int]:
        """The tokens between a sampled reply and the next, `messages` being what came of it.

        `has_ended`: the reply was sampled with its end token; a reply that was cut off gets one here.
        """
        base = self._render(_STAND_IN, cue=False)
        whole = self._render([*_STAND_IN, *messages], cue=True)
        if not whole.startswith(base):
            raise ConfigError(
                "the chat template rewrites a reply when messages follow it: it can't be used for rollouts"
            )
        return self._encode(("" if has_ended else self.end) + self._tail + whole[len(base) :])

    def _render(self, messages: Sequence[Message], *, cue: bool, tools: list[Schema] | None = None) -> str:
        text: str = self.tokenizer.apply_chat_template(
            list(messages), tools=tools, add_generation_prompt=cue, tokenize=False
        )
        return text

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def check_template(tokenizer: Any, name: str) -> None:
    """Raises ConfigError where the template lacks what training the agent needs."""
    template = tokenizer.chat_template
    if not isinstance(template, str):
        raise ConfigError(f"--model {name}: there is no chat template")
    if not _GENERATION.search(template):
        raise ConfigError(f"--model {name}: the chat template has no {{% generation %}} markers around replies")
    shown = tokenizer.apply_chat_template(
        [{"role": "user", "content": "-"}], tools=[_PROBE], add_generation_prompt=True, tokenize=False
    )
    if "probe_of_tools" not in shown:
        raise ConfigError(f"--model {name}: the chat template does not show the tools to the model")
    ChatTemplate(tokenizer)
