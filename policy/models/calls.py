"""The forms in which models write a tool call between `<tool_call>` and `</tool_call>`, told by how they begin.

    {"name": "search", "arguments": {"queries": ["mill"]}}                     Hermes, Qwen2.5, Qwen3
    <function=search><parameter=queries>["mill"]</parameter></function>        Qwen3.5, Qwen3-Coder, Nemotron 3
    search<arg_key>queries</arg_key><arg_value>["mill"]</arg_value>            GLM-4.5 and later

In the last two a text stands as it is and all else as JSON, so that only the tool's own schema can tell "12" from 12.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from policy.model import Schema, ToolCall
from policy.whole import loads

__all__ = ["read_call"]

_FUNCTION, _PARAMETER, _KEY, _VALUE = "<function=", "<parameter=", "<arg_key>", "<arg_value>"


def read_call(body: str, call_id: str, tools: Sequence[Schema] = ()) -> ToolCall | str:
    """The call in what stands between the marks, or what is wrong with it. `tools` give texts their types."""
    text = body.strip()
    if text.startswith(_FUNCTION):
        return _read_function(text, call_id, tools)
    if not text.startswith(("{", "[")) and _KEY in text:
        name, _, rest = text.partition(_KEY)
        return _of_pairs(name.strip(), _pairs_of_keys(_KEY + rest), call_id, tools)
    if _is_name(text, tools):
        return ToolCall(call_id, text, "{}")
    return _read_json(text, call_id)


def _read_json(text: str, call_id: str) -> ToolCall | str:
    try:
        value: Any = loads(text)
    except ValueError as error:
        return f"a tool call is not valid JSON ({error})"
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return 'a tool call must be a JSON object with "name" and "arguments"'
    arguments = value.get("arguments", {})
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(call_id, value["name"], written)


def _read_function(text: str, call_id: str, tools: Sequence[Schema]) -> ToolCall | str:
    begin = text.find(">")
    end = text.rfind("</function>")
    if begin < 0 or end < begin:
        return "a tool call that begins with <function=NAME> must end with </function>"
    return _of_pairs(text[len(_FUNCTION) : begin].strip(), _pairs_of_parameters(text, begin + 1, end), call_id, tools)


def _of_pairs(
    name: str, pairs: Iterable[tuple[str, str] | str], call_id: str, tools: Sequence[Schema]
) -> ToolCall | str:
    if not name:
        return "a tool call must name a tool"
    properties = _properties(name, tools)
    arguments: dict[str, Any] = {}
    for pair in pairs:
        if isinstance(pair, str):
            return pair
        key, value = pair
        arguments[key] = _typed(value, properties.get(key))
    return ToolCall(call_id, name, json.dumps(arguments, ensure_ascii=False))


def _pairs_of_parameters(text: str, place: int, end: int) -> Iterator[tuple[str, str] | str]:
    while (start := text.find(_PARAMETER, place, end)) >= 0:
        named = text.find(">", start, end)
        place = text.find("</parameter>", named, end) if named >= 0 else -1
        if place < 0:
            yield "a <parameter=NAME> of a tool call must end with </parameter>"
            return
        # One line break on each side belongs to the form, whatever else there is to the value.
        yield (
            text[start + len(_PARAMETER) : named].strip(),
            text[named + 1 : place].removeprefix("\n").removesuffix("\n"),
        )


def _pairs_of_keys(text: str) -> Iterator[tuple[str, str] | str]:
    place = 0
    while (start := text.find(_KEY, place)) >= 0:
        named = text.find("</arg_key>", start)
        begin = text.find(_VALUE, named) if named >= 0 else -1
        place = text.find("</arg_value>", begin) if begin >= 0 else -1
        if place < 0:
            yield "each <arg_key>NAME</arg_key> of a tool call needs its <arg_value>VALUE</arg_value>"
            return
        yield text[start + len(_KEY) : named].strip(), text[begin + len(_VALUE) : place]


def _typed(value: str, spec: Mapping[str, Any] | None) -> Any:
    kinds = _kinds(spec or {})
    if kinds == {"string"}:
        return value
    if (kinds and "string" not in kinds) or value.lstrip().startswith(("[", "{")):
        try:
            return loads(value)
        except ValueError:
            return value  # the tool says what is wrong with it
    return value


def _kinds(spec: Mapping[str, Any]) -> set[str]:
    """The JSON types that a parameter may have; empty where its schema does not say."""
    given = spec.get("type", [])
    kinds = {given} if isinstance(given, str) else set(given)
    for inner in (*spec.get("anyOf", ()), *spec.get("oneOf", ())):
        kinds |= _kinds(inner)
    return kinds


def _properties(name: str, tools: Sequence[Schema]) -> Mapping[str, Any]:
    for tool in tools:
        if tool["function"]["name"] == name:
            found: Mapping[str, Any] = tool["function"].get("parameters", {}).get("properties", {})
            return found
    return {}


def _is_name(text: str, tools: Sequence[Schema]) -> bool:
    """Whether a call is a tool's name alone, as GLM calls one without arguments."""
    return any(tool["function"]["name"] == text for tool in tools)
