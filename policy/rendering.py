"""Messages as chat templates take them: the one place for training, rollouts and a model in this process.

The agent keeps the arguments of a call as the text that the model wrote. Templates want objects: Qwen2.5's applies
`tojson` to whatever it gets, so that a text would be encoded twice, and Qwen3.5's and GLM's walk over the members.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from policy.model import Message
from policy.whole import loads

__all__ = ["rendered"]


def rendered(message: Mapping[str, Any]) -> Message:
    """The message with each call's arguments as an object, and without keys that hold nothing.

    A call whose arguments are no JSON object is none that a template can write: it stands in the words, as a model
    writes it.
    """
    kept = {key: value for key, value in message.items() if value is not None}
    if not kept.pop("tool_calls", None):
        return kept
    calls: list[dict[str, Any]] = []
    words = [kept.get("content") or ""]
    for call in message["tool_calls"]:
        function = call["function"]
        arguments = function["arguments"]
        if isinstance(arguments, str):
            try:
                arguments = loads(arguments)
            except ValueError:
                arguments = None
        if isinstance(arguments, dict):
            calls.append({**call, "function": {**function, "arguments": arguments}})
        else:
            raw = function["arguments"]
            written = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)
            name = json.dumps(function["name"], ensure_ascii=False)
            words.append(f'<tool_call>\n{{"name": {name}, "arguments": {written}}}\n</tool_call>')
    kept["content"] = "\n".join(filter(None, words))
    return {**kept, "tool_calls": calls} if calls else kept
