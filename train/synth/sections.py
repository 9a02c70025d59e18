"""The sections of a report: by the headings that the index knows, or, in PDFs, by lines that look like one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from policy.sources import Source
from train.synth import words
from train.synth.brief import Dropped
from train.synth.ports import Ports

__all__ = ["NOT_A_REPORT", "Section", "outline", "said_headings"]

NOT_A_REPORT = "not a report"
_SECTIONS = (3, 10)
_LEAST_WORDS = 250
_GENERIC = re.compile(
    r"(?i)(?:\d{1,2}[.)]? *)?(?:introduction|conclusions?|summary|abstract|references|sources|bibliography|contents|"
    r"appendix|overview|executive summary|notes|see also|page \d+)\W*|"
    r"(?:第?[一二三四五六七八九十\d]{1,3}[章节部分]{0,2}[、.．： ]{0,2})?"
    r"(?:引言|前言|绪论|导言|概述|摘要|执行摘要|结论|总结|结语|参考文献|参考资料|引用|来源|目录|附录)\W*"
)
_PAGE = re.compile(r"page \d+")
_FRAGMENT = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9])")
_NUMBERED = re.compile(
    r"(?:\d{1,2}\.){1,3}\d{0,2} |"
    r"[一二三四五六七八九十]{1,3}、|[（(][一二三四五六七八九十]{1,3}[）)]|第[一二三四五六七八九十\d]{1,3}[章节]"
)
_MOST_WORDS = 10


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of a report and the passages below it."""

    heading: str
    passages: tuple[Source, ...]


def outline(ports: Ports, key: str) -> list[Section]:
    """The sections of a report, without introductions and lists of sources. Raises Dropped for what is no report."""
    passages = ports.corpus.passages(key)
    if sum(words.length(one.text) for one in passages) < _LEAST_WORDS:
        raise Dropped(NOT_A_REPORT, f"{key}: under {_LEAST_WORDS} words")
    headings = ports.corpus.headings(key)
    if all(_PAGE.fullmatch(heading) for heading in headings):
        headings = said_headings(passages)
    title = ports.corpus.title(key)
    found: dict[str, list[Source]] = {}
    for heading, passage in zip(headings, passages, strict=True):
        name = words.plain(heading).strip("*_ ").strip()
        if name and name != title and not _GENERIC.fullmatch(name) and words.content(name):
            found.setdefault(name, []).append(passage)
    if len(found) < _SECTIONS[0]:
        raise Dropped(NOT_A_REPORT, f"{key}: {len(found)} sections")
    return [Section(name, tuple(some)) for name, some in list(found.items())[: _SECTIONS[1]]]


def said_headings(passages: Sequence[Source]) -> list[str]:
    """For each passage of a text without marks the last line before or in it that looks like a heading.

    A PDF has no headings, only lines: one that is short, in capitals for the most part or numbered, ends in no stop,
    and has a new sentence behind it is taken for one.
    """
    last, found = "", []
    for passage in passages:
        lines = passage.text.split("\n")
        for line, behind in itertools.pairwise(lines):
            fragment = _FRAGMENT.split(line.strip())[-1]
            if _looks_like_heading(fragment) and _begins(behind.strip()[:1]):
                last = fragment
        found.append(last)
    return found


def _begins(letter: str) -> bool:
    return letter.isupper() or words.is_cjk(letter)


def _looks_like_heading(line: str) -> bool:
    telling = [word for word in line.split() if words.content(word)]
    if not telling or words.length(line) > _MOST_WORDS or line[-1] in ".,:;!?-–。，：；！？" or line[:1].islower():
        return False
    if not words.content(line.split()[-1]):  # a line that was cut behind "the" goes on
        return False
    capitals = sum(word[:1].isupper() for word in telling)
    return bool(_NUMBERED.match(line)) or capitals >= 0.75 * len(telling)
