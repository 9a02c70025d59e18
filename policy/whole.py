"""Text without half characters, which neither a file, a request, a database nor a tokenizer can hold.

JSON may escape one half of an emoji (`"\\ud83d"`: a text that was cut), PDFs and file names may hold one, and Python's
`str` takes it. It is cleaned where text comes in: replies and arguments of a model, results of a tool, records and
journals of others. What the user wrote is refused instead (`half_character`).
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["half_character", "loads", "whole", "whole_text"]


def whole_text(text: str) -> str:
    """The text with a question mark in the place of each half character."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def whole(value: Any) -> Any:
    """A value of JSON types with all of its texts whole, keys too."""
    match value:
        case str():
            return whole_text(value)
        case list():
            return [whole(member) for member in value]
        case dict():
            return {whole_text(key): whole(member) for key, member in value.items()}
        case _:
            return value


_DEEPEST = 100
"""Levels of a text that is read. Deeper ones can be parsed, and then end whatever walks or writes them."""


def loads(text: str | bytes) -> Any:
    """`json.loads`, with all texts whole. Raises ValueError, also where it is nested too deeply to be worked with."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    try:
        value = json.loads(text)
        if text.count("[") + text.count("{") > _DEEPEST and _is_deep(value):
            raise ValueError("nested too deeply")
        # Most texts have no half characters: they neither hold one nor an escape that could make one.
        return value if "\\u" not in text and whole_text(text) == text else whole(value)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _is_deep(value: Any) -> bool:
    """Whether a value has more levels than are worked with."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def half_character(text: str) -> str:
    """What is wrong with a text of the user's; empty where nothing is."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"character {error.start} is a lone surrogate ({text[error.start]!r}), which is no Unicode text"
    return ""
