"""A report made ready for the detectors, once; and where in it something was found, in a few words."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["PREFIX", "Reading", "places", "read"]

PREFIX = 4
TO_SPACES = str.maketrans(dict.fromkeys(string.punctuation + "“”‘’«»„—–…：，。、（）", " "))


@dataclass(frozen=True, slots=True)
class Reading:
    """The text as a reader sees it, and what tells quickly that something is not in it."""

    text: str
    lowered: str
    words: frozenset[str]
    """The words between spaces and punctuation, in lower case."""
    prefixes: frozenset[str]
    """Their first `PREFIX` letters."""
    letters: frozenset[str]
    """The characters of `lowered`; none of an ASCII text."""

    def may_hold(self, stem: str) -> bool:
        """False where no word begins with the stem; beyond ASCII, where one of its characters is missing."""
        if stem[0].isascii():
            return stem[:PREFIX] in self.prefixes
        return self.letters.issuperset(stem)


def read(text: str) -> Reading:
    """The reading of a text."""
    lowered = text.lower()
    words = frozenset(lowered.translate(TO_SPACES).split())
    letters = frozenset() if lowered.isascii() else frozenset(lowered)
    return Reading(text, lowered, words, frozenset(word[:PREFIX] for word in words), letters)


def places(text: str, positions: Sequence[int]) -> str:
    """`line 3`, or `4 places, first in line 3`."""
    first = f"line {text.count(chr(10), 0, min(positions)) + 1}"
    return first if len(positions) == 1 else f"{len(positions)} places, first in {first}"
