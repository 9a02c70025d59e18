"""Words for the index, in English and Chinese.

FTS5's unicode61 takes a run of Chinese for one word. So runs of CJK characters are written as characters and
overlapping pairs before they reach it, in documents and queries alike; everything else is left to it and its Porter
stemmer.
"""

from __future__ import annotations

import re

from policy.scripts import CJK

__all__ = ["STOP_WORDS", "query_terms", "segment", "to_match"]

_RUN = re.compile(f"[{CJK}]+")
_TERM = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")

_STOP_WORDS = (
    "a about after all also am an and any are as at be because been before being between both but by can could did do "
    "does doing down during each few for from further had has have having he her here hers him his how i if in into is "
    "it its itself just me more most my no nor not of off on once only or other our out over own same she should so "
    "some such than that the their them then there these they this those through to too under until up very was we "
    "were what when where which while who whom why will with would you your much many long often "
    "的 了 在 是 和 与 及 或 有 被 为 什么 多少 哪些 哪个 如何 怎么 怎样 为什么 吗 呢 请 一个 这个 那个"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())


def segment(text: str) -> str:
    """The text with runs of CJK written as characters and pairs, separated by spaces."""
    return _RUN.sub(lambda match: f" {' '.join(_grams(match.group()))} ", text)


def query_terms(query: str) -> list[str]:
    """The words of a query that say something, lower case, CJK as characters and pairs; all of them if none does."""
    terms: list[str] = []
    for match in _TERM.finditer(query.lower()):
        word = match.group()
        terms.extend(_grams(word) if _RUN.fullmatch(word) else [word])
    telling = [term for term in terms if term not in STOP_WORDS]
    return list(dict.fromkeys(telling or terms))


def to_match(terms: list[str]) -> str:
    """An FTS5 expression that any of the terms satisfies. Quoted, so nothing in a term is syntax."""
    return " OR ".join('"' + term.replace('"', '""') + '"' for term in terms)


def _grams(run: str) -> list[str]:
    """Each character, and each pair: pairs are nearly words, and characters find a paraphrase that shares no pair."""
    return [*run, *(run[i : i + 2] for i in range(len(run) - 1))]
