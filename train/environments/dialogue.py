"""The agent turned inside out: who samples is asked by nobody, and hands in reply after reply instead.

The agent waits in a task of its own wherever it asks its model; `say` gives it that reply, and returns when it asks
again, or has ended. Tools are shown and called in the text, as the templates of Hermes and Qwen do it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from policy.context import estimate_tokens
from policy.episode import Episode
from policy.errors import ContextFull
from policy.model import Completion, Message, Model, Schema
from policy.models import hermes

__all__ = ["Asked", "Dialogue", "first_prompt", "results"]

_TOOLS = """\


# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the policy is shown next: only what is new."""

    messages: list[Message]


class Dialogue:
    """One episode. `run` gets the model that is to be asked, and brings the episode to its end."""

    def __init__(self, run: Callable[[Model], Awaitable[Episode]]) -> None:
        self._told: asyncio.Future[str] | None = None
        self._asks: asyncio.Queue[Asked] = asyncio.Queue()
        self._shown = 0
        self._task = asyncio.ensure_future(run(_Told(self)))

    async def next(self) -> Asked | Episode:
        """What the agent asks, or the ended episode. Raises what ended it."""
        asking = asyncio.ensure_future(self._asks.get())
        try:
            await asyncio.wait({asking, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not asking.done():
                asking.cancel()
        return asking.result() if asking.done() and not asking.cancelled() else await self._task

    async def say(self, reply: str) -> Asked | Episode:
        """The policy's reply to what was asked last, and what comes of it."""
        assert self._told is not None, "nothing was asked"
        self._told.set_result(reply)
        return await self.next()

    async def aclose(self) -> None:
        """End it, wherever it stands."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def ask(self, messages: Sequence[Message], tools: Sequence[Schema]) -> str:
        """The agent's side."""
        if self._shown > len(messages):
            raise ContextFull("the history was taken back, and the policy has it already")
        new = list(messages[self._shown :])
        self._told = asyncio.get_running_loop().create_future()
        self._asks.put_nowait(Asked(first_prompt(new, tools) if not self._shown else results(new)))
        # The reply itself is the policy's own, and comes next in the history.
        self._shown = len(messages) + 1
        return await self._told


class _Told:
    """A `policy.model.Model` that says what the policy is heard to say."""

    name = "policy"

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue, self._replies = dialogue, 0

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        text = await self._dialogue.ask(messages, tools)
        self._replies += 1
        content, thought, calls, faults = hermes.parse(text, id_prefix=f"call_{self._replies}", tools=tools)
        return Completion(
            content=content,
            thought=thought,
            tool_calls=calls,
            malformed=faults,
            finish="tool_calls" if calls else "stop",
            completion_tokens=estimate_tokens({"content": text}),
        )


def first_prompt(messages: Sequence[Message], tools: Sequence[Schema]) -> list[Message]:
    """The conversation's begin with the tools in its instructions, since a trainer's template is given none."""
    shown = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    system, *rest = [{"role": one["role"], "content": one["content"]} for one in messages]
    return [{**system, "content": system["content"] + _TOOLS.format(tools=shown)}, *rest]


def results(messages: Sequence[Message]) -> list[Message]:
    """What tools and agent said, as one message of the user, for templates that know no others."""
    parts = [
        f"<tool_response>\n{one['content']}\n</tool_response>" if one["role"] == "tool" else str(one["content"])
        for one in messages
    ]
    return [{"role": "user", "content": "\n".join(parts)}]
