"""What a report holds beside its sentences: lists, what stands under headings, citations, numbers.

Made once a report, for the figures of all criteria (`counted`). No model, no torch; every pattern is linear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from judger.engines.mini.layout import Lines, read_lines
from judger.engines.mini.signals import AUTHOR_YEAR, BRACKET, CITE, FOOTNOTE, MONTH, URL
from judger.engines.mini.text import Ints

ITEMS = frozenset({"bullet", "numbered"})
MOST = 20
"""Items beyond these tell no more."""
_HASHES = re.compile(r"\s{0,3}(#{1,6})\s")
_BOLD_LEAD = re.compile(r"\s*(?:\*\*|__)[^*_\n]{2,90}(?:\*\*|__)")
_ENUMERATED = re.compile(r"[,;]\s(?:and |or )?|\s(?:and|or)\s")
_MARKER = re.compile(r"(?<!\w)\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})\)\s")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_AMOUNT = re.compile(r"(?<![\w.])(\d[\d,]*(?:\.\d+)?)(?:\s?[-–]?\s?(%|percent|per cent|[a-zA-Z]+))?")
SMALL = frozenset(
    "the a an of and or to in on for with by as at is are was were be been has have had it its this that these those "
    "from which who than then will would can could may might must do does did their his her they he she not no any "
    "each every all some such other into about between within how why what when where whether both also more most "
    "least one two three four five six seven eight nine ten e.g i.e".split()
)
COUNT = {word: str(n) for n, word in enumerate("zero one two three four five six seven eight nine ten".split())}
_SPELLED = (
    COUNT
    | {
        word: str(n)
        for n, word in enumerate(
            "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty".split(), 11
        )
    }
    | {word: str(10 * n) for n, word in enumerate("thirty forty fifty sixty seventy eighty ninety hundred".split(), 3)}
)


def stem(word: str) -> str:
    """A word without its commonest endings: "discusses", "discussing" and "discussed" are one."""
    word = word.removesuffix("'s").removesuffix("’s")
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "ers", "er", "ed", "es", "ly", "s", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word[:-1] if word.endswith("s") and len(word) == 4 else word


def stems(text: str) -> frozenset[str]:
    """The stems of the words that carry meaning."""
    return frozenset(stem(word) for word in _WORD.findall(text.lower()) if word not in SMALL)


def amounts(text: str) -> list[tuple[str, str]]:
    """The numbers of a text with what stands behind each: ("5", "percent"). Commas of thousands are left out."""
    found = []
    for number, unit in _AMOUNT.findall(text):
        unit = unit.lower()
        unit = "%" if unit in {"percent", "per cent"} else stem(unit)
        found.append((number.replace(",", ""), unit))
    return found


@dataclass(slots=True)
class Facts:
    """One report. By unit (u,): listed, of its own list or table; under, what stands under it, if it is a heading;
    beside, headings of its section's level; enumerated, in the sentence; cited, whether it holds a citation."""

    stems: list[frozenset[str]]
    every: frozenset[str]
    listed: Ints
    under: Ints
    beside: Ints
    enumerated: Ints
    cited: np.ndarray
    is_heading: np.ndarray
    line: Ints
    numbers: frozenset[str]
    amounts: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, text: str, spans: Ints) -> Facts:
        """spans (u, 2): the characters of the report's units."""
        lines = read_lines(text)
        at = lines.at(spans[:, 0])
        units = [text[a:b] for a, b in spans]
        listed, under, beside = _counts(lines)
        cited = np.array([is_cited(unit) for unit in units], np.bool_)
        found = amounts(text)
        words = _WORD.findall(text.lower())
        numbers = frozenset(n for n, _ in found) | frozenset(_SPELLED[w] for w in words if w in _SPELLED)
        is_heading = np.array([lines.kinds[line] == "heading" for line in at], np.bool_)
        held = [stems(unit) for unit in units]
        return cls(
            stems=held,
            every=frozenset().union(*held),
            listed=listed[at],
            under=np.where(is_heading, under[at], 0),
            beside=beside[at],
            enumerated=np.array([_enumerated(unit) for unit in units], np.int32),
            cited=cited,
            is_heading=is_heading,
            line=at,
            numbers=numbers,
            amounts=frozenset(found),
        )


def is_cited(text: str) -> bool:
    """Whether a passage cites: [1], (Lee, 2020), Lee et al. (2020), a footnote, a key, 【1†source】, an address."""
    if BRACKET.search(text) or FOOTNOTE.search(text) or CITE.search(text) or URL.search(text) or "†" in text:
        return True
    return any(not MONTH.match(name) for name, _ in AUTHOR_YEAR.findall(text))


def _counts(report: Lines) -> tuple[Ints, Ints, Ints]:
    """By line: items of its list or rows of its table; what stands under it as a heading; headings beside its own."""
    lines, kinds = report.texts, report.kinds
    n = max(len(lines), 1)
    listed, under, beside = (np.zeros(n, np.int32) for _ in range(3))
    block: dict[int, list[int]] = {}
    rows: list[int] = []

    def close() -> None:
        for members in block.values():
            listed[members] = len(members)
        block.clear()

    def close_rows() -> None:
        listed[rows] = max(len(rows) - 2, 0)  # without the header and its rule
        rows.clear()

    for i, kind in enumerate(kinds):
        if kind != "row":
            close_rows()
        if kind in ITEMS:
            indent = min((len(lines[i]) - len(lines[i].lstrip())) // 2, 6)
            for deeper in [d for d in block if d > indent]:
                listed[block[deeper]] = len(block[deeper])
                del block[deeper]
            block.setdefault(indent, []).append(i)
        elif kind == "row":
            rows.append(i)
        elif kind == "heading" or (kind == "prose" and not lines[i].startswith((" ", "\t"))):
            close()
    close()
    close_rows()
    heads = [i for i, kind in enumerate(kinds) if kind == "heading"]
    levels = [len(m.group(1)) if (m := _HASHES.match(lines[i])) else 7 for i in heads]
    stack: list[int] = []  # places in `heads` that are open
    children: list[list[int]] = [[] for _ in heads]
    top: list[int] = []
    best = np.zeros(len(heads), np.int32)  # items right under a heading
    bolds = np.zeros(len(heads), np.int32)
    owner = np.full(n, -1, np.int32)
    place = -1
    for i, kind in enumerate(kinds):
        if kind == "heading":
            place += 1
            while stack and levels[stack[-1]] >= levels[place]:
                stack.pop()
            (children[stack[-1]] if stack else top).append(place)
            stack.append(place)
        elif place >= 0:
            best[place] = max(best[place], listed[i])
            bolds[place] += kind == "prose" and _BOLD_LEAD.match(lines[i]) is not None
        owner[i] = place
    siblings = np.zeros(len(heads), np.int32)
    for group in [top, *children]:
        for member in group:
            siblings[member] = len(group)
    for place, i in enumerate(heads):
        under[i] = max(int(best[place]), int(bolds[place]), len(children[place]))
    for i in range(len(lines)):
        beside[i] = siblings[owner[i]] if owner[i] >= 0 else 0
    return listed, under, beside


def _enumerated(unit: str) -> int:
    """What a sentence lists: "a, b and c" is three."""
    marks = len(_MARKER.findall(unit))
    return max(min(len(_ENUMERATED.findall(unit)) + 1, MOST), marks)
