"""Texts as words that carry meaning, and which two of them differ in spelling alone. Pure.

Two statements may be one letter apart (causal, casual) or one character (增, 减), so likeness says nothing. What may
differ between a copy and its original is what carries no meaning: white space, line ends, quotation marks, commas,
emphasis, articles, British or American spelling, a word written in two, and a slip that makes no word at all.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from rapidfuzz.distance import OSA

from policy.scripts import CJK

__all__ = ["Token", "is_slip", "tokens"]

# A sign belongs to its number, unless it stands between two things: -5 % is not 5 %, and 3-5 is a range.
_TOKEN = re.compile(
    rf"(?<![\w)])[-\u2212\u2013+±]?\.?\d++(?:[.,:]\d++)*+|[{CJK}]|[^\W\d_{CJK}]++(?:['’][^\W\d_{CJK}]++)*+|[^\s]"
)
_IDLE = frozenset({*"\"'`´,.;*_~\u200b\u200c\u200d\u2060\ufeff\u00ad", "the", "a", "an"})
"""What a copy may have more or less of. A colon, a question mark, a sign or a bracket is not among them."""
_SAME = str.maketrans(
    dict.fromkeys("“”„«»「」『』", '"')
    | dict.fromkeys("‘’‚", "'")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | {"。": ".", "、": ",", "…": "..."}
)
_SPELLINGS = (
    (re.compile(r"(\w{3})our(?=$|s$|ed$|ing$|able$|ers?$|ite$|al$)"), r"\1or"),
    (re.compile(r"([bct])re(?=$|s$)"), r"\1er"),
    (re.compile(r"(\w{4})(?:is|iz)(?=e$|es$|ed$|ing$|ers?$|ations?$)"), r"\1iz"),
    (re.compile(r"ogue(?=$|s$)"), "og"),
)
_LISTED = re.compile(rb'"([a-z]++)":')
_SHORTEST = 5
"""Letters of a word that may be misspelt: among shorter ones most slips make another word."""


@dataclass(frozen=True, slots=True)
class Token:
    """Characters `text[start:end]` as they are compared."""

    word: str
    start: int
    end: int

    @property
    def is_idle(self) -> bool:
        return self.word.lower() in _IDLE


def tokens(text: str) -> list[Token]:
    """Numbers with their signs, words, single Chinese and Japanese characters, and every other mark by itself."""
    return [Token(_plain(match.group()), match.start(), match.end()) for match in _TOKEN.finditer(text)]


@cache
def _known() -> frozenset[str]:
    """English words: those of pyspellchecker's list that have no mark. Its own reader parses the list in one go, for
    which every other thread waits a quarter of a second."""
    packed = files("spellchecker").joinpath("resources/en.json.gz").read_bytes()
    return frozenset(match.group(1).decode() for match in _LISTED.finditer(gzip.decompress(packed)))


def is_slip(wrong: str, right: str) -> bool:
    """Whether `wrong` is `right` in another spelling or misspelt: one slip in a small word that makes no word."""
    if not (wrong.isalpha() and right.isalpha() and wrong.isascii() and right.isascii()):
        return False
    if _spelling(wrong) == _spelling(right):
        return True
    if min(len(wrong), len(right)) < _SHORTEST or not (wrong.islower() and right.islower()) or wrong[0] != right[0]:
        return False  # a name, a short word or another prefix says something else
    return OSA.distance(wrong, right, score_cutoff=1) == 1 and right in _known() and wrong not in _known()


def _plain(word: str) -> str:
    return word if word.isascii() else unicodedata.normalize("NFKC", word.translate(_SAME)).translate(_SAME)


def _spelling(word: str) -> str:
    for pattern, same in _SPELLINGS:
        word = pattern.sub(same, word)
    return word
