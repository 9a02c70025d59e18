"""How a report cites: the marks in its text, the entries of its list, and what ties the two together.

Models cite as [1], [^1], (Author, 2020), Author et al. (2020), \\cite{key}, 【1†source】, bare links, "Source: ...", a
doi, or in a list at the end that may have a heading, begin with "References:" in the line itself, or have neither.
Counted, not read; every pattern is linear.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from judger.engines.mini.layout import BIBLIOGRAPHY, NAMED_SOURCES, plain_heading, read_lines
from judger.engines.mini.signals import AUTHOR_YEAR, BRACKET, CITE, FOOTNOTE, MONTH, URL, bracketed

_LEAD_IN = re.compile(
    rf"[\s#*_>-]{{0,12}}(?:\d{{1,2}}\.\s)?{NAMED_SOURCES}\s?[*_]{{0,3}}(?::|\.[*_]{{1,3}})[*_]{{0,3}}\s*", re.IGNORECASE
)
_HEADED = re.compile(rf"\s{{0,3}}#{{1,6}}\s+{NAMED_SOURCES}\b:?\s+(?=\S)", re.IGNORECASE)
_DEFINED = re.compile(r"\s{0,8}(?:[-*+•]\s+)?\[\^?([\w-]{1,12})\](?::|\s)\s*(?=\S)(?!\()")
_NOTED = re.compile(r"[\s*_(\[-]{0,10}(?:Citation|Reference|Source|Ref)s?[*_]{0,3}:[*_]{0,3}\s*(?=\S)", re.IGNORECASE)
_NUMBERED = re.compile(r"\s{0,8}(?:\[\^?(\d{1,3})\]|(\d{1,3})[.)])")
_SOURCED = re.compile(r"[(\[](?:source|see|ref|cf\.?)s?[:\s]\s?[A-Z][^()\[\]\n]{1,200}[)\]]|†", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{2,}")
_TRACKING = re.compile(r"(?<=[?&])utm_[^&]*&?")
"""Says where a reader came from; the rest of a query may name the page ("watch?v=...")."""
BARE_WORDS = 3
"""An entry with no more words than these beside its address is a bare link."""
LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Citing:
    """marks: citations in the text; used: the numbers cited there; entries: of the list, each its own text;
    noted: "Citation: ..." lines in the text, which are both; links: addresses in the text; lines: where entries and
    notes stand, which are no part of the text."""

    marks: int
    used: frozenset[int]
    entries: tuple[str, ...]
    noted: int
    links: int
    lines: frozenset[int] = frozenset()

    @property
    def cites(self) -> bool:
        """Anything at all that a reader could follow."""
        return self.tied or bool(self.entries)

    @property
    def tied(self) -> bool:
        """Whether the text points to sources."""
        return self.marks + self.noted + self.links > 0

    @property
    def numbers(self) -> list[int]:
        """Of the entries that have one."""
        found = (_NUMBERED.match(entry) for entry in self.entries)
        return [int(match.group(1) or match.group(2)) for match in found if match]

    @property
    def unused(self) -> int:
        """Numbered entries that the text does not cite; all, where it cites none."""
        return sum(number not in self.used for number in self.numbers)

    @property
    def gaps(self) -> int:
        """Numbers left out between the first entry and the last."""
        numbers = self.numbers
        return max(numbers) - min(numbers) + 1 - len(set(numbers)) if numbers else 0

    @property
    def bare(self) -> int:
        """Entries that are an address and little else."""
        return sum(bool(URL.search(e)) and len(_WORD.findall(URL.sub(" ", e))) <= BARE_WORDS for e in self.entries)

    @property
    def repeated(self) -> int:
        """Entries whose address or words stood in one before."""
        keys = Counter[str]()
        for entry in self.entries:
            urls = {_address(url) for url in URL.findall(entry)}
            words = " ".join(_WORD.findall(URL.sub(" ", entry).lower()))
            keys.update(urls or ({words} if len(words) > 20 else set()))
        return sum(count - 1 for count in keys.values())


def read_citing(report: str) -> Citing:
    """How any text cites."""
    body: list[str] = []
    entries: list[str] = []
    noted, in_list = 0, False
    apart: set[int] = set()
    for number, (line, kind) in enumerate(read_lines(report)):
        before = len(body)
        start = _LEAD_IN.match(line) or _HEADED.match(line)
        if kind == "heading" and not (start and line[start.end() :].strip()):
            in_list = BIBLIOGRAPHY.match(plain_heading(line)) is not None
            body.append("" if in_list else line)
        elif start and not (in_list and _NOTED.match(line)):
            rest = line[start.end() :].strip()
            if rest and _is_note(line):
                noted += 1
                entries.append(rest[:LONGEST])
            elif rest:
                in_list = False
                entries += _split(rest)
            else:
                in_list = True
        elif _DEFINED.match(line):
            entries.append(line.strip()[:LONGEST])
        elif in_list:
            entries += _split(line) if kind == "prose" else [line.strip()[:LONGEST]] if line.strip() else []
        elif _NOTED.match(line):
            noted += 1
            entries.append(line.strip()[:LONGEST])
        else:
            body.append(line)
        if len(body) == before:
            apart.add(number)
    text = "\n".join(body)
    numbers = [int(n) for a, b in BRACKET.findall(text) for n in bracketed(a or b)]
    notes = [a for a, _ in FOOTNOTE.findall(text)]
    authors = [name for name, _ in AUTHOR_YEAR.findall(text) if not MONTH.match(name)]
    marks = len(numbers) + len(notes) + len(authors) + len(CITE.findall(text)) + len(_SOURCED.findall(text))
    used = frozenset(numbers) | {int(n) for n in notes if n.isdecimal()}
    return Citing(marks, used, tuple(entries), noted, len(set(URL.findall(text))), frozenset(apart))


def _address(url: str) -> str:
    """What makes two addresses one page."""
    url = _TRACKING.sub("", url.lower().partition("#")[0]).rstrip(").,;>]/?&")
    return url.removeprefix("https://").removeprefix("http://").removeprefix("www.")


def _is_note(line: str) -> bool:
    """ "Citation: X" is one source, "References: X Y Z" a list."""
    match = _NOTED.match(line)
    return match is not None and not match.group().strip(" *_:([-").lower().endswith("s") and len(URL.findall(line)) < 2


def _split(text: str) -> list[str]:
    """A line of a list that may hold several entries, each with its address or its number."""
    text = text.strip()[: 20 * LONGEST]
    if not text:
        return []
    at = [match.start() for match in re.finditer(r"(?<!\S)\[\^?\d{1,3}\]\s", text)]
    if len(at) < 2:
        ends = [match.end() for match in URL.finditer(text)]
        at = [0, *(end for end in ends[:-1])] if len(ends) > 1 else [0]
    pieces = [text[a:b].strip(" ;,>") for a, b in zip(at, [*at[1:], len(text)], strict=True)]
    return [piece[:LONGEST] for piece in pieces if piece]
