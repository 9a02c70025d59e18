"""The body of an endpoint's answer, read as a completion, whatever the endpoint has put there.

Endpoints that do not parse their model's words send thoughts and calls as text: they are read here, as
`policy.models.hermes` reads them from tokens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from policy.model import Completion, Schema, ToolCall
from policy.models import hermes
from policy.models.marks import has_call, split_thought
from policy.whole import loads

__all__ = ["NoReply", "completion", "failure", "read", "text"]


class NoReply(Exception):
    """The body is no completion. The same request may get one, unless `status` says otherwise: what an endpoint that
    answers with 200 calls its error, in the numbers of HTTP."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def failure(error: Any) -> NoReply:
    """What an endpoint says in the place of a reply (llama.cpp, vLLM and proxies in a stream that has begun)."""
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return NoReply(f"the endpoint sent an error in place of a reply: {error}"[:2000], status=status)


def read(body: bytes, *, id_prefix: str, tools: Sequence[Schema] = ()) -> Completion:
    """The completion in a body. Raises NoReply that says what is there instead."""
    try:
        data = loads(body)
    except ValueError as error:
        shown = body[:80].decode("utf-8", "replace")
        raise NoReply(f"the endpoint's reply is no JSON ({error}): {shown!r}") from error
    return completion(data, id_prefix=id_prefix, tools=tools)


def completion(data: Any, *, id_prefix: str, tools: Sequence[Schema] = ()) -> Completion:
    """The completion in a body's JSON. Raises NoReply as `read` does."""
    if not isinstance(data, dict):
        raise NoReply(f"the endpoint's reply is a JSON {type(data).__name__} and no object")
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        if error := data.get("error"):
            raise failure(error)
        raise NoReply("the endpoint sent a reply without choices")
    choice = choices[0]
    if choice.get("finish_reason") == "error":
        raise failure(choice.get("error") or data.get("error") or "it says no more than that")
    message = choice.get("message")
    if not isinstance(message, dict):
        raise NoReply("the endpoint sent a choice without a message")
    listed = message.get("tool_calls")
    if not listed and isinstance(message.get("function_call"), dict):  # before there were several
        listed = [{"function": message["function_call"]}]
    calls, faults = _calls([listed] if isinstance(listed, dict) else listed, id_prefix)
    content = text(message.get("content"))
    # vLLM says `reasoning`, others `reasoning_content`.
    thought = text(message.get("reasoning_content")) or text(message.get("reasoning"))
    inner, content = split_thought(content)
    thought = "\n".join(filter(None, (thought, inner)))
    if not calls and has_call(content):
        content, _, calls, more = hermes.parse(content, id_prefix=id_prefix, tools=tools)
        faults = (*faults, *more)
    finish: Literal["stop", "length", "tool_calls"] = "tool_calls" if calls else "stop"
    if choice.get("finish_reason") == "length":
        finish = "length"
    usage = data.get("usage")
    return Completion(
        content=content,
        thought=thought,
        tool_calls=calls,
        malformed=faults,
        finish=finish,
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        logprobs=_logprobs(choice.get("logprobs")),
    )


def _calls(value: Any, id_prefix: str) -> tuple[tuple[ToolCall, ...], tuple[str, ...]]:
    calls: list[ToolCall] = []
    faults: list[str] = []
    for number, call in enumerate(value if isinstance(value, list) else ()):
        if not isinstance(call, dict) or call.get("type") not in (None, "function"):
            continue
        function = call.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            faults.append("a tool call must have a function with a name")
            continue
        arguments = function.get("arguments")
        if arguments is None or arguments == "":
            arguments = "{}"
        elif not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)  # Ollama's own form
        given = call.get("id")
        name = given if isinstance(given, str) and given else f"{id_prefix}_{number}"
        calls.append(ToolCall(name, function["name"], arguments))
    return tuple(calls), tuple(faults)


def text(value: Any) -> str:
    """A text, or the texts of a list of parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = (part.get("text") if isinstance(part, dict) else part for part in value)
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value > 0 else 0


def _logprobs(value: Any) -> tuple[float, ...] | None:
    tokens = value.get("content") if isinstance(value, dict) else None
    if not isinstance(tokens, list) or not tokens:
        return None
    found = [token.get("logprob") if isinstance(token, dict) else None for token in tokens]
    numbers = tuple(float(value) for value in found if isinstance(value, int | float))
    return numbers if len(numbers) == len(found) else None
