"""What the agent needs of a chat model: one method. The models behind it are in `policy.models`.

Who wants to see a reply while it is written gives the model an `Observer`; nothing is recorded of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from policy.whole import loads, whole_text

__all__ = ["Completion", "Message", "Model", "Observer", "Piece", "Schema", "ToolCall"]

Message = dict[str, Any]
"""A message in the chat format of OpenAI-compatible endpoints; `reasoning_content` holds a thought."""

Schema = dict[str, Any]
"""A tool in the format {"type": "function", "function": {"name", "description", "parameters"}}."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call the model asks for. `arguments` is what the model wrote, so it may not be JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One reply of the model."""

    content: str = ""
    thought: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    malformed: tuple[str, ...] = ()
    """Why each call that could not be read as one was not; the text itself stays in `content`."""
    finish: Literal["stop", "length", "tool_calls"] = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    """Log-probability of each generated token, where the model gives them."""

    def message(self) -> Message:
        """The assistant message that stands for this reply in the history."""
        message: Message = {"role": "assistant", "content": whole_text(self.content)}
        if self.thought:
            message["reasoning_content"] = whole_text(self.thought)
        if self.tool_calls:
            message["tool_calls"] = [
                {
                    "id": whole_text(call.id),
                    "type": "function",
                    "function": {"name": whole_text(call.name), "arguments": _whole_arguments(call.arguments)},
                }
                for call in self.tool_calls
            ]
        return message


def _whole_arguments(text: str) -> str:
    """The same without half characters, escaped ones too: an endpoint can't put them in a prompt."""
    text = whole_text(text)
    if "\\u" not in text:
        return text
    try:
        value = loads(text)
        return text if json.loads(text) == value else json.dumps(value, ensure_ascii=False)
    except ValueError:
        return text


class Model(Protocol):
    """Anything that continues a conversation."""

    @property
    def name(self) -> str: ...

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        """One reply of at most `max_tokens` tokens. With `use_tools` off the model must answer in words.

        Raises ModelError where there will be no reply, ContextFull where a shorter history would help, ModelAway where
        the same may be asked again later.
        """
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Piece:
    """Some characters of a reply, as they come: of its thought, its content, or the arguments of a call."""

    kind: Literal["thought", "content", "call"]
    text: str
    call: int = 0
    """Which call of the reply, from 0."""
    name: str = ""
    """Its tool, as far as it is known."""


class Observer(Protocol):
    """Sees replies while they are written. It is called on the event loop, and must be quick."""

    def begins(self) -> None:
        """A reply is asked for. What was shown of one before it, which broke off, is void."""
        ...

    def writes(self, piece: Piece) -> None: ...

    def waits(self, seconds: float, reason: str) -> None:
        """The reply broke off or did not come; the same is asked again in so many seconds."""
        ...
