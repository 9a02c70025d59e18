"""`file`: read with ranges, write, list and patch, within the workspace."""

from __future__ import annotations

from typing import Literal

from policy.errors import ToolError
from policy.workspace import patch
from policy.workspace.files import Workspace

__all__ = ["FileTool"]


class FileTool:
    """Text files of one workspace."""

    def __init__(self, workspace: Workspace, *, max_chars: int = 6_000) -> None:
        self._workspace = workspace
        self._max_chars = max_chars

    def file(
        self,
        command: Literal["read", "write", "list", "patch"],
        path: str = ".",
        text: str = "",
        anchor: str = "",
        position: Literal["replace", "before", "after"] = "replace",
        first_line: int = 1,
        last_line: int = 0,
    ) -> str:
        """Work with text files in your workspace.

        `read` shows lines; `write` creates or replaces a whole file; `list` names the files; `patch` changes one
        place and is much cheaper than `write`: it finds `anchor` (a small typo does no harm) and puts `text` in its
        place, or before or after it. For a long passage the anchor may be its first words, ` ... `, and its last words.

        Args:
            command: What to do.
            path: The file, relative to the workspace; for `list`, a folder.
            text: For `write`, the content; for `patch`, the new text. Empty with `patch` deletes the anchor's passage.
            anchor: For `patch`, the passage to change, copied from the file; it must fit one place only.
            position: For `patch`, whether `text` replaces the anchor's passage or is put before or after it.
            first_line: For `read`, the first line, counted from 1.
            last_line: For `read`, the last line; 0 is the end of the file.
        """
        match command:
            case "read":
                return self._read(path, first_line, last_line)
            case "write":
                self._workspace.write(path, text)
                return f"Wrote {path}: {_count(text)}."
            case "list":
                return self._list(path)
            case "patch":
                return self._patch(path, text, anchor, position)

    def _read(self, path: str, first: int, last: int) -> str:
        lines = self._workspace.read(path).splitlines()
        if not lines:
            return f"{path} is empty."
        last = len(lines) if last <= 0 else min(last, len(lines))
        if not 1 <= first <= last:
            raise ToolError(f"{path} has {len(lines)} lines; lines {first} to {last} are none of them.")
        shown: list[str] = []
        room = self._max_chars
        for number in range(first, last + 1):
            line = lines[number - 1]
            if len(line) > room and shown:
                break
            shown.append(line if len(line) <= room else f"{line[:room]} [line cut here: {len(line):,} characters]")
            room -= len(line) + 1
            if room <= 0:
                break
        reached = first + len(shown) - 1
        note = f"{path}, lines {first}-{reached} of {len(lines)}"
        if reached < last:
            note += f"; go on with first_line={reached + 1}"
        return note + "\n" + "\n".join(shown)

    def _list(self, path: str) -> str:
        entries, more = self._workspace.list(path)
        if not entries:
            return "There are no files yet."
        lines = [f"{entry.path} ({entry.size:,} bytes)" for entry in entries]
        return "\n".join([*lines, "and more; name a folder"] if more else lines)

    def _patch(self, path: str, new: str, anchor: str, position: Literal["replace", "before", "after"]) -> str:
        if position != "replace" and not new:
            raise ToolError("There is no text to insert. Nothing was changed.")
        old = self._workspace.read(path, errors="strict")
        place = patch.locate(old, anchor)
        edited = patch.apply(old, place, new, position)
        self._workspace.write(path, edited)
        line = old.count("\n", 0, place.start) + 1
        exact = "" if place.score == 100 else f" (inexact, {place.score:.0f}% alike)"
        start = max(0, place.start - 80)
        around = edited[start : place.start + min(len(new), 200) + 80]
        done = f"Patched {path} at line {line}{exact}; the file now has {_count(edited)}."
        return f"{done} There it reads:\n...{around}..."


def _count(text: str) -> str:
    return f"{len(text.splitlines())} lines, {len(text):,} characters"
