"""Where a value stands in a file, and the faults and warnings found there."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from judger.errors import Fault, InvalidFile

MOST_FAULTS = 1000
PLAIN_KEY = re.compile(r"[\w-]{1,40}")

Warn = Callable[[Fault], object]
"""Takes one warning as a value: a list's `append` will do."""


def log_warning(warning: Fault) -> None:
    """Where warnings go unless the caller takes them: a thing that was dropped is never dropped silently."""
    logging.getLogger("judger").warning("%s", warning)


def key_name(key: str) -> str:
    """A key as part of a field path: on one line, and not as long as whoever wrote the file pleases."""
    return key if PLAIN_KEY.fullmatch(key) else shown(key)


def shown(text: str, width: int = 60) -> str:
    """A text from a file for a message: quoted, shortened, and encodable whatever it holds."""
    quoted = repr(text if len(text) <= width else text[: width - 3] + "...")
    return quoted.encode("utf-8", "backslashreplace").decode()


@dataclass(slots=True)
class Faults:
    """Collects what is wrong with one file, and what is only worth a warning."""

    path: str
    warn: Warn
    found: list[Fault] = field(default_factory=list)

    @classmethod
    def of(cls, path: str | Path, on_warning: Warn | None) -> Faults:
        return cls(str(path), on_warning or log_warning)

    def add(self, line: int, field: str, reason: str) -> None:
        """Notes a fault. Raises InvalidFile with what there is once that says enough: the file is another one."""
        self.found.append(Fault(self.path, line, field, reason))
        if len(self.found) >= MOST_FAULTS:
            self.found.append(Fault(self.path, line, "file", f"has {MOST_FAULTS:,} faults so far; not read further"))
            self.check()

    def add_warning(self, line: int, field: str, reason: str) -> None:
        self.warn(Fault(self.path, line, field, reason))

    def check(self) -> None:
        """Raises InvalidFile where anything was found, in the order of the lines."""
        if self.found:
            raise InvalidFile(sorted(self.found, key=lambda fault: fault.line))


@dataclass(frozen=True, slots=True)
class Place:
    """One value's line and field path. Within a document of several lines, `lines` knows the line of every path."""

    faults: Faults
    line: int
    path: str = ""
    lines: Callable[[str], int] | None = None
    source: str = ""
    """The JSON that a whole value was read from; empty for its members, and in other formats."""

    def at(self, key: str | int) -> Place:
        """The place of a member of this value."""
        path = join(self.path, key)
        return Place(self.faults, self.lines(path) if self.lines else self.line, path, self.lines)

    def fault(self, reason: str, key: str | int | None = None) -> None:
        """Notes a fault of this value, or of its member `key`, there or missing."""
        here = self if key is None else self.at(key)
        self.faults.add(here.line, here.path or "file", reason)

    def warning(self, reason: str) -> None:
        self.faults.add_warning(self.line, self.path or "file", reason)


def join(path: str, key: str | int) -> str:
    """The path of a member: `criteria[3].weight`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key_name(key)}" if path else key_name(key)


def parent(path: str) -> str:
    """The path one step up: the place of a member that is missing."""
    return path[: max(path.rfind("."), path.rfind("["), 0)]
