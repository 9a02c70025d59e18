"""What the lines of a report are: headings, list items, rows of tables, code, quotes or prose.

Markdown, LaTeX, HTML and plain text alike: a heading may be a short line on its own, a bullet may be "•". One pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from judger.engines.mini.text import Ints

MARKDOWN_HEADING = re.compile(r"\s{0,3}#{1,6}\s+\S")
LATEX_HEADING = re.compile(r"\s*\\(?:part|chapter|(?:sub)*section|paragraph)\*?\{|<h[1-6]\b", re.IGNORECASE)
BOLD_LINE = re.compile(r"\s*(?:\*\*|__)[^*_]{1,90}(?:\*\*|__):?\s*$")
SETEXT = re.compile(r"\s{0,3}(?:={3,}|-{3,})\s*$")
BULLET = re.compile(r"\s*(?:[-*+–]\s|[•‣▪◦●○·]|\\item\b|<li\b)")
NUMBERED = re.compile(r"\s*\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)]\s+\S")
SECTION_NUMBER = re.compile(
    r"\s*(?:\d{1,2}(?:\.\d{1,2}){0,3}\.?|[IVX]{1,4}\.|(?:Chapter|Section|Part|Appendix)\s+\w+)\s*:?\s"
)
RULE_ROW = re.compile(r"\s*+(?:\|\s*+)?:?-{2,}+:?\s*+(?:\|\s*+:?-{2,}+:?\s*+)+\|?\s*+$")
FENCE = re.compile(r"\s{0,3}(?:```|~~~)\s*(\w*)")
QUOTE = re.compile(r"\s{0,3}>")
DIAGRAM_CODE = frozenset({"mermaid", "dot", "plantuml", "graphviz"})
NAMED_SOURCES = (
    r"(?:list of |selected |annotated |key |main |numbered )?(?:references?|works cited|bibliography"
    r"|sources?|citations?"
    r"|literature)(?: cited| list| consulted| used)?"
)
"""What a list of sources is called."""
BIBLIOGRAPHY = re.compile(
    rf"{NAMED_SOURCES}(?: (?:and|&) (?:further reading|notes|links))?$|(?:further|suggested) reading$"
    r"|foot ?notes$|endnotes$"
)
"""Its heading, plain and in lower case."""
_SOURCE = re.compile(r"https?://|\b(?:1[5-9]|20)\d\d\b|\[\d{1,3}\]")
_LIST = frozenset({"bullet", "numbered"})
_MARKUP = re.compile(r"^[\s#*_>]++|(?<![\s#*_:])[\s#*_:]++$|\\\w++\*?\{|\}|</?h\d[^<>]*+>")
_ENTRY_LABEL = re.compile(r"^\s*+(?:[-*+–•‣▪◦●○·]|\[\d{1,3}\]:?|\(?\d{1,3}[.)])\s")
_LABEL = re.compile(r"^(?:\d{1,2}(?:\.\d{1,2})*\.?|[IVXivx]{1,4}\.|[A-Z]\.)\s+")


@dataclass(frozen=True, slots=True)
class Lines:
    """A report's lines and what each is: blank, heading, bullet, numbered, row, rule, quote, fence, diagram, code or
    prose. edges (n + 1,): the characters at which they begin, and the end."""

    texts: tuple[str, ...]
    kinds: tuple[str, ...]
    edges: Ints

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return zip(self.texts, self.kinds, strict=True)

    def at(self, characters: Ints) -> Ints:
        """In which line each character stands."""
        found = np.searchsorted(self.edges, characters, side="right") - 1
        return np.clip(found, 0, max(len(self.texts) - 1, 0)).astype(np.int32)


@lru_cache(maxsize=2)  # everything that is counted of one report asks for them, one after the other
def read_lines(report: str) -> Lines:
    """The lines of any text."""
    whole = report.splitlines(keepends=True)
    texts = [line.rstrip("\r\n") for line in whole]
    edges = np.cumsum([0, *map(len, whole)]).astype(np.int32)
    return Lines(tuple(texts), tuple(kind for kind, _ in _kinds(texts)), edges)


@dataclass(slots=True)
class Layout:
    """Counts of what stands in the lines."""

    headings: list[str] = field(default_factory=list)
    """Their texts, plain and in lower case."""
    bullets: int = 0
    numbered: int = 0
    lists: int = 0
    tables: int = 0
    code_blocks: int = 0
    diagrams: int = 0
    quotes: int = 0
    paragraphs: int = 0
    entries: int = 0
    """Different lines under a heading such as "References": a source that is listed twice is one."""
    has_title: bool = False
    """The first line is a heading."""


def read_layout(report: str) -> Layout:
    """The layout of any text."""
    layout = Layout()
    in_bibliography = False
    listed: set[str] = set()
    # The kinds of the last two lines, and of the last one that is not blank.
    before, last, text = "blank", "blank", ""
    for line, kind in read_lines(report):
        match kind:
            case "heading":
                layout.has_title |= not text
                layout.headings.append(plain_heading(line))
                in_bibliography = bool(BIBLIOGRAPHY.match(layout.headings[-1]))
            case "bullet" | "numbered":
                layout.bullets += kind == "bullet"
                layout.numbered += kind == "numbered"
                layout.lists += text not in _LIST  # a list goes on over blank lines
                if in_bibliography:
                    listed.add(entry_key(line))
            case "row":
                layout.tables += last == "row" and before != "row"
            case "quote":
                layout.quotes += last != "quote"
            case "prose":
                layout.paragraphs += last != "prose" and last not in _LIST
                if in_bibliography and _SOURCE.search(line):
                    listed.add(entry_key(line))
            case "fence" | "diagram":
                layout.code_blocks += 1
                layout.diagrams += kind == "diagram"
        before, last = last, kind
        text = kind if kind != "blank" else text
    layout.entries = len(listed)
    return layout


def entry_key(line: str) -> str:
    """What two entries share that are the same source: the text without bullet or number, spaces and capitals."""
    return " ".join(_ENTRY_LABEL.sub("", line, count=1).lower().split())


def plain_heading(line: str) -> str:
    """A heading without its markup and number, in lower case."""
    return _LABEL.sub("", _MARKUP.sub("", line)).strip(" *_:#").lower()


def _kinds(lines: list[str]) -> Iterator[tuple[str, str]]:
    in_fence = False
    for index, line in enumerate(lines):
        if fence := FENCE.match(line):
            in_fence = not in_fence
            yield ("diagram" if fence.group(1).lower() in DIAGRAM_CODE else "fence") if in_fence else "code", line
        elif in_fence:
            yield "code", line
        elif not line.strip():
            yield "blank", line
        elif RULE_ROW.match(line) or line.count("|") >= 2 or line.count("\t") >= 2:
            yield "row", line
        elif SETEXT.match(line):
            yield "rule", line
        elif _is_marked_heading(line) or (len(line) < 120 and _is_plain_heading(lines, index)):
            yield "heading", line
        elif BULLET.match(line):
            yield "bullet", line
        elif NUMBERED.match(line):
            yield "numbered", line
        else:
            yield "quote" if QUOTE.match(line) else "prose", line


def _is_marked_heading(line: str) -> bool:
    return bool(MARKDOWN_HEADING.match(line) or BOLD_LINE.match(line) or LATEX_HEADING.match(line))


def _is_plain_heading(lines: list[str], index: int) -> bool:
    """A short line on its own before a longer text; "Results:" may stand right above its text."""
    text = lines[index].strip()
    if index and lines[index - 1].strip():
        return False
    following = lines[index + 1] if index + 1 < len(lines) else ""
    if SETEXT.match(following):
        return True
    words = len(text.split())
    if words > 12 or text[-1] in ".,;!…" or BULLET.match(text) or QUOTE.match(text):
        return False
    if text.endswith(":") and words > 5:
        return False  # it introduces what follows
    after = [line for line in lines[index + 1 : index + 6] if line.strip()][:2]
    # A line among short lines belongs to a list, a poem, an address; a heading may stand over a heading.
    if not after or (_is_short(after[0]) and (following.strip() or len(after) < 2 or _is_short(after[1]))):
        return False
    alone = not following.strip()
    if SECTION_NUMBER.match(text) or NUMBERED.match(text):
        return alone and not NUMBERED.match(after[0])
    return text[0].isupper() and (alone or text.endswith(":"))


def _is_short(line: str) -> bool:
    text = line.strip()
    markup = MARKDOWN_HEADING.match(line) or BULLET.match(line) or NUMBERED.match(line) or "|" in text
    return len(text) < 80 and len(text.split()) <= 8 and text[-1] not in ".!?:" and not markup
