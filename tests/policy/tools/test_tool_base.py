"""Schemas from typed functions."""

from __future__ import annotations

import json

import pytest

from policy.index.store import LocalIndex
from policy.model import ToolCall
from policy.tools.base import Toolbox, tool
from policy.tools.file import FileTool
from policy.tools.open import OpenTool
from policy.tools.search import IndexProvider, SearchTool
from policy.tools.todo import Todo
from policy.workspace.files import Workspace


@pytest.fixture
def functions(tmp_path):
    index = LocalIndex.in_memory(tmp_path)
    return [
        FileTool(Workspace(tmp_path / "w")).file,
        Todo().todo,
        OpenTool(index).open,
        SearchTool(IndexProvider(index)).search,
    ]


def test_the_schemas_agree_with_those_that_trainers_make_from_the_same_functions(functions):
    utils = pytest.importorskip("transformers.utils")
    for function in functions:
        ours, theirs = tool(function).schema["function"], utils.get_json_schema(function)["function"]
        assert ours["name"] == theirs["name"]
        assert ours["parameters"]["required"] == theirs["parameters"]["required"]
        for name, spec in theirs["parameters"]["properties"].items():
            mine = ours["parameters"]["properties"][name]
            assert mine["type"] == spec["type"]
            assert mine.get("enum") == spec.get("enum")
            assert " ".join(spec["description"].split()) == mine["description"]


@pytest.mark.parametrize("items", ["one", '["one"]', ["one"]])
async def test_a_list_written_as_a_string_is_taken_as_the_list_it_means(items):
    todo = Todo()
    outcome = await Toolbox([tool(todo.todo)]).call(ToolCall("c", "todo", json.dumps({"items": items})))
    assert not outcome.is_error
    assert str(todo) == "[ ] one"


async def test_a_tool_that_hangs_is_stopped():
    import asyncio

    async def hang() -> str:
        """Hangs.

        Args:
        """
        await asyncio.Event().wait()
        return ""

    outcome = await Toolbox([tool(hang)], seconds=0.01).call(ToolCall("c", "hang", ""))
    assert (outcome.is_error, outcome.text) == (True, "hang took more than 0.01 s and was stopped.")


@pytest.mark.parametrize(
    "arguments", ["[" * 100_000, '{"items": ' + "[" * 100_000, json.dumps({"items": "[" * 100_000})]
)
async def test_brackets_by_the_thousand_are_refused_as_any_other_fault(arguments):
    outcome = await Toolbox([tool(Todo().todo)]).call(ToolCall("c", "todo", arguments))
    assert outcome.is_error
    assert "Nothing was" in outcome.text
