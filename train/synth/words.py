"""What is read out of plain text: sentences, words, numbers, and whether a name is in it.

Chinese and Japanese have no spaces: each of their characters is a token, and two of them count as a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from policy.scripts import CJK

__all__ = [
    "TOKEN",
    "content",
    "ends_in",
    "half_words",
    "is_cjk",
    "is_named",
    "length",
    "masked",
    "ngrams",
    "numbers",
    "plain",
    "runs",
    "sentences",
    "short",
    "tokens",
]

_LINK = re.compile(r"!?\[([^\[\]\n]{1,200})\]\([^()\s]{1,500}\)")
_END = re.compile(r"(?<=[.!?])(?<!\b[A-Za-z]\.)\s+(?=[A-Z\"'(])|(?<=[。！？])")
TOKEN = re.compile(rf"[{CJK}]|[^\W{CJK}]+")
"""A word, or one character of Chinese or Japanese."""
_RUN = re.compile(rf"[{CJK}]+|[^\W{CJK}]+")
_CJK_RUN = re.compile(rf"[{CJK}]+")
_CJK_LETTER = re.compile(rf"[{CJK}]")
_PART = re.compile(rf"[{CJK}]|[^\s{CJK}]+")
_NUMBER = re.compile(rf"(?<![^\W{CJK}])(?<![.,])(?:\d[\d,.]*\d|\d)%?")
_PARTICLE = re.compile("[的了是在和与及或并]")
_SOURCES = re.compile(
    r"(?:#{1,6} |\*\*)?(?:\d{1,2}[.)]? )?"
    r"(?:sources|references|works cited|bibliography|citations|参考文献|参考资料|来源)(?:\*\*)?[:：]?(?:\*\*)?",
    re.IGNORECASE,
)
_STOP = frozenset(
    "a an and are as at be been but by can could did do for from had has have he her his how i if in into is it its "
    "may might more most no not of on one or other our she should so some such than that the their them then there "
    "these they this those to under up used was we were what when where which while who will with would you "
    "your".split()
)


def plain(text: str) -> str:
    """The text without the marks of its links."""
    return _LINK.sub(r"\1", text)


def sentences(text: str) -> list[str]:
    """Its sentences, without links and line breaks."""
    return [part.strip() for part in _END.split(" ".join(plain(text).split())) if part.strip()]


def content(text: str) -> list[str]:
    """Its words that say something, in small letters; of Chinese every two neighbouring characters."""
    out: list[str] = []
    for run in _RUN.findall(text.lower()):
        if not _is_letter(run[0]):
            out += [run] if run not in _STOP and (len(run) > 1 or run.isdigit()) else []
            continue
        for part in filter(None, _PARTICLE.split(run)):
            out += [part[at : at + 2] for at in range(max(1, len(part) - 1))]
    return out


def is_cjk(text: str) -> bool:
    """Whether more of its words are Chinese or Japanese than not."""
    cjk = sum(len(run) for run in _CJK_RUN.findall(text))
    return cjk > 2 * (len(_RUN.findall(text)) - len(_CJK_RUN.findall(text)))


def length(text: str) -> int:
    """How many words it has, as spaces part them; two Chinese characters count as one."""
    parts = _PART.findall(text)
    return len(parts) - sum(map(_is_letter, parts)) // 2


def _is_letter(token: str) -> bool:
    return _CJK_LETTER.match(token) is not None


def tokens(text: str) -> list[str]:
    """Its words, as they are written."""
    return TOKEN.findall(text)


def numbers(text: str) -> list[str]:
    """The numbers in it, as they are written."""
    return _NUMBER.findall(text)


def ngrams(text: str, size: int) -> list[tuple[str, ...]]:
    """Its runs of that many words, in small letters; two Chinese characters count as one."""
    said = TOKEN.findall(text.lower())
    return [tuple(said[start:end]) for start, end in runs(said, size)]


def runs(said: Sequence[str], size: int) -> Iterator[tuple[int, int]]:
    """Where each run of that many words begins and ends among tokens; two Chinese characters count as one."""
    halves = list(map(half_words, said))
    end = weight = 0
    for start in range(len(said)):
        while weight < 2 * size and end < len(said):
            weight += halves[end]
            end += 1
        if weight < 2 * size:
            return
        yield start, end
        weight -= halves[start]


def half_words(token: str) -> int:
    """2 for a word, 1 for a Chinese or Japanese character."""
    return 1 if _is_letter(token) else 2


def is_named(text: str, names: Iterable[str]) -> str:
    """The first of the names that stands in the text as whole words, whatever the case; or nothing."""
    padded = f" {' '.join(TOKEN.findall(text.lower()))} "
    for name in names:
        words = " ".join(TOKEN.findall(name.lower()))
        if words and f" {words} " in padded:
            return name
    return ""


def ends_in(report: str, names: Iterable[str]) -> str:
    """The first of the names that stands in the last paragraph of a report before its list of sources; or nothing."""
    parts = [part.strip() for part in re.split(r"\n\s*\n", report) if part.strip()]
    for place in range(len(parts) - 1, 0, -1):
        if _SOURCES.fullmatch(parts[place].partition("\n")[0].strip()):
            parts = parts[:place]
            break
    return is_named(parts[-1], names) if parts else ""


def masked(text: str, names: Iterable[str], mask: str = "___") -> str:
    """The text with each of the names, as whole words of any case, replaced."""
    for name in sorted({name for name in names if name.strip()}, key=len, reverse=True):
        low, at, out = name.lower(), 0, []
        folded = text.lower()
        if len(folded) != len(text):  # a letter that is longer in small: offsets would not fit
            continue
        while (found := folded.find(low, at)) >= 0:
            end = found + len(low)
            is_whole = not _goes_on(text[found - 1 : found], low[0]) and not _goes_on(low[-1], text[end : end + 1])
            out.append(text[at:found] + (mask if is_whole else text[found:end]))
            at = end
        text = "".join(out) + text[at:]
    return text


def _goes_on(one: str, other: str) -> bool:
    """Whether two neighbouring characters are of one word; a Chinese one ends any."""
    return one.isalnum() and other.isalnum() and not _is_letter(one) and not _is_letter(other)


def short(text: str, most: int) -> str:
    """At most so many words of a text, cut at a comma or a bracket where one is; a cut is shown by an ellipsis."""
    if length(text) <= most:
        return text
    cut, weight = "", 0
    text = " ".join(text.split())
    for part in _PART.finditer(text):
        weight += 1 if _is_letter(part.group()) else 2
        if weight > 2 * most:
            break
        cut = text[: part.end()]
    at = max(map(cut.rfind, (",", ";", " (", "，", "；", "（")))
    return (cut[:at] if at > len(cut) // 2 else cut).rstrip(" ,;:(，；：（") + " …"
