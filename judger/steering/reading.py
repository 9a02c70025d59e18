"""A report made ready for the detectors, once; and where in it something was found, in a few words."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["PREFIX", "Reading", "places", "read"]

PREFIX = 4
WORD = re.compile(r"\w+")
TO_SPACES = str.maketrans(dict.fromkeys(set(string.punctuation) - {"_"}, " "))


@dataclass(frozen=True, slots=True)
class Reading:
    """The text as a reader sees it, and what tells quickly that something is not in it."""

    text: str
    lowered: str
    words: frozenset[str]
    """In lower case."""
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
    if lowered.isascii():  # the same words, in half the time
        words, letters = frozenset(lowered.translate(TO_SPACES).split()), frozenset[str]()
    else:
        words, letters = frozenset(WORD.findall(lowered)), frozenset(lowered)
    return Reading(text, lowered, words, frozenset(word[:PREFIX] for word in words), letters)


def places(text: str, positions: Sequence[int]) -> str:
    """`line 3`, or `4 places, first in line 3`."""
    first = f"line {text.count(chr(10), 0, min(positions)) + 1}"
    return first if len(positions) == 1 else f"{len(positions)} places, first in {first}"
