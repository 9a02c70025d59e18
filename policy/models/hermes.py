"""Replies as raw text: a thought, words, and calls between the marks of Hermes, Qwen, Nemotron and GLM templates.

    <think> ... </think> words <tool_call>...</tool_call>

What stands between the marks is read by `policy.models.calls`. Only calls after the thought count. What looks like a
call and cannot be read is reported, not raised, so that the agent can tell the model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from policy.model import Completion, Schema, ToolCall
from policy.models.calls import read_call
from policy.models.marks import split_thought

__all__ = ["completion", "opens_thought", "parse"]

_TAIL = 16
"""Tokens of a prompt that hold its cue, also where each is a byte."""
_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)


def completion(
    tokenizer: Any,
    prompt: Sequence[int],
    written: Sequence[int],
    *,
    has_ended: bool,
    id_prefix: str,
    tools: Sequence[Schema] = (),
    logprobs: Sequence[float] | None = None,
) -> Completion:
    """The reply in sampled tokens. `has_ended`: the last of them ends the turn; without it the reply was cut off."""
    text = tokenizer.decode(list(written[:-1] if has_ended else written), skip_special_tokens=False)
    tail = tokenizer.decode(list(prompt[-_TAIL:]), skip_special_tokens=False)
    content, thought, calls, faults = parse(text, id_prefix=id_prefix, tools=tools, in_thought=opens_thought(tail))
    return Completion(
        content=content,
        thought=thought,
        tool_calls=calls,
        malformed=faults,
        finish="length" if not has_ended else "tool_calls" if calls else "stop",
        prompt_tokens=len(prompt),
        completion_tokens=len(written),
        token_ids=tuple(written),
        logprobs=None if logprobs is None else tuple(logprobs),
    )


def opens_thought(prompt: str) -> bool:
    """Whether a prompt has begun the reply's thought, as the cues of thinking models do."""
    return prompt.rstrip().endswith("<think>")


def parse(
    text: str, *, id_prefix: str = "call", tools: Sequence[Schema] = (), in_thought: bool = False
) -> tuple[str, str, tuple[ToolCall, ...], tuple[str, ...]]:
    """(content, thought, calls, faults) of a reply. A call with a fault stays in the content as it was written."""
    thought, rest = split_thought(text, in_thought=in_thought)
    calls: list[ToolCall] = []
    faults: list[str] = []

    def read(match: re.Match[str]) -> str:
        call = read_call(match.group(1), f"{id_prefix}_{len(calls)}", tools)
        if not match.group(0).endswith("</tool_call>"):
            call = "the call is cut off before </tool_call>"
        if isinstance(call, str):
            faults.append(call)
            return match.group(0)
        calls.append(call)
        return ""

    content = _CALL.sub(read, rest).strip()
    return content, thought, tuple(calls), tuple(faults)
