"""The plan."""

from __future__ import annotations

import pytest

from policy.errors import ToolError
from policy.tools.todo import Todo


def test_one_entry_point_creates_rewrites_and_clears():
    todo = Todo()
    assert "created: 2 items, 1 done" in todo.todo(["[x] read", "write"])
    assert "rewritten" in todo.todo(["- [~] write\nmore"])
    assert str(todo) == "[~] write more"
    assert "cleared" in todo.todo([])
    assert str(todo) == ""


def test_what_is_shown_can_be_taken_up_again():
    todo, other = Todo(), Todo()
    todo.todo(["[x] a", "[~] b", "[ ] c"])
    other.restore(str(todo))
    assert str(other) == str(todo)


@pytest.mark.parametrize("items", [["a", " "], ["x" * 301], ["a"] * 41])
def test_a_list_that_is_refused_changes_nothing(items):
    todo = Todo()
    todo.todo(["kept"])
    with pytest.raises(ToolError):
        todo.todo(items)
    assert str(todo) == "[ ] kept"
