"""Between the socket and a door: how long a call may take, how much of a body is read, and callers who leave."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from itertools import islice
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from judger.errors import DeadlineExceeded, Fault, InvalidFile, InvalidRequest, TooLarge, Unsupported
from judger.http.calls import LAST_WORDS, Call, within
from judger.http.errors import WrongMediaType
from judger.rubric.place import Faults, join
from judger.rubric.strict_json import TOKEN, Parser
from judger.types import LIMITS
from judger.validate import text_fault

logger = logging.getLogger(__name__)

__all__ = ["Gone", "Lines", "dismiss", "peer_of", "read_body", "read_call", "read_values", "unless_gone", "wants_lines"]

DISMISS_SECONDS = 1.0
"""How long the rest of a refused body is read and thrown away, so that its writer gets to see the refusal."""
MILLISECONDS = re.compile(r"[0-9]{1,10}")
JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json")
MOST_TOKENS = 2**22
"""Of a body's JSON, a bracket, a comma or a value each: `[[],[],[], ...` takes some twenty times its bytes."""
HALVES = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON spells halves of surrogate pairs; two of them in a row are a character."""
LINE_TYPES = ("application/x-ndjson", "application/jsonl")

T = TypeVar("T")


class Gone(Exception):
    """The caller has left: there is nobody to answer."""


def read_call(request: Request, max_seconds: float) -> Call:
    """The call's deadline (Connect's header, `max_seconds` at most) and caller. Raises InvalidRequest."""
    seconds = max_seconds
    if (given := request.headers.get("connect-timeout-ms")) is not None:
        if not MILLISECONDS.fullmatch(given):
            raise InvalidRequest("connect-timeout-ms", "must be a whole number of at most ten digits")
        seconds = min(seconds, int(given) / 1000)
    if seconds <= 0:
        raise DeadlineExceeded("the deadline has passed already")
    many = request.headers.getlist("authorization")
    return Call(
        ends=time.monotonic() + seconds, authorization=many[0] if len(many) == 1 else None, peer=peer_of(request)
    )


def peer_of(request: Request) -> str:
    """Where a request comes from, as gRPC writes it; empty where that isn't known."""
    if request.client is None:
        return ""
    host, port = request.client
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"


async def read_body(
    request: Request,
    call: Call,
    limit: int = LIMITS.message_bytes,
    take: Callable[[int], None] = lambda size: None,
) -> bytes:
    """The body. Raises TooLarge before more than `limit` bytes of it are held, and DeadlineExceeded.

    `take` is told the size of each piece before it is kept, and may raise.
    """
    if not JSON_TYPE.fullmatch(request.headers.get("content-type", "").partition(";")[0].strip().lower()):
        raise WrongMediaType("content-type", "must be application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unsupported("content-encoding: send the body as it is")
    announced = request.headers.get("content-length", "")
    too_large = TooLarge(f"the body has more than {limit:,} bytes")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    try:
        async with within(call):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise too_large
                take(len(chunk))
                chunks.append(chunk)
    except ClientDisconnect:
        raise Gone from None
    return b"".join(chunks)


async def dismiss(request: Request) -> bool:
    """Reads and drops what is left of a body that nobody wants, for a moment; False if its end was not reached."""
    try:
        async with asyncio.timeout(DISMISS_SECONDS):
            async for _ in request.stream():
                pass
    except (TimeoutError, ClientDisconnect):
        return False
    except RuntimeError:  # it was read already
        return True
    return True


def read_values(body: bytes) -> object:
    """Parsed JSON. Raises InvalidRequest for keys given twice, NaN, deep nests and half characters; TooLarge."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest("body", f"is not UTF-8: byte {error.start}") from error
    if len(text) > MOST_TOKENS and next(islice(TOKEN.finditer(text), MOST_TOKENS, None), None):
        raise TooLarge(f"the body's JSON has more than {MOST_TOKENS:,} tokens")
    warnings: list[Fault] = []
    faults = Faults("", warnings.append)
    try:
        values, _ = Parser(faults).parse(text, 1)
    except InvalidFile:  # so many faults that it says no more; the first is enough
        values = None
    for fault in faults.found:
        raise InvalidRequest("body" if fault.field == "json" else fault.field, fault.reason)
    if HALVES.search(text):
        _check_characters(values)
    return values


def _check_characters(values: object) -> None:
    """Raises InvalidRequest for a text or a key with half a character: no answer could repeat it."""
    rest: list[tuple[str, object]] = [("", values)]
    while rest:
        path, value = rest.pop()
        if isinstance(value, str) and (fault := text_fault(value, len(value) * 4, may_be_blank=True)):
            raise InvalidRequest(path or "body", fault)
        if isinstance(value, list):
            rest += [(join(path, i), item) for i, item in enumerate(value)]
        elif isinstance(value, dict):
            for key, item in value.items():
                if fault := text_fault(key, len(key) * 4, may_be_blank=True):
                    raise InvalidRequest(join(path, key), fault)
                rest.append((join(path, key), item))


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """The result of the work, which is cancelled where the caller leaves: then raises Gone. The body has been read."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def wants_lines(request: Request) -> bool:
    """Whether the caller takes an answer in JSON lines."""
    accepted = request.headers.get("accept", "")
    return any(part.partition(";")[0].strip().lower() in LINE_TYPES for part in accepted.split(","))


class Lines(StreamingResponse):
    """JSON lines as they come. Leaving ends their source; a reader who doesn't read is left at the call's end."""

    def __init__(self, lines: AsyncGenerator[str, None], call: Call) -> None:
        super().__init__(lines, media_type=LINE_TYPES[0])
        self._lines = lines
        self._call = call
        self.held: AbstractContextManager[object] = nullcontext()
        """Left when the last line is written, or none will be."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.held:
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        try:
            async with aclosing(self._lines), asyncio.timeout(self._call.remaining + LAST_WORDS):
                await super().stream_response(send)
        except TimeoutError:
            logger.info("a reader of lines did not read: it is left")
