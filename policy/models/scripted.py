"""A model that says what it was told to say: for tests, the demo, replays and load."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from policy.errors import ModelError
from policy.model import Completion, Message, Observer, Piece, Schema, ToolCall

__all__ = ["ScriptedModel", "calls", "says"]

_WORD = re.compile(r"\s*+\S++|\s++")

Step = Completion | Exception | Callable[[Sequence[Message]], Completion]


def calls(*wanted: tuple[str, Mapping[str, Any]], thought: str = "", content: str = "") -> Completion:
    """A reply that calls tools: `calls(("search", {"queries": ["x"]}))`."""
    made = tuple(
        ToolCall(f"call_{i}", name, json.dumps(arguments, ensure_ascii=False))
        for i, (name, arguments) in enumerate(wanted)
    )
    return Completion(content=content, thought=thought, tool_calls=made, finish="tool_calls")


def says(content: str, thought: str = "") -> Completion:
    """A reply in words."""
    return Completion(content=content, thought=thought)


class ScriptedModel:
    """Plays its steps in order: a completion, a function of the messages, or an error to raise.

    Tokens are counted as characters / 4, so that budgets and compaction can be tested. `start` skips the steps that a
    resumed episode has behind it; `delay` is what a reply takes, for load tests; an `observer` sees it being written.
    """

    name = "scripted"

    def __init__(
        self, steps: Sequence[Step], *, start: int = 0, delay: float = 0.0, observer: Observer | None = None
    ) -> None:
        self._steps = steps
        self._next = start
        self._delay = delay
        self._observer = observer
        self.seen: list[list[Message]] = []
        """The messages of every call, for tests."""

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        if self._observer is None:
            await asyncio.sleep(self._delay)
        self.seen.append(list(messages))
        if self._next >= len(self._steps):
            raise ModelError(f"the script ends after {len(self._steps)} replies")
        step = self._steps[self._next]
        self._next += 1
        if isinstance(step, Exception):
            raise step
        reply = step if isinstance(step, Completion) else step(messages)
        if self._observer is not None:
            await self._write(reply, self._observer)
        if reply.prompt_tokens or reply.completion_tokens:
            return reply
        prompt = sum(len(message.get("content") or "") for message in messages) // 4
        written = len(reply.content) + len(reply.thought) + sum(len(call.arguments) for call in reply.tool_calls)
        return dataclasses.replace(reply, prompt_tokens=prompt, completion_tokens=written // 4 + 1)

    async def _write(self, reply: Completion, observer: Observer) -> None:
        pieces = [Piece("thought", word) for word in _WORD.findall(reply.thought)]
        pieces += [Piece("content", word) for word in _WORD.findall(reply.content)]
        for number, call in enumerate(reply.tool_calls):
            pieces += [Piece("call", word, number, call.name) for word in _WORD.findall(call.arguments)]
        observer.begins()
        for piece in pieces:
            observer.writes(piece)
            await asyncio.sleep(self._delay / len(pieces))

    async def aclose(self) -> None:
        return None
