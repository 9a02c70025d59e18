"""What is read out of plain text: sentences, the definition of a thing, its genus, and whether a name is in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = [
    "content",
    "definition",
    "genus",
    "is_named",
    "masked",
    "ngrams",
    "numbers",
    "plain",
    "sentences",
    "short",
    "tokens",
]

_LINK = re.compile(r"!?\[([^\[\]\n]{1,200})\]\([^()\s]{1,500}\)")
_END = re.compile(r"(?<=[.!?])(?<!\b[A-Za-z]\.)\s+(?=[A-Z\"'(])|(?<=[。！？])")
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"(?<![\w.,])\d[\d,.]*\d%?|(?<![\w.,])\d%?")
_ARTICLE = re.compile(r"^(an?|the|one of the|any|any of)\s+", re.IGNORECASE)
_COPULA = re.compile(r"^.{0,80}?\b(?:is|are|was|were)\s+(?=(?:an?|the|one of)\s)", re.IGNORECASE)
_ASIDE = re.compile(r"^\([^()]{0,200}\)[,;:]?\s*")
_STOP = frozenset(
    "a an and are as at be been but by can could did do for from had has have he her his how i if in into is it its "
    "may might more most no not of on one or other our she should so some such than that the their them then there "
    "these they this those to under up used was we were what when where which while who will with would you "
    "your".split()
)
_ENDS = frozenset(
    "of for that which to in on by used developed designed from with and or as at written produced based created made "
    "intended using where when whose who between consisting defined containing is are was were has have".split()
)

_NO_KIND = frozenset("kind sort type first second last one two complete term name word thing any".split())


def plain(text: str) -> str:
    """The text without the marks of its links."""
    return _LINK.sub(r"\1", text)


def sentences(text: str) -> list[str]:
    """Its sentences, without links and line breaks."""
    return [part.strip() for part in _END.split(" ".join(plain(text).split())) if part.strip()]


def content(text: str) -> list[str]:
    """Its words that say something, in small letters."""
    return [word for word in _WORD.findall(text.lower()) if word not in _STOP and (len(word) > 1 or word.isdigit())]


def tokens(text: str) -> list[str]:
    """Its words, as they are written."""
    return _WORD.findall(text)


def numbers(text: str) -> list[str]:
    """The numbers in it, as they are written."""
    return _NUMBER.findall(text)


def ngrams(text: str, size: int) -> list[tuple[str, ...]]:
    """Its runs of that many words, in small letters."""
    words = _WORD.findall(text.lower())
    return [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]


def is_named(text: str, names: Iterable[str]) -> str:
    """The first of the names that stands in the text as whole words, whatever the case; or nothing."""
    padded = f" {' '.join(_WORD.findall(text.lower()))} "
    for name in names:
        words = " ".join(_WORD.findall(name.lower()))
        if words and f" {words} " in padded:
            return name
    return ""


def masked(text: str, names: Iterable[str], mask: str = "___") -> str:
    """The text with each of the names, as whole words of any case, replaced."""
    for name in sorted({name for name in names if name.strip()}, key=len, reverse=True):
        low, at, out = name.lower(), 0, []
        folded = text.lower()
        if len(folded) != len(text):  # a letter that is longer in small: offsets would not fit
            continue
        while (found := folded.find(low, at)) >= 0:
            end = found + len(low)
            is_whole = not (found and text[found - 1].isalnum()) and not (end < len(text) and text[end].isalnum())
            out.append(text[at:found] + (mask if is_whole else text[found:end]))
            at = end
        text = "".join(out) + text[at:]
    return text


def definition(texts: Sequence[str], title: str) -> str:
    """What the first passage says that `title` is: "a ..." or "the ..."; empty where it does not begin so."""
    if not texts:
        return ""
    parts = sentences(texts[0])
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


def short(text: str, most: int) -> str:
    """At most so many words of a text, cut at a comma or a bracket where one is; a cut is shown by an ellipsis."""
    words = text.split()
    if len(words) <= most:
        return text
    cut = " ".join(words[:most])
    at = max(cut.rfind(","), cut.rfind(";"), cut.rfind(" ("))
    return (cut[:at] if at > len(cut) // 2 else cut).rstrip(" ,;:(") + " …"
