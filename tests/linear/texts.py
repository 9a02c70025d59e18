"""Texts that make a search slow: what a collapsed rollout, a banner or somebody with bad intentions writes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

# The parse tree of a pattern has no public name; without it a pattern's own weak places can't be found.
from re import _constants as codes
from re import _parser as parser
from typing import Any

Make = Callable[[int], str]
"""A text of about so many characters."""

SINGLE = (
    *"aAzI09 \t\n\r.,:;!?-–—_#>`<~=+*|/\\()[]{}\"'“’&$%^@",
    "\u0301",  # a combining mark
    "\u0345",
    "\U0001d4d0",  # a styled letter
    "\u24b6",
    "\u200b",
    "\u00ad",
    "\ufe0f",
    "\U000e0041",
    "\u202e",
    "\u0430",  # a Cyrillic lookalike
    "\u043b",  # and none
    "é",
    "中",
    "の",
    "。",
    "\uff41",
    "\x1b",
    "\x00",
    "\x85",
    "\u2028",
    "\x1c",
    "\ud800",
    "İ",
    "ﷺ",
    "😀",
)
"""One of each class of characters that some scan tells from others."""


def repeated(piece: str, head: str = "", tail: str = "") -> Make:
    return lambda size: head + piece * max(1, (size - len(head) - len(tail)) // len(piece)) + tail


def texts(alphabet: tuple[str, ...], pairs: tuple[str, ...]) -> Iterator[tuple[str, Make]]:
    """(name, text) of runs of one character, and for some of pairs, and of runs that another ends."""
    for one in alphabet:
        yield repr(one), repeated(one)
    for one, other in itertools.permutations(pairs, 2):
        yield f"{one + other!r}", repeated(one + other)
        yield f"{one!r} then {other!r}", repeated(one, tail=other)


def attacks(pattern: re.Pattern[str]) -> Iterator[tuple[str, Make]]:
    """(name, text) made of a pattern's own parts: each loop pumped, behind what leads to it, before what breaks it."""
    tree = parser.parse(pattern.pattern, pattern.flags)
    chars = _alphabet(tree)
    own = tuple(dict.fromkeys((*chars[:9], "a", " ", "\n")))
    yield from texts(own, own)
    for head, pumps in _loops(tree, ""):
        for pump in dict.fromkeys(p for p in pumps if p):
            for tail in ("", "\n", "\x01", "\x01\n"):
                yield f"{head!r} {pump!r}… {tail!r}", repeated(pump, head, tail)
            for tail in ("", "\x01", "\x01\n"):
                yield f"({head + pump!r})… {tail!r}", repeated(head + pump, tail=tail)
            yield f"({head + pump * 9!r})…", repeated(head + pump * 9)
        if head:
            yield f"({head!r})…", repeated(head)
            yield f"({head!r})… then what ends nothing", repeated(head, tail="\x01\n")


def _loops(tree: Any, head: str) -> Iterator[tuple[str, list[str]]]:
    """(a text that leads to it, its bodies) of each loop that may run long."""
    for code, value in tree:
        match code:
            case codes.MAX_REPEAT | codes.MIN_REPEAT | codes.POSSESSIVE_REPEAT:
                low, high, body = value
                if high > 8:
                    yield head, _samples(body)
                yield from _loops(body, head)
                head += (_samples(body) or [""])[0] * low
                continue
            case codes.BRANCH:
                for branch in value[1]:
                    yield from _loops(branch, head)
            case codes.SUBPATTERN:
                yield from _loops(value[3], head)
            case codes.ATOMIC_GROUP:
                yield from _loops(value, head)
            case codes.ASSERT | codes.ASSERT_NOT:
                yield from _loops(value[1], head)
                continue
        head += (_samples([(code, value)]) or [""])[0]


def _samples(tree: Any) -> list[str]:
    """A few texts that a part of a pattern matches, without its look-arounds."""
    found = [""]
    for code, value in tree:
        parts = _one(code, value)
        if len(found) * len(parts) > 9:
            found, parts = found[:3], parts[:3]
        found = [a + b for a in found for b in parts]
    return found


def _one(code: Any, value: Any) -> list[str]:
    match code:
        case codes.LITERAL:
            return [chr(value)]
        case codes.NOT_LITERAL | codes.ANY | codes.IN:
            return _chars(code, value)[:4]
        case codes.BRANCH:
            return [text for branch in value[1] for text in _samples(branch)[:1]]
        case codes.SUBPATTERN:
            return _samples(value[3])
        case codes.ATOMIC_GROUP:
            return _samples(value)
        case codes.MAX_REPEAT | codes.MIN_REPEAT | codes.POSSESSIVE_REPEAT:
            low, high, body = value
            texts = _samples(body)
            return [text * max(low, min(1, high)) for text in texts] if low else ["", *texts]
        case _:
            return [""]


_PROBES = [*map(chr, range(1, 0x250)), *(char for char in SINGLE if ord(char) > 0x24F)]


def _chars(code: Any, value: Any) -> list[str]:
    """Representatives of a class of characters."""
    return [c for c in ("a", "0", " ", "-", ".", "Z", "\n", *SINGLE) if _in(code, value, c)] or [
        c for c in _PROBES if _in(code, value, c)
    ][:2]


def _in(code: Any, value: Any, char: str) -> bool:
    if code is codes.ANY:
        return char != "\n"
    if code is codes.NOT_LITERAL:
        return ord(char) != value
    negated = value[0][0] is codes.NEGATE
    return any(_item(item, char) for item in value[1 if negated else 0 :]) != negated


def _item(item: Any, char: str) -> bool:
    kind, value = item
    match kind:
        case codes.LITERAL:
            return ord(char) == value
        case codes.RANGE:
            return value[0] <= ord(char) <= value[1]
        case codes.CATEGORY:
            name = str(value).removeprefix("CATEGORY_")
            letter = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[name.removeprefix("NOT_")]
            return (re.match(letter, char) is not None) != name.startswith("NOT_")
    return False


def _alphabet(tree: Any) -> list[str]:
    """Characters that the pattern tells apart, those of its loops first."""
    found: list[str] = []

    def visit(part: Any, in_loop: bool) -> None:
        for code, value in part:
            match code:
                case codes.MAX_REPEAT | codes.MIN_REPEAT | codes.POSSESSIVE_REPEAT:
                    visit(value[2], value[1] > 3)
                case codes.BRANCH:
                    for branch in value[1]:
                        visit(branch, in_loop)
                case codes.SUBPATTERN:
                    visit(value[3], in_loop)
                case codes.ATOMIC_GROUP:
                    visit(value, in_loop)
                case codes.ASSERT | codes.ASSERT_NOT:
                    visit(value[1], in_loop)
                case codes.LITERAL:
                    if in_loop or not chr(value).isalpha():
                        found.append(chr(value))
                case codes.NOT_LITERAL:
                    found.extend((chr(value), "a"))
                case codes.ANY | codes.IN:
                    found.extend(_chars(code, value)[:4])

    visit(tree, False)
    return list(dict.fromkeys(found))
