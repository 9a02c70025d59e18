"""The tools of MCP servers, through the official SDK, as tools of ours.

A task of its own opens and closes each connection, as the SDK wants it; calls come from any other. A server that does
not start, never answers or lists without end is named in one line; one that dies is started again, once; a call whose
answer can't be read ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from pydantic import ValidationError

from policy.config import MCPServer
from policy.errors import ConfigError, ToolError
from policy.sources import Source
from policy.tools.base import Result, Tool
from policy.whole import whole

__all__ = ["open_mcp"]

log = logging.getLogger(__name__)

_MAX_TOOLS = 500
_MAX_PAGES = 100


@asynccontextmanager
async def open_mcp(server: MCPServer) -> AsyncIterator[list[Tool]]:
    """The tools of one server, named `SERVER_TOOL`, for as long as the context is open. Raises ConfigError."""
    import mcp

    if bool(server.command) == bool(server.url):
        raise ConfigError(f"mcp.{server.name}: give either a command or a url")
    connection = _Connection(server, mcp)
    keeper = asyncio.create_task(connection.keep())
    try:
        yield [_tool(connection, server.name, listed) for listed in await connection.tools()]
    finally:
        connection.close()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


class _Connection:
    """One server's client, and a second one when the first is gone."""

    def __init__(self, server: MCPServer, sdk: Any) -> None:
        self._server, self._sdk = server, sdk
        self._client: asyncio.Future[tuple[Any, list[Any]]] = asyncio.get_running_loop().create_future()
        self._is_over = asyncio.Event()
        self._is_closed = False
        self._waiting: set[asyncio.Future[str]] = set()
        """Calls without an answer yet; each is told where one came that can't be read."""

    async def keep(self) -> None:
        """Open the connection, and again when it breaks for the first time."""
        for _ in range(2):
            reason = await self._hold()
            if self._is_closed or reason:
                return
            self._is_over.clear()
            if self._client.done():  # it broke by itself, and no call has noticed yet
                self._client = asyncio.get_running_loop().create_future()
        self._fail(ToolError(f"The server {self._server.name} has ended and is not started again."))

    def _fail(self, error: Exception) -> None:
        self._client.set_exception(error)
        self._client.exception()  # nobody need wait for it

    async def _hold(self) -> str:
        """One connection, for as long as it is good; why there was none, where there was none."""
        is_open = False
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(self._server.seconds):
                    opened = await stack.enter_async_context(
                        self._sdk.Client(self._target(), message_handler=self._hear)
                    )
                    listed = await self._listed(opened)
                self._client.set_result((opened, listed))
                is_open = True
                await self._is_over.wait()
                return ""
        except TimeoutError:
            reason = f"it does not answer within {self._server.seconds:g} s"
        except Exception as error:  # whatever the SDK and the server make of each other; it is told to who waits
            log.debug("the server %s", self._server.name, exc_info=True)
            reason = _reason(error)
        if is_open:
            return ""
        self._fail(ConfigError(f"mcp.{self._server.name}: {reason}"))
        return reason

    async def _hear(self, message: Any) -> None:
        """The SDK drops what is no message of the protocol, and a call whose answer it was would wait for ever."""
        if isinstance(message, ValidationError) and _is_answer(message):
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result("it sends an answer that is no message of the protocol")

    def _target(self) -> Any:
        if not self._server.command:
            return self._server.url
        from mcp.client.stdio import stdio_client

        program, *arguments = self._server.command
        # The process's own standard error: what stands in `sys.stderr` need not be a file that a process can have.
        return stdio_client(
            self._sdk.StdioServerParameters(command=program, args=arguments), errlog=sys.__stderr__ or sys.stderr
        )

    async def _listed(self, client: Any) -> list[Any]:
        listed: list[Any] = []
        cursors: set[str | None] = set()
        cursor = None
        while cursor not in cursors and len(cursors) < _MAX_PAGES and len(listed) <= _MAX_TOOLS:
            cursors.add(cursor)
            page = await client.list_tools(cursor=cursor)
            listed.extend(page.tools)
            cursor = page.next_cursor
            if not cursor:  # an empty one is none, whatever the protocol says
                return listed
        raise ConfigError("its list of tools has no end")

    async def tools(self) -> list[Any]:
        """What the server lists. Raises ConfigError."""
        return (await asyncio.shield(self._client))[1]

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """The server's answer. Raises ToolError."""
        try:
            async with asyncio.timeout(self._server.seconds):
                client, _ = await asyncio.shield(current := self._client)
        except ConfigError as error:
            raise ToolError(f"The server {self._server.name} is not there: {error}") from error
        except TimeoutError as error:
            raise ToolError(f"The server {self._server.name} does not come up again.") from error
        try:
            return await self._answered(client.call_tool(name, arguments))
        except ValidationError as error:
            raise ToolError(f"{name}: what the server {self._server.name} answers is no result of a tool.") from error
        except self._sdk.MCPError as error:
            if "closed" not in str(error).lower():
                raise ToolError(f"{name}: {error}") from error
            reason = str(error)
        except (OSError, RuntimeError, *_broken()) as error:
            reason = _reason(error)
        if self._client is current:  # the first call to notice; the next one waits for the new connection
            self._client = asyncio.get_running_loop().create_future()
            self._is_over.set()
        raise ToolError(f"The server {self._server.name} has ended ({reason}). If it comes up again, a call may work.")

    async def _answered(self, call: Coroutine[Any, Any, Any]) -> Any:
        """What comes of a call. Raises ToolError where its answer may have been one that can't be read."""
        asked = asyncio.ensure_future(call)
        unread: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.add(unread)
        try:
            await asyncio.wait((asked, unread), return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return asked.result()
            raise ToolError(f"The server {self._server.name} can't be understood: {unread.result()}.")
        finally:
            self._waiting.discard(unread)
            asked.cancel()

    def close(self) -> None:
        self._is_closed = True
        self._is_over.set()


def _is_answer(error: ValidationError) -> bool:
    """Whether it is an answer, in all likelihood, that was not understood, and no line that was meant for people."""
    given = error.errors(include_url=False)[0]["input"]
    if isinstance(given, str):
        return given.lstrip().startswith("{") and '"id"' in given
    return isinstance(given, dict) and "id" in given


def _broken() -> tuple[type[Exception], ...]:
    import anyio

    return (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream)


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(str(error).split())[:300] or type(error).__name__


def _tool(connection: _Connection, server: str, listed: Any) -> Tool:
    name = re.sub(r"[^A-Za-z0-9_-]", "_", f"{server}_{listed.name}")[:64]  # endpoints take nothing else

    async def call(arguments: dict[str, Any]) -> Result:
        reply = await connection.call(listed.name, arguments)
        text = "\n".join(_text(block) for block in reply.content)
        if not text and reply.structured_content is not None:
            text = json.dumps(reply.structured_content, ensure_ascii=False)
        if reply.is_error:
            raise ToolError(text or f"{listed.name} failed and does not say why.")
        if not text.strip():
            return Result("(no output)")
        digest = hashlib.sha256(f"{arguments}\0{text}".encode("utf-8", "replace")).hexdigest()[:8]
        source = Source(f"{name}-{digest}#1", f"{server}: {listed.name}", f"mcp:{server}/{listed.name}", text)
        return Result(f"[{source.key}] {text}", (source,))

    return Tool(
        name=name,
        description=whole(listed.description or listed.name),
        parameters=whole(dict(listed.input_schema)),
        call=call,
        only_reads=bool(getattr(listed.annotations, "read_only_hint", False)),
    )


def _text(block: Any) -> str:
    if block.type == "text":
        return str(block.text)
    if block.type == "resource" and hasattr(block.resource, "text"):
        return str(block.resource.text)
    return f"[{block.type} that is not shown]"
