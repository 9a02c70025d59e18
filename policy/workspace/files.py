"""The folder an episode may write to, and nothing else.

Every component of a path is opened relative to its parent without following links, so neither `..`, nor a symbolic
link, nor one swapped in while we look (the shell works in the same folder) leads out of it.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from policy.errors import ToolError
from policy.whole import whole_text

__all__ = ["Listed", "Workspace"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


_MAX_SEEN = 20_000
_MAX_DEPTH = 64


class _TooMany(Exception):
    """A folder holds more than is looked at."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file in the workspace, with its path relative to it."""

    path: str
    size: int


class Workspace:
    """Text files under one folder, read and written by relative path. Refusals are ToolErrors."""

    def __init__(self, root: Path, *, max_file_bytes: int = 8 * 2**20, max_entries: int = 500) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root.resolve()
        self._max_bytes = max_file_bytes
        self._max_entries = max_entries

    def read(self, path: str, *, errors: Literal["replace", "strict"] = "replace") -> str:
        """The text of a file. Refuses what is too large, binary or not a regular file, and if strict, not UTF-8."""
        data = self.read_bytes(path)
        if b"\0" in data[:8192]:
            raise ToolError(f"{path} is a binary file of {len(data):,} bytes; only text is read.")
        try:
            return data.decode("utf-8", errors=errors)
        except UnicodeDecodeError as error:
            raise ToolError(
                f"{path} is not UTF-8 (byte {error.start:,}); what is written back would not be it."
            ) from error

    def read_bytes(self, path: str) -> bytes:
        """What a file holds. Refuses what is too large or not a regular file."""
        with self._parent(path) as (folder, name):
            try:
                # Non-blocking: opening a pipe without a writer would hang.
                handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            except OSError as error:
                raise ToolError(self._reason(path, error)) from error
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                os.close(handle)
                raise ToolError(f"{path} is not a regular file.")
            with os.fdopen(handle, "rb") as file:
                data = file.read(self._max_bytes + 1)
        if len(data) > self._max_bytes:
            raise ToolError(f"{path} is larger than {self._max_bytes:,} bytes, the most that is read.")
        return data

    def write(self, path: str, text: str) -> None:
        """Write a file, whole or not at all; missing folders are made."""
        data = text.encode("utf-8", errors="replace")
        if len(data) > self._max_bytes:
            raise ToolError(f"{len(data):,} bytes are more than the {self._max_bytes:,} that a file may have.")
        with self._parent(path, make=True) as (folder, name):
            mine = f".{secrets.token_hex(6)}.part"
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                with os.fdopen(os.open(mine, flags, 0o644, dir_fd=folder), "wb") as file:
                    file.write(data)
                os.replace(mine, name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError as error:
                self._forget(mine, folder)
                raise ToolError(self._reason(path, error)) from error

    def exists(self, path: str) -> bool:
        """Whether `path` names a regular file here."""
        try:
            with self._parent(path) as (folder, name):
                return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        except (ToolError, OSError):
            return False

    def list(self, path: str = ".") -> tuple[list[Listed], bool]:
        """The files under a folder, sorted, and whether there are more than are listed. Links are not followed."""
        entries: list[Listed] = []
        more = False
        try:
            for entry in self._walk(path):
                if len(entries) == self._max_entries:
                    more = True
                    break
                entries.append(entry)
        except _TooMany:
            more = True
        return sorted(entries, key=lambda e: e.path), more

    def _walk(self, path: str) -> Iterator[Listed]:
        """The files under a folder. What the shell makes meanwhile, deep or many, neither stops nor breaks the walk."""
        parts = _parts(path)
        with self._folder(parts, path, make=False):
            pending = [parts]
        seen = 0
        while pending:
            here = pending.pop()
            try:
                with self._folder(here, path, make=False) as handle, os.scandir(handle) as found:
                    for entry in found:
                        seen += 1
                        if seen > _MAX_SEEN:
                            raise _TooMany
                        if entry.is_dir(follow_symlinks=False):
                            pending.append((*here, entry.name))
                        elif entry.is_file(follow_symlinks=False):
                            yield Listed(
                                whole_text(str(PurePosixPath(*here, entry.name))),
                                entry.stat(follow_symlinks=False).st_size,
                            )
            except (ToolError, OSError):
                continue  # gone, or too deep to open, since it was listed
            if len(here) > _MAX_DEPTH:
                raise _TooMany

    @contextmanager
    def _parent(self, path: str, make: bool = False) -> Iterator[tuple[int, str]]:
        parts = _parts(path)
        if not parts:
            raise ToolError(f"{path!r} is the workspace itself; name a file in it.")
        with self._folder(parts[:-1], path, make) as folder:
            yield folder, parts[-1]

    @contextmanager
    def _folder(self, parts: tuple[str, ...], path: str, make: bool) -> Iterator[int]:
        try:
            current = os.open(self.root, _FOLDER)
        except OSError as error:
            raise ToolError(f"The workspace is gone: {error.strerror}.") from error
        try:
            for part in parts:
                try:
                    if make and not _is_there(part, current):
                        os.mkdir(part, dir_fd=current)
                    following = os.open(part, _FOLDER, dir_fd=current)
                except OSError as error:
                    raise ToolError(self._reason(path, error)) from error
                os.close(current)
                current = following
            yield current
        finally:
            os.close(current)

    def _reason(self, path: str, error: OSError) -> str:
        match error:
            case FileNotFoundError():
                return f"There is no file {path!r} in the workspace; `list` shows what there is."
            case IsADirectoryError():
                return f"{path!r} is a folder."
            case _:
                return f"{path!r} cannot be used: {error.strerror}. Links are not followed."

    @staticmethod
    def _forget(name: str, folder: int) -> None:
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return


def _parts(path: str) -> tuple[str, ...]:
    if "\0" in path or len(path) > 1024:
        raise ToolError("That is no path.")
    pure = PurePosixPath(path)
    if pure.parts[:2] == ("/", "workspace"):  # where the shell sees it
        pure = PurePosixPath(*pure.parts[2:])
    if pure.is_absolute() or ".." in pure.parts:
        raise ToolError(f"{path!r} leads out of the workspace; use a path relative to it, without `..`.")
    return pure.parts


def _is_there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
