"""`todo`: one entry point. The state lives here, and the agent shows it to the model after every turn."""

from __future__ import annotations

import re

from policy.errors import ToolError

__all__ = ["Todo"]

_ITEM = re.compile(r"(?:[-*]\s*)?\[(.?)\]\s*+(\S.*)", re.DOTALL)
_MARKS = {"": " ", " ": " ", "x": "x", "X": "x", "~": "~", "-": "~"}


class Todo:
    """The list of one episode: items with a mark, `[ ]` open, `[~]` in progress, `[x]` done."""

    def __init__(self, *, max_items: int = 40, max_chars: int = 300) -> None:
        self._items: list[tuple[str, str]] = []
        self._max_items = max_items
        self._max_chars = max_chars

    def todo(self, items: list[str]) -> str:
        """Keep your plan. Send the whole list as it should be now; it replaces the old one. An empty list clears it.

        Args:
            items: The steps in order, each "[ ] open", "[~] in progress" or "[x] done"; without a mark it is open.
        """
        if len(items) > self._max_items:
            raise ToolError(f"{len(items)} items are too many; keep it to {self._max_items}.")
        read = [_read(item) for item in items]
        for number, (_, words) in enumerate(read, 1):
            if not words:
                raise ToolError(f"Item {number} is empty. Nothing was changed.")
            if len(words) > self._max_chars:
                raise ToolError(f"Item {number} is longer than {self._max_chars} characters. Nothing was changed.")
        verb = "cleared" if not read else "rewritten" if self._items else "created"
        self._items = read
        done = sum(mark == "x" for mark, _ in read)
        return f"List {verb}: {len(read)} items, {done} done."

    def restore(self, shown: str) -> None:
        """Take up the list as `__str__` showed it."""
        self._items = [_read(line) for line in shown.splitlines() if line.strip()]

    def __str__(self) -> str:
        return "\n".join(f"[{mark}] {words}" for mark, words in self._items)


def _read(item: str) -> tuple[str, str]:
    found = _ITEM.fullmatch(item.strip())
    mark, words = (found.group(1), found.group(2)) if found else (" ", item)
    return _MARKS.get(mark, " "), re.sub(r"\s+", " ", words).strip()
