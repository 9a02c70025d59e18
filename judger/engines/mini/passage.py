"""What is read beside a criterion: the units that bear on it most, in the report's order, each under its heading.

A criterion about form also gets the report's counts, as words. Tokens only; no torch here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from judger.engines.mini.encoder import CLS, SEP
from judger.engines.mini.layout import read_lines
from judger.engines.mini.signals import FormSignals
from judger.engines.mini.text import Floats, Ints

CRITERION_TOKENS = 88
ROOM = 222
"""Tokens of the passage; a short criterion leaves it a third of what it does not need."""
PAIR_TOKENS = 340
UNIT_TOKENS = 64
HEADING_TOKENS = 14
MISSES = 4
"""So many units that don't fit end the search; smaller ones after them bear less on the criterion."""
FULL = 0.9
NEVER = -0.99
"""A unit of this score is not read, whatever room there is."""

ABOUT_FORM = re.compile(
    r"\b(?:words?|tables?|lists?|listed|sections?|headings?|headers?|citations?|cit(?:e|es|ed|ing)|sources?|references?"
    r"|bibliograph\w*|links?|urls?|bullets?|paragraphs?|length|long|longer|short|shorter|concise|brief|format\w*"
    r"|numbered|structure\w*|organi[sz]\w*|at least|more than|fewer|no more|minimum|maximum|exactly"
    r"|(?:two|three|four|five|six|seven|eight|nine|ten|\d+)\+? \w+|several|multiple|equations?|formulas?|code|figures?"
    r"|diagrams?|title|summary|conclusion|introduction|abstract|pages?|steps|examples)\b",
    re.IGNORECASE,
)
_LINK = re.compile(r"\[([^\[\]\n]{1,300})\]\([^()\s]{0,1000}\)")
_URL = re.compile(r"https?://[^\s)\]]{1,500}")
_MARKS = re.compile(r"[*_`|#]+")


@dataclass(slots=True)
class Outline:
    """Where each unit stands. heading (u,): the unit that is the nearest heading above, or -1; is_heading (u,)."""

    heading: Ints
    is_heading: np.ndarray

    @classmethod
    def of(cls, report: str, starts: Ints) -> Outline:
        """starts (u,): the characters at which the units begin."""
        lines = read_lines(report)
        is_heading = np.array([lines.kinds[line] == "heading" for line in lines.at(starts)], np.bool_)
        heading = np.full(len(starts), -1, np.int32)
        last = -1
        for unit, here in enumerate(is_heading):
            heading[unit] = last
            if here:
                last = unit
        return cls(heading, is_heading)


@dataclass(slots=True)
class Pages:
    """A report as it is read: the tokens of its units, made when they are asked for."""

    text: str
    spans: Ints
    """(u, 2) characters of each unit."""
    outline: Outline
    tokenizer: Any
    counts: list[int]
    _known: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, spans: Ints, tokenizer: Any, signals: FormSignals) -> Pages:
        counts = ids(counted(signals), tokenizer)
        return cls(text, spans, Outline.of(text, spans[:, 0]), tokenizer, counts)

    def clean(self, start: int, end: int) -> str:
        """The characters from `start` to `end`, without markup and addresses."""
        return _clean(self.text[start:end])

    def unit(self, number: int) -> list[int]:
        """Its tokens, without markup and addresses."""
        if number not in self._known:
            start, end = self.spans[number]
            self._known[number] = ids(_clean(self.text[start:end]), self.tokenizer)[:UNIT_TOKENS]
        return self._known[number]

    def passage(self, score: Floats, room: int, *, with_counts: bool) -> list[int]:
        """score (u,): how far each unit bears on the criterion -> tokens."""
        out = list(self.counts) if with_counts else []
        kept, headings = self._choose(score, room - len(out))
        colon, gap = ids(":", self.tokenizer)[0], ids("|", self.tokenizer)[0]
        shown: set[int] = set()
        last: int | None = None
        for unit in sorted(kept):
            heading = int(self.outline.heading[unit])
            if heading in headings and heading not in shown and heading not in kept:
                out += [*self.unit(heading)[:HEADING_TOKENS], colon]
                shown.add(heading)
            elif last is not None and unit != last + 1:
                out.append(gap)
            out += self.unit(unit)
            last = unit
        return out

    def _choose(self, score: Floats, room: int) -> tuple[set[int], set[int]]:
        """The best units that fit, and the headings that are read with them."""
        kept: set[int] = set()
        headings: set[int] = set()
        used = misses = 0
        for unit in map(int, np.argsort(-score, kind="stable")):
            size, heading = len(self.unit(unit)) + 1, int(self.outline.heading[unit])
            if score[unit] <= NEVER or (self.outline.is_heading[unit] and size < 3):
                continue
            is_new = heading >= 0 and heading not in headings and heading not in kept
            extra = len(self.unit(heading)[:HEADING_TOKENS]) + 1 if is_new else 0
            if used + size + extra > room:
                if used + size > room:
                    misses += 1
                    if misses >= MISSES or used > FULL * room:
                        break
                    continue
                extra = 0
            kept.add(unit)
            if extra:
                headings.add(heading)
            used += size + extra
        return kept, headings


@dataclass(frozen=True, slots=True)
class Reading:
    """One input of the reader: [CLS] criterion [SEP] passage [SEP]; the passage begins at `second`."""

    ids: list[int]
    second: int


def reading(text: str, pages: Pages, score: Floats, *, negative: bool) -> Reading:
    """A criterion with its sign, beside what the report holds of it."""
    first = ids(("flaw: " if negative else "requirement: ") + text, pages.tokenizer)[:CRITERION_TOKENS]
    room = ROOM + (CRITERION_TOKENS - len(first)) // 3
    passage = pages.passage(score, room, with_counts=ABOUT_FORM.search(text) is not None)
    return Reading([CLS, *first, SEP, *passage[: PAIR_TOKENS - 3 - len(first)], SEP], len(first) + 2)


def counted(signals: FormSignals) -> str:
    """The counts that criteria of form ask about, as words."""
    s = signals
    flags = [name for name in ("introduction", "conclusion", "summary", "bibliography") if getattr(s, name)]
    return (
        f"words {round(s.words, -1)} sections {s.headings} items {s.bullets + s.numbered} lists {s.lists} "
        f"tables {s.tables} citations {s.citations} sources {s.sources} links {s.links} formulas {s.equations} "
        f"code {s.code_blocks} bold {s.bold} {' '.join(flags)} . "
    )


def ids(text: str, tokenizer: Any) -> list[int]:
    """Word pieces of a text, no special ones."""
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def _clean(text: str) -> str:
    text = _URL.sub(" url ", _LINK.sub(r"\1", text))
    return _MARKS.sub(" ", text)
