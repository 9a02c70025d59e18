"""Tools of an MCP server, started as a process."""

from __future__ import annotations

import asyncio
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
# Seconds for the start of a process and for its answers, on a machine that may have other work.
PATIENCE = 120
COMMAND = (sys.executable, str(Path(__file__).with_name("mcp_server.py")))
SERVER = MCPServer(name="sea", command=COMMAND, seconds=PATIENCE)


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
    (source,) = good.sources
    assert (good.is_error, good.text) == (False, f"[{source.key}] {source.text}")
    assert source.text.startswith("Voe: 3 h after high water")
    assert (source.title, source.location) == ("sea: tide", "mcp:sea/tide")
    assert bad.is_error
    assert "tide" in bad.text
    assert wrong.is_error


async def test_a_server_without_command_and_address_is_refused():
    with pytest.raises(ConfigError, match="either a command or a url"):
        async with open_mcp(MCPServer(name="x")):
            pass


def _odd(mode, tmp_path, seconds=PATIENCE):
    script = str(Path(__file__).with_name("odd_server.py"))
    return MCPServer(name="odd", command=(sys.executable, script, mode, str(tmp_path / "state")), seconds=seconds)


@pytest.mark.parametrize(
    ("mode", "seconds", "says"),
    [("exits", PATIENCE, ""), ("silent", 1, "does not answer within 1 s"), ("endless", PATIENCE, "has no end")],
)
async def test_a_server_that_does_not_come_up_is_named_in_a_line(tmp_path, mode, seconds, says):
    with pytest.raises(ConfigError, match=rf"^mcp\.odd: .*{says}") as caught:
        async with open_mcp(_odd(mode, tmp_path, seconds)):
            pass
    assert "\n" not in str(caught.value)


async def test_a_program_that_is_not_there_is_named_in_a_line():
    with pytest.raises(ConfigError, match=r"^mcp\.none: .*no such program|No such file"):
        async with open_mcp(MCPServer(name="none", command=("/no such program",))):
            pass


async def test_an_empty_cursor_ends_the_list_and_what_only_reads_is_known(tmp_path):
    async with open_mcp(_odd("empty", tmp_path)) as tools:
        assert [(tool.name, tool.only_reads) for tool in tools] == [("odd_go", True)]


async def test_a_server_that_dies_is_started_again_once(tmp_path):
    call = ToolCall("c", "odd_go", "{}")
    async with open_mcp(_odd("dies once", tmp_path)) as tools:
        box = Toolbox(tools)
        first, second = await box.call(call), await box.call(call)
    assert "has ended" in first.text
    assert second.text.endswith("went")
    async with open_mcp(_odd("dies", tmp_path)) as tools:
        box = Toolbox(tools)
        answers = [await box.call(call) for _ in range(4)]
    assert all(answer.is_error for answer in answers)
    assert "is not started again" in answers[-1].text


@pytest.mark.parametrize(
    ("mode", "says"), [("half", "answer that is no message of the protocol"), ("wrong", "no result of a tool")]
)
async def test_an_answer_that_cannot_be_read_ends_its_call_at_once_and_the_server_goes_on(tmp_path, mode, says):
    async with asyncio.timeout(PATIENCE), open_mcp(_odd(mode, tmp_path)) as tools:
        box = Toolbox(tools)
        for _ in range(2):
            answer = await box.call(ToolCall("c", "odd_go", "{}"))
            assert says in answer.text
            assert answer.is_error
