"""Tools of an MCP server, started as a process."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from policy.config import MCPServer
from policy.errors import ConfigError
from policy.model import ToolCall
from policy.tools.base import Toolbox
from policy.tools.mcp import open_mcp

pytest.importorskip("mcp")
SERVER = MCPServer(name="sea", command=(sys.executable, str(Path(__file__).with_name("mcp_server.py"))))


async def test_its_tools_are_offered_called_and_their_failures_are_observations():
    async with open_mcp(SERVER) as tools:
        box = Toolbox(tools)
        (schema,) = box.schemas
        assert schema["function"]["name"] == "sea_tide"
        assert schema["function"]["description"] == "The height of the tide."
        assert schema["function"]["parameters"]["required"] == ["place"]
        good = await box.call(ToolCall("c", "sea_tide", json.dumps({"place": "Voe", "hours": 3})))
        bad = await box.call(ToolCall("c", "sea_tide", json.dumps({"place": "nowhere"})))
        wrong = await box.call(ToolCall("c", "sea_tide", json.dumps({"hours": "x"})))
    assert (good.is_error, good.text.startswith("Voe: 3 h after high water")) == (False, True)
    assert bad.is_error
    assert "tide" in bad.text
    assert wrong.is_error


async def test_a_server_without_command_and_address_is_refused():
    with pytest.raises(ConfigError, match="either a command or a url"):
        async with open_mcp(MCPServer(name="x")):
            pass
