"""JSON as RFC 8259 has it, which the standard parser is not: it takes NaN and lets a second key win silently.

What is fast (the C scanner) does the parsing; only a text with something odd in it is read a second time, by a small
scanner that knows the path and line of everything.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cache

from judger.rubric.place import Faults, Place, join, key_name, parent


@dataclass(frozen=True, slots=True)
class Refused:
    """Stands for a value that has been reported already; whoever meets it says nothing more."""


REFUSED = Refused()

# What is carried along is written again, by an encoder that recurses: better refused here than there.
MAX_DEPTH = 100

# Possessive, so that a string of megabytes costs no backtracking memory.
TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[{}\[\],:]|[^\s{}\[\],:"]++', re.DOTALL)


@dataclass(slots=True)
class Scan:
    """What the second reading finds: the line of every path, keys given twice, and literals that are not JSON."""

    lines: dict[str, int] = field(default_factory=dict)
    odd: list[tuple[str, int, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Level:
    path: str
    keys: set[str] | None
    """The keys so far; None in a list."""
    index: int = 0
    member: str = ""
    """The path of the value that comes next."""


def scan(text: str, first_line: int = 1) -> Scan:
    """Reads a text that parses as JSON once more, for places. Paths are those of `Place`."""
    found = Scan({"": first_line})
    newlines = [match.start() for match in re.finditer("\n", text)]
    stack: list[_Level] = []
    key: str | None = None
    for match in TOKEN.finditer(text):
        token = match.group()
        level = stack[-1] if stack else None
        if token in "}]":
            stack.pop()
        elif token == ",":
            if level and level.keys is None:
                level.index += 1
        elif token == ":":
            pass
        elif level and level.keys is not None and key is None and token[0] == '"':
            key = json.loads(token)
            level.member = join(level.path, key)
            line = first_line + bisect_right(newlines, match.start())
            if key in level.keys:
                found.odd.append((level.member, line, f"the key {key_name(key)} is given twice"))
            level.keys.add(key)
        else:
            path = "" if level is None else level.member if level.keys is not None else join(level.path, level.index)
            line = first_line + bisect_right(newlines, match.start())
            found.lines.setdefault(path, line)
            key = None
            if token in ("NaN", "Infinity", "-Infinity"):
                found.odd.append((path, line, f"{token} is not JSON: a number is finite"))
            elif token in "{[":
                stack.append(_Level(path, set() if token == "{" else None))
    return found


def _is_deeper(value: object, limit: int) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(limit + 1):
        members = (member for item in level for member in (item.values() if isinstance(item, dict) else item))
        level = [member for member in members if isinstance(member, (dict, list))]
        if not level:
            return False
    return True


class Parser:
    """Parses one JSON text after another; what is wrong goes to `faults`."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.odd = False
        self.decoder = json.JSONDecoder(object_pairs_hook=self._object, parse_constant=self._constant)

    def parse(self, text: str, line: int) -> tuple[object, Place]:
        """The value of a text that starts on `line`, and its place; REFUSED where it is no JSON."""
        self.odd = False
        lines = None
        if "\n" in text:

            @cache
            def places() -> dict[str, int]:
                return scan(text, line).lines

            def lines(path: str) -> int:
                known = places()
                while path not in known:
                    path = parent(path)
                return known[path]

        place = Place(self.faults, line, "", lines, text)
        try:
            value: object = self.decoder.decode(text)
        except json.JSONDecodeError as error:
            where = line + error.lineno - 1
            self.faults.add(where, "json", f"is not JSON: {error.msg[0].lower()}{error.msg[1:]}, column {error.colno}")
            return REFUSED, place
        except RecursionError:
            self.faults.add(line, "json", "is nested too deeply")
            return REFUSED, place
        except ValueError:  # Python refuses to convert integers of thousands of digits
            self.faults.add(line, "json", "holds a number of too many digits")
            return REFUSED, place
        if _is_deeper(value, MAX_DEPTH):
            self.faults.add(line, "json", f"is nested more than {MAX_DEPTH} levels deep")
            return REFUSED, place
        if self.odd:
            for path, where, reason in scan(text, line).odd:
                self.faults.add(where, path or "json", reason)
        return value, place

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        values = dict(pairs)
        if len(values) != len(pairs):
            self.odd = True
        return values

    def _constant(self, literal: str) -> Refused:
        self.odd = True
        return REFUSED
