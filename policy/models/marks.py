"""What models write around thoughts and calls where their endpoint does not read it: each family has marks of its own.

A report may speak of such marks. Then they stand in code, and are no marks.
"""

from __future__ import annotations

from policy.citations import outside_code
from policy.whole import loads

__all__ = ["has_call", "split_thought"]

_THOUGHTS = (
    ("<think>", "</think>"),  # DeepSeek, Qwen, GLM, Nemotron
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),  # gpt-oss
)
_CALLS = (
    "<tool_call>",  # Hermes, Qwen, GLM
    "<tool_calls>",
    "<function_call>",
    "<function_calls>",
    "<function=",  # Qwen-Coder, Llama
    "<|tool_call",  # Phi, Kimi's sections
    "<|python_tag|>",  # Llama
    "<|action_start|>",  # InternLM
    "<|channel|>commentary to=",  # gpt-oss
    "<seed:tool_call>",
    "<minimax:tool_call>",
    "<｜tool▁call",  # DeepSeek
    "[TOOL_CALLS]",  # Mistral
    "✿FUNCTION✿",  # Qwen-Agent
)
_NAMES = ("name", "function", "tool", "action")
_ARGUMENTS = ("arguments", "parameters", "args", "input", "action_input")
_SHORT = 400
"""Characters of a reply beside its code up to which the code is what it says."""


def split_thought(text: str, *, in_thought: bool = False) -> tuple[str, str]:
    """(thought, rest). A thought that never ends is all thought: the reply was cut off.

    `in_thought`: the prompt has begun it, with `<think>`. Where nobody says so, its end tells.
    """
    start = text.lstrip()
    opening, closing = next((pair for pair in _THOUGHTS if start.startswith(pair[0])), _THOUGHTS[0])
    is_open = in_thought or start.startswith(opening)
    body = start.removeprefix(opening) if is_open else text
    end = _outside_code(body, closing)
    if end < 0:
        return (body.strip(), "") if is_open else ("", text)
    rest = body[end + len(closing) :].strip()
    while rest.startswith(closing):  # some end it twice
        rest = rest.removeprefix(closing).strip()
    return body[:end].strip(), rest


def has_call(text: str) -> bool:
    """Whether a reply's words hold what is meant as a call, in any family's form."""
    words = "\n".join(part for is_code, part in outside_code(text) if not is_code)
    if len(words) <= _SHORT:
        words = text
        if _is_json_call(text):
            return True
    return any(mark in words for mark in _CALLS)


def _is_json_call(text: str) -> bool:
    """A call as JSON and nothing but that, alone or as a block of code."""
    inner = text.strip().strip("`").removeprefix("json").strip()
    if not inner.startswith(("{", "[")):
        return False
    try:
        value = loads(inner)
    except ValueError:
        return False
    calls = value if isinstance(value, list) else [value]
    return bool(calls) and all(
        isinstance(call, dict)
        and any(isinstance(call.get(name), str | dict) for name in _NAMES)
        and any(name in call or name in (call.get("function") or ()) for name in _ARGUMENTS)
        for call in calls
    )


def _outside_code(text: str, mark: str) -> int:
    """Where the mark stands first, but for whole spans and blocks of code; -1 where it does not."""
    place = 0
    for is_code, part in outside_code(text):
        # A block of code that is not closed may be a thought's that was left.
        is_whole = is_code and part.rstrip().endswith(("`", "~"))
        if not is_whole and (found := part.find(mark)) >= 0:
            return place + found
        place += len(part)
    return -1
