"""The tools of MCP servers, through the official SDK, as tools of ours."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from policy.config import MCPServer
from policy.errors import ConfigError, ToolError
from policy.tools.base import Result, Tool
from policy.whole import whole

__all__ = ["open_mcp"]


@asynccontextmanager
async def open_mcp(server: MCPServer) -> AsyncIterator[list[Tool]]:
    """The tools of one server, named `SERVER_TOOL`, for as long as the context is open."""
    import mcp

    if bool(server.command) == bool(server.url):
        raise ConfigError(f"mcp.{server.name}: give either a command or a url")
    target: Any = server.url
    if server.command:
        from mcp.client.stdio import stdio_client

        parameters = mcp.StdioServerParameters(command=server.command[0], args=list(server.command[1:]))
        # The process's own standard error: what stands in `sys.stderr` need not be a file that a process can have.
        target = stdio_client(parameters, errlog=sys.__stderr__ or sys.stderr)
    async with mcp.Client(target) as client:
        listed = []
        cursor = None
        while True:
            page = await client.list_tools(cursor=cursor)
            listed.extend(page.tools)
            cursor = page.next_cursor
            if cursor is None:
                break
        yield [_tool(client, server.name, tool) for tool in listed]


def _tool(client: Any, server: str, listed: Any) -> Tool:
    async def call(arguments: dict[str, Any]) -> Result:
        import mcp

        try:
            reply = await client.call_tool(listed.name, arguments)
        except mcp.MCPError as error:
            raise ToolError(f"{listed.name}: {error}") from error
        text = "\n".join(_text(block) for block in reply.content)
        if not text and reply.structured_content is not None:
            text = json.dumps(reply.structured_content, ensure_ascii=False)
        if reply.is_error:
            raise ToolError(text or f"{listed.name} failed and does not say why.")
        return Result(text)

    return Tool(
        # Endpoints take nothing else in a tool's name.
        name=re.sub(r"[^A-Za-z0-9_-]", "_", f"{server}_{listed.name}")[:64],
        description=whole(listed.description or listed.name),
        parameters=whole(dict(listed.input_schema)),
        call=call,
    )


def _text(block: Any) -> str:
    if block.type == "text":
        return str(block.text)
    if block.type == "resource" and hasattr(block.resource, "text"):
        return str(block.resource.text)
    return f"[{block.type} that is not shown]"
