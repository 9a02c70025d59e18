"""A tool: a typed function with a Google-style docstring, its JSON schema, and the one place where calls can fail.

The same functions satisfy `transformers.utils.get_json_schema`, so that a trainer can offer them as they are.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from policy.errors import ToolError
from policy.model import Schema, ToolCall
from policy.sources import Source
from policy.whole import loads, whole

__all__ = ["Result", "Tool", "ToolAnswer", "Toolbox", "tool"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool gives back: text for the model, and the passages in it that a report may cite."""

    text: str
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What came of a call, failures included."""

    text: str
    is_error: bool = False
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A name, a schema and what to call with the arguments. Raises ToolError for what the model can mend."""

    name: str
    description: str
    parameters: dict[str, Any]
    call: Callable[[dict[str, Any]], Awaitable[Result]] = field(repr=False)
    only_reads: bool = False
    """It changes nothing, so that it may run beside others."""

    @property
    def schema(self) -> Schema:
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": self.parameters},
        }


def tool(function: Callable[..., Any], *, name: str | None = None, only_reads: bool = False) -> Tool:
    """The tool that `function` is: sync or async, returning str or Result, all parameters typed and described."""
    description, described = _read_docstring(function)
    hints = get_type_hints(function)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], Field(default, description=described[parameter.name]))
    model = create_model(name or function.__name__, __config__=ConfigDict(extra="forbid"), **fields)

    async def call(arguments: dict[str, Any]) -> Result:
        result = function(**_validate(model, arguments))
        if inspect.isawaitable(result):
            result = await result
        return result if isinstance(result, Result) else Result(str(result))

    return Tool(
        name=name or function.__name__,
        description=description,
        parameters=_parameters(model),
        call=call,
        only_reads=only_reads,
    )


class Toolbox:
    """The tools of one episode. `call` never raises for anything that a model or a tool does."""

    def __init__(self, tools: Iterable[Tool], *, seconds: float = 120.0) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._seconds = seconds
        self.schemas: list[Schema] = [tool.schema for tool in self._tools.values()]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    def only_reads(self, call: ToolCall) -> bool:
        """Whether the call may be carried out beside others."""
        tool = self._tools.get(call.name)
        return tool is not None and tool.only_reads

    async def call(self, call: ToolCall) -> ToolAnswer:
        tool = self._tools.get(call.name)
        if tool is None:
            return ToolAnswer(f"There is no tool named {call.name!r}. The tools are: {', '.join(self._tools)}.", True)
        try:
            arguments = loads(call.arguments or "{}")
        except ValueError as error:
            return ToolAnswer(
                f"The arguments are not valid JSON ({error}). Nothing was done; send the call again.", True
            )
        if not isinstance(arguments, dict):
            return ToolAnswer("The arguments must be a JSON object. Nothing was done; send the call again.", True)
        try:
            async with asyncio.timeout(self._seconds):
                result = await tool.call(arguments)
        except ToolError as error:
            return ToolAnswer(str(error), True)
        except TimeoutError:
            return ToolAnswer(f"{call.name} took more than {self._seconds:g} s and was stopped.", True)
        except Exception as error:  # a bug in one tool must not end the episode; it is logged with its trace
            log.exception("tool %s failed", call.name)
            return ToolAnswer(f"{call.name} failed: {type(error).__name__}: {error}", True)
        return ToolAnswer(result.text, False, tuple(_whole(source) for source in result.sources))


def _whole(source: Source) -> Source:
    return Source(**whole(asdict(source)))


def _validate(model: type[BaseModel], arguments: dict[str, Any]) -> dict[str, Any]:
    lenient = {
        key: _as_list(value) if key in model.model_fields and _is_list(model.model_fields[key].annotation) else value
        for key, value in arguments.items()
    }
    try:
        checked = model.model_validate(lenient)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        known = ", ".join(model.model_fields)
        raise ToolError(f"Wrong arguments: {faults}. The arguments are: {known}. Nothing was done.") from error
    return {name: getattr(checked, name) for name in model.model_fields}


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) in (list, Sequence)


def _as_list(value: Any) -> Any:
    """Small models write one string, or a list inside a string, where a list of strings is asked for."""
    if not isinstance(value, str):
        return value
    try:
        inner = loads(value)
    except ValueError:
        return [value]
    return inner if isinstance(inner, list) else [value]


def _parameters(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    properties = {
        name: {key: value for key, value in spec.items() if key != "title"}
        for name, spec in schema["properties"].items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": schema.get("required", []),
        "additionalProperties": False,
    }


def _read_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """(description, {parameter: description}) of a Google-style docstring."""
    text = inspect.getdoc(function) or ""
    description, _, rest = text.partition("\nArgs:\n")
    arguments = re.split(r"\n\n?(?=\w+:\n)", rest)[0]
    found = re.findall(r"^ {4}(\w+)(?: \([^)]*\))?: (.*(?:\n {5,}.*)*)", arguments, re.MULTILINE)
    return description.strip(), {name: re.sub(r"\s+", " ", words) for name, words in found}
