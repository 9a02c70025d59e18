"""What a page says that a thing is, and of what kind: read out of its first sentence, in English or Chinese."""

from __future__ import annotations

import re
from collections.abc import Sequence

from train.synth import words

__all__ = ["definition", "genus"]

_ARTICLE = re.compile(r"^(an?|the|one of the|any|any of)\s+", re.IGNORECASE)
_COPULA = re.compile(r"^.{0,80}?\b(?:is|are|was|were)\s+(?=(?:an?|the|one of)\s)", re.IGNORECASE)
_ASIDE = re.compile(r"^\([^()]{0,200}\)[,;:]?\s*")
_CJK_ASIDE = re.compile(r"^\s*(?:[（(][^（()）]{0,200}[)）])?[，,：:]?\s*")
_CJK_COPULA = re.compile(r"^(?:又称|亦称|也称|简称)?[^，。；]{0,20}?[，,]?(?:是指|指的是|是|指)\s*(?=[^否不])")
_CJK_MEASURE = re.compile(r"^(?:一|首|第一|几|多|某)?(?:种|个|类|款|项|座|名|位|家|门|套|台|部|条|所|支|组)")
_LEAST = 4
"""Words of a definition."""
_ENDS = frozenset(
    "of for that which to in on by used developed designed from with and or as at written produced based created made "
    "intended using where when whose who between consisting defined containing is are was were has have".split()
)

_NO_KIND = frozenset("kind sort type first second last one two complete term name word thing any".split())


def definition(texts: Sequence[str], title: str) -> str:
    """What the first passage says that `title` is: "a ..." or "the ..."; empty where it does not begin so."""
    if not texts:
        return ""
    if words.is_cjk(texts[0]):
        return _cjk_definition(texts[0], title)
    parts = words.sentences(texts[0])
    while parts:
        first = _ASIDE.sub("", parts[0])
        if first.lower().startswith(title.lower()) or re.match(r"(?:It|This)\b", first):
            first = _COPULA.sub("", first, count=1)
        if _ARTICLE.match(first) and len(first.split()) >= 4:
            return first[0].lower() + first[1:].rstrip(" .;:,")
        if len(parts) == 1 or len(first.split()) > 6:
            return ""
        parts = parts[1:]  # "Lisp dialect." or a pronunciation, and then the sentence
    return ""


def genus(said: str) -> str:
    """The kind of thing that a definition names: "functional language" of "a functional language developed at ..."."""
    if words.is_cjk(said):
        return _cjk_genus(said)
    kind: list[str] = []
    for word in _ARTICLE.sub("", said).split():
        if word.lower().strip("(),;:.") in _ENDS or word.startswith("("):
            break
        kind.append(word)
        if word[-1] in ",;:.)":
            break
    while kind and kind[-1].endswith(("ed", "ly")):  # "a language originally", "a company known"
        kind.pop()
    text = " ".join(kind).strip(" ,;:.()")
    return text if 1 <= len(kind) <= 5 and text.lower() not in _NO_KIND else ""


def _cjk_definition(text: str, title: str) -> str:
    """What the first sentence says of its title: "一种函数式语言" of "Haskell（...）是一种函数式语言。"."""
    first = next(iter(words.sentences(text)), "").strip("。 ")
    if not first.lower().startswith(title.lower()):
        return ""
    rest = _CJK_ASIDE.sub("", first[len(title) :], count=1)
    found = _CJK_COPULA.match(rest)
    said = rest[found.end() :] if found else ""
    return said if words.length(said) >= _LEAST else ""


def _cjk_genus(said: str) -> str:
    """The end of the first clause, behind its last 的: "函数式语言" of "一种惰性的函数式语言，由...设计"."""
    clause = re.split("[，；：（(,;]", said, maxsplit=1)[0]
    kind = _CJK_MEASURE.sub("", clause.rpartition("的")[2])
    return kind if 2 <= len(kind) <= 12 else ""
