"""JSON edited as text: one member changes, every other character stays. Pure functions over texts that parse.

A number read and written again loses digits (`0.1234567890123456789`), or stops being JSON (`1e999`), and half an
emoji, which JSON may hold as an escape, can't be written at all. What is only carried along is therefore never decoded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_DECODER = json.JSONDecoder()
_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a member stands: from its key's quote to behind its value."""

    key: str
    start: int
    end: int


def elements(text: str) -> list[str]:
    """The text of every element of a JSON list."""
    found = []
    at = _after(text, text.index("[") + 1)
    while text[at] != "]":
        _, end = _DECODER.raw_decode(text, at)
        found.append(text[at:end])
        at = _after(text, end)
        at = _after(text, at + 1) if text[at] == "," else at
    return found


def with_members(text: str, new: Mapping[str, str], *, instead_of: Mapping[str, str] | None = None) -> str:
    """A JSON object with other members.

    Args:
        text: the object, valid JSON without a key given twice.
        new: JSON texts by key. They take the place of the member of that key, or stand at the end.
        instead_of: for a key of `new`, the old key whose whole member it replaces.
    """
    replaced = {key: key for key in new} | {old: key for key, old in (instead_of or {}).items()}
    parts, at, left = [], 0, dict(new)
    is_empty = True
    for member in _members(text):
        is_empty = False
        key = replaced.get(member.key)
        if key in left:
            parts += [text[at : member.start], _written(key, left.pop(key))]
            at = member.end
    close = text.rindex("}")
    parts.append(text[at:close])
    for key, value in left.items():
        parts += ["" if is_empty else ", ", _written(key, value)]
        is_empty = False
    return "".join((*parts, text[close:]))


def on_one_line(text: str) -> str:
    """A JSON text without line ends: outside of strings they are white space, and inside JSON allows none."""
    return text.replace("\r", " ").replace("\n", " ")


def _members(text: str) -> Iterator[_Member]:
    at = _after(text, text.index("{") + 1)
    while text[at] != "}":
        key, end = _DECODER.raw_decode(text, at)
        value = _after(text, _after(text, end) + 1)
        _, end = _DECODER.raw_decode(text, value)
        yield _Member(key, at, end)
        at = _after(text, end)
        at = _after(text, at + 1) if text[at] == "," else at


def _after(text: str, at: int) -> int:
    """The first character from `at` on that is no white space."""
    while text[at] in _SPACE:
        at += 1
    return at


def _written(key: str, value: str) -> str:
    return f"{json.dumps(key, ensure_ascii=False)}: {value}"
