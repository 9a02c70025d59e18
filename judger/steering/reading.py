"""A report made ready for the detectors, once; and where in it something was found, in a few words."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Phrases", "Reading", "Stems", "beyond_ascii", "places", "read"]

PREFIX = 4
ASCII = "".join(map(chr, range(128)))
BITS = 15
SPREAD = 2654435761
"""Knuth's multiplier: the upper bits of the product tell codes apart."""
LETTERS = bytes(byte if byte < 128 and (chr(byte).isalnum() or byte == ord("_")) else 0 for byte in range(256))
"""What is no part of a word in ASCII, and every byte of other characters, becomes 0."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The text as a reader sees it, and what tells quickly that something is not in it."""

    text: str
    lowered: str
    beginnings: npt.NDArray[np.uint8]
    """By the hash of a word's first letters: whether some word of ASCII letters begins so. Others that share its hash
    are let through, which costs a search and nothing else."""
    letters: frozenset[str]
    """The characters beyond ASCII."""

    def may_hold(self, stem: str) -> bool:
        """False where no word has the stem's first letters; beyond ASCII, where one of its characters is missing."""
        beginning, beyond = _key(stem)
        return beyond <= self.letters if beyond else bool(self.beginnings[beginning])


def read(text: str) -> Reading:
    """The reading of a text."""
    lowered = text.lower()
    # Words are not cut out one by one: that takes ten times as long as the rest of the search.
    data = b"".join((b" ", lowered.encode("utf-8", "surrogatepass"), bytes(PREFIX)))
    return Reading(text, lowered, _marked(data.translate(LETTERS)), beyond_ascii(lowered))


class Stems:
    """Many stems, looked for at once."""

    def __init__(self, stems: Iterable[str]) -> None:
        keys = [(stem, *_key(stem)) for stem in stems]
        self._plain = [stem for stem, _, beyond in keys if not beyond]
        self._beginnings = np.array([beginning for _, beginning, beyond in keys if not beyond], dtype=np.int64)
        self._others = [(stem, beyond) for stem, _, beyond in keys if beyond]
        self._letters = frozenset[str]().union(*(beyond for _, beyond in self._others))

    def held(self, reading: Reading) -> list[str]:
        """Those that the text `may_hold`."""
        held = [self._plain[i] for i in reading.beginnings[self._beginnings].nonzero()[0].tolist()]
        letters = reading.letters & self._letters
        return held + [stem for stem, beyond in self._others if beyond <= letters] if letters else held


class Phrases:
    """Many phrases, looked for at once."""

    def __init__(self, phrases: Iterable[str]) -> None:
        marks = [(phrase, read(phrase).beginnings.nonzero()[0]) for phrase in phrases]
        marked = [(phrase, places) for phrase, places in marks if len(places)]
        self._unmarked = [phrase for phrase, places in marks if not len(places)]
        self._marked = [phrase for phrase, _ in marked]
        self._places = np.concatenate([places for _, places in marked]) if marked else np.zeros(0, np.int64)
        self._starts = np.cumsum([0, *(len(places) for _, places in marked[:-1])])

    def held(self, reading: Reading) -> list[str]:
        """Those whose words of ASCII letters may all be in the text."""
        if not self._marked:
            return self._unmarked
        every = np.minimum.reduceat(reading.beginnings[self._places], self._starts)
        return self._unmarked + [self._marked[i] for i in every.nonzero()[0].tolist()]


def _marked(data: bytes) -> npt.NDArray[np.uint8]:
    """`Reading.beginnings` of the `LETTERS` of a text between a zero and `PREFIX` zeros."""
    in_words = np.frombuffer(data, np.uint8) != 0
    starts = np.flatnonzero(in_words[1:] > in_words[:-1]) + 1
    codes = np.ndarray((len(data) - PREFIX + 1,), "<u4", data, strides=(1,))[starts]  # four letters from each place on
    # Of a word that ends before, only its own letters.
    codes = np.where(codes & 0xFF00 == 0, codes & 0xFF, np.where(codes & 0xFF0000 == 0, codes & 0xFFFF, codes))
    marked = np.zeros(1 << BITS, np.uint8)
    marked[(codes * np.uint32(SPREAD)) >> np.uint32(32 - BITS)] = 1
    return marked


@functools.cache
def _key(stem: str) -> tuple[int, frozenset[str]]:
    """(the hash of its first word's first letters, its characters beyond ASCII); of stems that this package holds."""
    code = int.from_bytes(stem.split(" ")[0][:PREFIX].encode()[:PREFIX], "little")
    return (code * SPREAD & 0xFFFFFFFF) >> (32 - BITS), beyond_ascii(stem)


def beyond_ascii(text: str) -> frozenset[str]:
    """The characters of a text that are not ASCII."""
    if text.isascii():
        return frozenset()
    rest = text.encode("utf-8", "surrogatepass").translate(None, ASCII.encode())
    return frozenset(rest.decode("utf-8", "surrogatepass"))


def places(text: str, positions: Sequence[int]) -> str:
    """`line 3`, or `4 places, first in line 3`."""
    first = f"line {text.count(chr(10), 0, min(positions)) + 1}"
    return first if len(positions) == 1 else f"{len(positions)} places, first in {first}"
