"""`file`: read with ranges, write, list and patch, within the workspace."""

from __future__ import annotations

import asyncio
from typing import Literal

from policy.errors import ToolError
from policy.workspace import patch
from policy.workspace.files import Workspace

__all__ = ["FileTool"]


_SHORT = 100_000
"""Characters of a text in which an exact anchor is found at once."""


class FileTool:
    """Text files of one workspace."""

    def __init__(self, workspace: Workspace, *, max_chars: int = 6_000) -> None:
        self._workspace = workspace
        self._max_chars = max_chars

    async def file(
        self,
        command: Literal["read", "write", "list", "patch", "grep"],
        path: str = ".",
        text: str = "",
        anchor: str = "",
        position: Literal["replace", "before", "after"] = "replace",
        first_line: int = 1,
        last_line: int = 0,
        first_column: int = 1,
    ) -> str:
        """Work with text files in your workspace.

        `read` shows lines; `write` creates or replaces a whole file; `list` names the files; `grep` finds the lines of
        a file, or of all files in a folder, that hold `text` in any case; `patch` changes one place and is much cheaper
        than `write`: it finds `anchor` (white space, quotation marks and a misspelling do no harm; words and numbers
        must be the file's) and puts `text` in its place, or before or after it. For a long passage the anchor may be
        its first words, ` ... `, and its last words.

        Args:
            command: What to do.
            path: The file, relative to the workspace; for `list`, a folder.
            text: For `write`, the content; for `grep`, the words; for `patch`, the new text. Empty with `patch` deletes
                the anchor's passage.
            anchor: For `patch`, the passage to change, copied from the file; it must fit one place only.
            position: For `patch`, whether `text` replaces the anchor's passage or is put before or after it.
            first_line: For `read`, the first line, counted from 1.
            last_line: For `read`, the last line; 0 is the end of the file.
            first_column: For `read` of a line that is too long to be shown whole, where in it to begin.
        """
        match command:
            case "read":
                return self._read(path, first_line, last_line, first_column)
            case "write":
                self._workspace.write(path, text)
                return f"Wrote {path}: {_count(text)}."
            case "list":
                return self._list(path)
            case "patch":
                return await self._patch(path, text, anchor, position)
            case "grep":
                return await asyncio.to_thread(self._grep, path, text)  # of all files, it may be

    def _read(self, path: str, first: int, last: int, column: int) -> str:
        lines = self._workspace.read(path).splitlines()
        if not lines:
            return f"{path} is empty."
        last = len(lines) if last <= 0 else min(last, len(lines))
        if not 1 <= first <= last:
            raise ToolError(f"{path} has {len(lines)} lines; lines {first} to {last} are none of them.")
        if column > 1 or len(lines[first - 1]) > self._max_chars:
            return self._columns(path, lines[first - 1], first, len(lines), column)
        shown: list[str] = []
        room = self._max_chars
        for number in range(first, last + 1):
            line = lines[number - 1]
            if len(line) > room:
                break
            shown.append(line)
            room -= len(line) + 1
            if room <= 0:
                break
        reached = first + len(shown) - 1
        note = f"{path}, lines {first}-{reached} of {len(lines)}"
        if reached < last:
            note += f"; go on with first_line={reached + 1}"
        return note + "\n" + "\n".join(shown)

    def _columns(self, path: str, line: str, number: int, lines: int, column: int) -> str:
        """A part of one line."""
        if not 1 <= column <= max(1, len(line)):
            raise ToolError(f"Line {number} of {path} has {len(line):,} characters; {column:,} is none of them.")
        end = min(len(line), column - 1 + self._max_chars)
        note = f"{path}, line {number} of {lines}, characters {column:,}-{end:,} of {len(line):,}"
        if end < len(line):
            note += f"; go on with first_line={number}, first_column={end + 1}"
        elif number < lines:
            note += f"; go on with first_line={number + 1}"
        return f"{note}\n{line[column - 1 : end]}"

    def _grep(self, path: str, words: str) -> str:
        if not words.strip():
            raise ToolError("Say in `text` which words to look for.")
        if self._workspace.exists(path):
            paths, more, skipped = [path], False, 0
        else:
            listed, more = self._workspace.list(path)
            paths, skipped = [entry.path for entry in listed], 0
        found: list[str] = []
        count, room, wanted = 0, self._max_chars, words.strip().lower()
        for one in paths:
            try:
                lines = self._workspace.read(one).splitlines()
            except ToolError:
                skipped += 1
                continue
            for number, line in enumerate(lines, 1):
                at = line.lower().find(wanted)
                if at < 0:
                    continue
                count += 1
                start = max(0, at - 100)
                where = f"{one}:{number}" + (f", character {at + 1:,}" if len(line) > 400 else "")
                shown = f"{where}: {line[start : start + 300].strip()}"
                if len(shown) <= room:
                    found.append(shown)
                room -= len(shown) + 1
        notes = [f"{count} lines hold {words.strip()!r}, {len(found)} are shown."]
        if skipped:
            notes.append(f"{skipped} files are no text and were not looked into.")
        if more:
            notes.append("There are more files than were looked into; name a folder.")
        return "\n".join([" ".join(notes), *found])

    def _list(self, path: str) -> str:
        entries, more = self._workspace.list(path)
        if not entries:
            return "There are no files yet."
        lines = [f"{entry.path} ({entry.size:,} bytes)" for entry in entries]
        return "\n".join([*lines, "and more; name a folder"] if more else lines)

    async def _patch(self, path: str, new: str, anchor: str, position: Literal["replace", "before", "after"]) -> str:
        if position != "replace" and not new:
            raise ToolError("There is no text to insert. Nothing was changed.")
        old = self._workspace.read(path, errors="strict")
        # A hop to a thread takes longer than a plain search in a short text; anything else may take long. The file is
        # written here: a call that is given up leaves its thread behind.
        if len(old) <= _SHORT and anchor in old:
            place = patch.locate(old, anchor)
        else:
            place = await asyncio.to_thread(patch.locate, old, anchor)
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
