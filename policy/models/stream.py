"""A reply that comes in pieces (server-sent events), put together to the body that it would have been in one.

Endpoints leave out, repeat or misnumber what tells one call from another (Ollama numbers all calls 0, Gemini and SGLang
send no number, LocalAI sends one call under two): a call is told by its id first, then by its number.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from policy.model import Completion, Observer, Piece, Schema
from policy.models import reply
from policy.models.reply import NoReply
from policy.whole import loads

__all__ = ["read"]

_MOST_BYTES = 64 * 2**20
"""Of one reply. The longest that was seen has a hundredth of it."""
_BEFORE = b"\xef\xbb\xbf \t\r\n"
_STREAM = re.compile(rb"(?:data|event|id|retry|error)?:")


async def read(
    chunks: AsyncIterator[bytes],
    observer: Observer | None,
    *,
    begins: Callable[[], None] = lambda: None,
    stall: float,
    id_prefix: str,
    tools: Sequence[Schema] = (),
) -> Completion:
    """The completion in a body that comes in chunks: a stream, or one JSON where the endpoint does not stream.

    `begins` is told of a stream's first piece; `stall` is how many seconds may pass without a chunk once there was one.
    Raises NoReply, also where the stream stalls or breaks off.
    """
    received = _bounded(chunks, stall)
    head = b""
    async for chunk in received:
        head = (head + chunk).lstrip(_BEFORE)  # at each: proxies keep a connection with blank lines, for minutes
        if len(head) > 5:
            break
    # What the header calls it is not to be relied on.
    if not _STREAM.match(head):
        return reply.read(head + b"".join([chunk async for chunk in received]), id_prefix=id_prefix, tools=tools)
    body = _Body(observer)
    async for kind, data in _events(_behind(head, received)):
        had_begun = body.has_begun
        body.add(kind, data)
        if body.has_begun and not had_begun:
            begins()
    return reply.completion(body.whole(), id_prefix=id_prefix, tools=tools)


async def _bounded(chunks: AsyncIterator[bytes], stall: float) -> AsyncIterator[bytes]:
    size, begun = 0, False
    while True:
        try:
            async with asyncio.timeout(stall if begun else None):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise NoReply(f"the reply stood still for {stall:g} s") from error
        size, begun = size + len(chunk), True
        if size > _MOST_BYTES:
            raise NoReply(f"the reply has more than {_MOST_BYTES:,} bytes")
        yield chunk


async def _behind(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in chunks:
        yield chunk


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    pending: list[bytes] = []
    async for chunk in chunks:
        pending.append(chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            continue  # joined once, and not at each chunk of a long line
        lines = b"".join(pending).splitlines(keepends=True)
        # A line end of two characters may be cut between them.
        pending = [] if lines[-1].endswith(b"\n") else [lines.pop()]
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r\n")
    for line in b"".join(pending).splitlines():
        yield line.decode("utf-8", "replace")


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, Any]]:
    """(kind, JSON) of each event; "[DONE]" is a text. An event's data may have several lines, or none between two.

    A first line is tried as it comes, several once, at the event's end: tried at each, an event without end would hold
    the event loop for the square of its lines.
    """
    kind, parts = "", list[str]()
    async for line in _lines(chunks):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                kind = value
            case "data" | "error":  # llama.cpp had a field of its own for errors
                kind = "error" if field == "error" else kind
                data, is_whole = (None, False) if parts else _json(value)
                if is_whole:
                    yield kind, data
                else:
                    parts.append(value)
            case "" if not line:
                if parts:
                    yield kind, _joined(parts, "holds what is no JSON")
                kind, parts = "", []
    if parts:
        yield kind, _joined(parts, "breaks off within an event")


def _joined(parts: list[str], otherwise: str) -> Any:
    data, is_whole = _json("\n".join(parts))
    if not is_whole:
        raise NoReply(f"the stream {otherwise}: {parts[0][:80]!r}")
    return data


def _json(text: str) -> tuple[Any, bool]:
    if text.strip() == "[DONE]":
        return "[DONE]", True
    if not text.strip():
        return None, True
    try:
        return loads(text), True
    except ValueError:
        return None, False


@dataclass(eq=False)
class _Call:
    """A call as far as it has come; told from others by itself, as two may say the same."""

    index: int | None
    id: str = ""
    name: str = ""
    arguments: str = ""


class _Body:
    """What the pieces add up to."""

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer
        self._content: list[str] = []
        self._thought: list[str] = []
        self._calls: list[_Call] = []
        self._logprobs: list[Any] = []
        self._usage: Any = None
        self._finish: Any = None
        self._error: Any = None
        self.has_begun = self._is_done = False

    def add(self, kind: str, data: Any) -> None:
        """Take in an event. Raises NoReply where it is an error."""
        if data == "[DONE]":
            self._is_done = True
            return
        if not isinstance(data, dict):
            return
        if kind == "error" or data.get("error"):
            raise reply.failure(data.get("error") or data)
        if isinstance(data.get("usage"), dict):
            self._usage = data["usage"]
        choices = data.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return
        self.has_begun = True
        self._finish = choice.get("finish_reason") or self._finish
        self._error = choice.get("error") or self._error
        if isinstance(probabilities := choice.get("logprobs"), dict):
            tokens = probabilities.get("content")
            self._logprobs += tokens if isinstance(tokens, list) else []
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            self._text("thought", reply.text(delta.get("reasoning_content")) or reply.text(delta.get("reasoning")))
            self._text("content", reply.text(delta.get("content")))
            calls = delta.get("tool_calls")
            for call in calls if isinstance(calls, list) else ():
                if isinstance(call, dict):
                    self._call(call)

    def _text(self, kind: Any, text: str) -> None:
        if text:
            (self._thought if kind == "thought" else self._content).append(text)
            self._tell(Piece(kind, text))

    def _call(self, delta: dict[str, Any]) -> None:
        function = delta.get("function")
        function = function if isinstance(function, dict) else {}
        name = function["name"] if isinstance(function.get("name"), str) else ""
        call = self._meant(delta, name)
        if name and name != call.name:
            call.name += name
        arguments = function.get("arguments")
        if isinstance(arguments, dict | list):  # Ollama's own form
            arguments = json.dumps(arguments, ensure_ascii=False)
        if not isinstance(arguments, str) or (arguments == call.arguments and _is_object(arguments)):
            arguments = ""  # or the whole call once more
        call.arguments += arguments
        if arguments or name:
            self._tell(Piece("call", arguments, self._calls.index(call), call.name))

    def _meant(self, delta: dict[str, Any], name: str) -> _Call:
        """The call that a piece goes on with, or a new one."""
        given = delta["id"] if isinstance(delta.get("id"), str) else ""
        index = delta["index"] if isinstance(delta.get("index"), int) else None
        same = [call for call in self._calls if given and call.id == given]
        if not same:
            placed = self._calls if index is None else [call for call in self._calls if call.index == index]
            same = placed[-1:]
            if same and ((given and same[0].id) or (name and same[0].name and _is_other(same[0], name, index))):
                same = []
        call = same[-1] if same else _Call(index)
        if not same:
            self._calls.append(call)
        call.id = call.id or given
        return call

    def _tell(self, piece: Piece) -> None:
        if self._observer is not None:
            self._observer.writes(piece)

    def whole(self) -> dict[str, Any]:
        """The body that an endpoint sends without a stream. Raises NoReply where the stream did not come to its end."""
        if not self.has_begun:
            raise NoReply("the stream ended without a reply")
        if not (self._is_done or self._finish):
            raise NoReply("the stream broke off")
        message: dict[str, Any] = {
            "content": "".join(self._content),
            "reasoning_content": "".join(self._thought),
            "tool_calls": [
                {"id": call.id, "function": {"name": call.name or None, "arguments": call.arguments}}
                for call in self._calls
            ],
        }
        choice = {
            "message": message, "finish_reason": self._finish, "error": self._error,
            "logprobs": {"content": self._logprobs},
        }  # fmt: skip
        return {"choices": [choice], "usage": self._usage}


def _is_other(call: _Call, name: str, index: int | None) -> bool:
    """Whether a tool's name without an id begins another call, and does not say once more whose arguments follow."""
    return name != call.name or (index is None and _is_object(call.arguments))


def _is_object(text: str) -> bool:
    try:
        return isinstance(loads(text), dict)
    except ValueError:
        return False
