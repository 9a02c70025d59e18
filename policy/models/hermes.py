"""The tool-call format of Hermes and Qwen chat templates, read from raw text.

    <think> ... </think> words <tool_call>{"name": "search", "arguments": {...}}</tool_call>

Only calls after the thought count. What looks like a call and cannot be read is reported, not raised, so that the
agent can tell the model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from policy.model import Completion, ToolCall
from policy.whole import loads

__all__ = ["completion", "parse"]

_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)


def completion(
    tokenizer: Any,
    written: Sequence[int],
    *,
    has_ended: bool,
    prompt_tokens: int,
    id_prefix: str,
    logprobs: Sequence[float] | None = None,
) -> Completion:
    """The reply in sampled tokens. `has_ended`: the last of them ends the turn; without it the reply was cut off."""
    text = tokenizer.decode(list(written[:-1] if has_ended else written), skip_special_tokens=False)
    content, thought, calls, faults = parse(text, id_prefix=id_prefix)
    return Completion(
        content=content,
        thought=thought,
        tool_calls=calls,
        malformed=faults,
        finish="length" if not has_ended else "tool_calls" if calls else "stop",
        prompt_tokens=prompt_tokens,
        completion_tokens=len(written),
        token_ids=tuple(written),
        logprobs=None if logprobs is None else tuple(logprobs),
    )


def parse(text: str, *, id_prefix: str = "call") -> tuple[str, str, tuple[ToolCall, ...], tuple[str, ...]]:
    """(content, thought, calls, faults) of a reply. A call with a fault stays in the content as it was written."""
    thought, separator, rest = text.rpartition("</think>")
    if not separator:
        # A thought that never ends is all thought: the reply was cut off.
        if text.lstrip().startswith("<think>"):
            return "", text.lstrip().removeprefix("<think>").strip(), (), ()
        thought, rest = "", text
    calls: list[ToolCall] = []
    faults: list[str] = []

    def read(match: re.Match[str]) -> str:
        call = _read(match.group(1), f"{id_prefix}_{len(calls)}")
        if not match.group(0).endswith("</tool_call>"):
            call = "the call is cut off before </tool_call>"
        if isinstance(call, str):
            faults.append(call)
            return match.group(0)
        calls.append(call)
        return ""

    content = _CALL.sub(read, rest).strip()
    return content, thought.strip().removeprefix("<think>").strip(), tuple(calls), tuple(faults)


def _read(body: str, call_id: str) -> ToolCall | str:
    try:
        value: Any = loads(body)
    except ValueError as error:
        return f"a tool call is not valid JSON ({error})"
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return 'a tool call must be a JSON object with "name" and "arguments"'
    arguments = value.get("arguments", {})
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(call_id, value["name"], written)
