"""Models that need no weights, behind the agent's own interface: a baseline of one search, and one that goes on."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from policy.model import Completion, Message, Schema
from policy.models.scripted import calls, says
from train.synth.brief import Brief
from train.synth.seeking import seeking_steps

__all__ = ["ClueSolver", "OneSearch"]

_CHECKED = (
    "That page was found by the words of the question, and it was not checked that it fits each part of it. "
    "I look for the parts one by one."
)
_SHOWN = re.compile(r"^\[([^\]\s]{1,200})\] ([^\n]*)$", re.MULTILINE)


def _results(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """(key, title) of what the last search showed."""
    last = next((m["content"] for m in reversed(messages) if m["role"] == "tool"), "")
    return [(key, title.partition(", ")[0].removesuffix(" (see above)")) for key, title in _SHOWN.findall(last)]


class OneSearch:
    """A plain ReAct baseline: searches for the question once, and answers with one of the pages that it is shown."""

    name = "one-search"

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        if not any(message["role"] == "tool" for message in messages):
            return calls(("search", {"queries": [messages[1]["content"]]}))
        found = _results(messages)
        if not found:
            return says("I could not find it.")
        # The best most of the time, as a sampled policy would.
        place = min(len(found) - 1, int(self._draw.expovariate(1.0)))
        key, title = found[place]
        return says(f"The page that fits best is {title} \\cite{{{key}}}.\n\nThe answer is {title}.")

    async def aclose(self) -> None:
        return None


class ClueSolver:
    """Begins as the baseline does; told that this was wrong, it follows the clues one by one and opens the page."""

    name = "demonstration"

    def __init__(self, brief: Brief, draw: random.Random) -> None:
        self._first = OneSearch(draw)
        self._steps = seeking_steps(brief, _CHECKED)

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        hints = [place for place, message in enumerate(messages) if place > 1 and message["role"] == "user"]
        if not hints:
            return await self._first.complete(messages, tools, max_tokens=max_tokens, use_tools=use_tools)
        if len(hints) > 1:
            return says("I could not find it.")
        turn = sum(message["role"] == "assistant" for message in messages[hints[0] :])
        step = self._steps[turn]
        return step if isinstance(step, Completion) else step(messages)

    async def aclose(self) -> None:
        return None
