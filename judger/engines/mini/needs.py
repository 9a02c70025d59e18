"""What a requirement needs that can be counted, and a report has none of: "Sums up the costs in a table".

A year, or a number of three or four digits, that a requirement states is needed, too ("Gives 1892 as the year of
opening"), unless it is a bound, an example, or a name ("the crisis of 1973").

What is there may still be the wrong thing, and is read; what is not there needs no reading. A requirement that names
an alternative ("in a table or a list") is left alone, for the alternative may not be counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from judger.engines.mini.counted import least
from judger.engines.mini.counts import Counts, without_asides
from judger.engines.mini.rules import NO
from judger.engines.mini.text import Floats


@dataclass(frozen=True, slots=True)
class Need:
    """What a requirement needs: at least `least` of something, of which the report holds `count`."""

    name: str
    count: int
    least: int

    @property
    def is_met(self) -> bool:
        return self.count >= self.least


_DOES = (
    r"(?:cit|back|support|ti|link|ground|sourc|referenc|attribut|credit|point|provid|includ|list|suppl|offer|giv|nam"
    r"|contain|quot|draw|us|clos|end|append|accompan|pair|substantiat)(?:es|e|s|ies|ing|ed|ied)?"
)
_BACKS = r"(?:cit|back|support|ti|ground|sourc|attribut|credit|accompan|pair|substantiat|link)(?:es|e|s|ies|ing|ed|ied)"
_NOUN = (
    r"(?:sources|references|reference(?= to\b|[,.;]|$)|citations?|literature|publications"
    r"|publication(?= to\b|[,.;]|$)|papers)\b"
    r"(?= (?:to|for|in|at|on|from|with|by|or|and|that|which|throughout|within)\b|[,.;:]|$)"
)
_KIND = (
    r"(?:(?:scholarly|academic|published|external|primary|secondary|reputable|credible|reliable"
    r"|verifiable|numbered|in-text"
    r"|peer-reviewed|scientific|research|relevant|original|public|publicly available|named|supporting|independent|other"
    r"|clear|traceable|different|distinct|specific|third-party|historical|web|recent|authoritative"
    r"|bibliographic) ){0,4}"
)
_NEEDS: tuple[tuple[str, re.Pattern[str], Callable[[Counts], int]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE), count)
    for name, pattern, count in (
        (
            "marks in the text",
            r"\bin-text (?:citations?|references?)|\b(?:inline|in-line) (?:citations?|references?)"
            r"|(?:individual|single|each|every) (?:statement|claim|point|section|part)s?\b.{0,40}?"
            r"(?:tied|carries|linked|backed|supported|paired)\b.{0,30}?(?:source|reference|publication|citation)"
            r"|(?:in|within) the (?:body|text|running text) (?:itself )?(?:to|with|by)\b.{0,30}?(?:source|reference)"
            r"|\bties (?:\w+ ){1,5}to (?:a|its|numbered|named)\b.{0,25}?(?:source|reference|publication|stud)",
            lambda c: c.citing.marks + c.citing.noted + c.citing.links,
        ),
        (
            "a list of sources",
            rf"\b(?:bibliography|reference list|works cited|lists? of {_KIND}(?:references|sources"
            rf"|publications|works|literature|papers))\b"
            rf"|\b(?:clos|end)(?:es|ing)? with (?:\w+ ){{0,6}}?(?:references|sources|publications|published works)",
            lambda c: len(c.citing.entries),
        ),
        (
            "sources",
            rf"\b(?:at least|no fewer than|minimum of) (?:two|three|four|five|six|seven|eight|nine|ten"
            rf"|\d{{1,2}}) {_KIND}"
            r"(?:sources|references|citations|publications|papers)\b",
            lambda c: max(c.form.sources, len(c.citing.entries)),
        ),
        (
            "links",
            r"\b(?:hyperlinks?|urls?|web links?|web addresses|links? to (?!\w+ing\b)|source links?|addresses"
            r" at which)\b",
            lambda c: c.form.links,
        ),
        (
            "sources",
            rf"\b{_BACKS}\b(?: \S+){{0,7}}? {_KIND}{_NOUN}|\b{_DOES} (?:\S+ ){{0,2}}?{_KIND}{_NOUN}"
            rf"|\b(?:cit|quot)(?:es|ing) (?:\S+ ){{0,4}}?{_KIND}(?:studies|study|websites?|books?|articles?)\b",
            lambda c: c.citing.marks + c.citing.noted + c.citing.links + len(c.citing.entries),
        ),
        (
            "a table",
            r"\b(?:in|into|as|with|via|contains?|includes?|has|gives|provides?|presents?|uses?|suppl(?:y|ies)"
            r"|offers?) (?:a|an|one|at least one|the|clear|its) (?:[\w-]+ ){0,4}?tables?\b(?! of| wine| tennis)",
            lambda c: c.form.tables,
        ),
        (
            "code",
            r"\bcode (?:blocks?|snippets?|examples?|samples?|listings?)\b|\b(?:python|javascript|java|c\+\+"
            r"|sql|r|bash|shell|working|runnable|sample|example|executable|full|complete) code\b",
            lambda c: c.form.code_blocks,
        ),
        (
            "equations",
            r"\b(?:latex|equations(?! as\b| of\b| for\b| that\b)|in equation form|mathematical notation)\b",
            lambda c: c.form.equations,
        ),
        (
            "headings",
            r"\b(?:section |sub)?headings\b|\bsection headers\b|\blabell?ed sections\b|\bseparate (?:sections"
            r"|headings)\b|\b(?:clear|distinct|dedicated|marked) (?:\w+ )?sections\b",
            lambda c: c.form.headings,
        ),
        (
            "a list",
            r"\b(?:bullet(?:ed)?(?: ?points?| lists?)?|numbered (?:list|sequence)|bullets)\b",
            lambda c: c.form.bullets + c.form.numbered,
        ),
        (
            "a diagram",
            r"\b(?:contains?|includes?|has|gives|provides?|presents?|uses?|suppl(?:y|ies)|offers?|draws?"
            r"|shows?|in|with|as) (?:a|an|one|at least one|the|clear|its) (?:[\w-]+ ){0,4}?(?:diagrams?|flow"
            r" ?charts?|infographics?|graphical illustrations?|mind ?maps?|charts?)\b",
            lambda c: c.form.images + c.form.diagrams + c.form.code_blocks,
        ),
        (
            "a summary",
            r"\bexecutive summary\b|\b(?:an|the) abstract(?= section|[.;,]|$| and| that)",
            lambda c: c.form.summary + c.form.abstract,
        ),
    )
)
ALTERNATIVES = frozenset({"a diagram"})
"""What is needed all the same: its alternatives are counted with it."""
_IF = re.compile(r"\bif (?:used|any|available|present|included|applicable)\b", re.IGNORECASE)
_STATED = re.compile(r"(?<!of )(?<!the )(?<![\w.,:/$€£-])\d{3,4}(?![\d.,:-]{0,40}\d)(?!\w)")
_BOUND = re.compile(
    r"\b(?:at (?:least|most)|(?:more|less|fewer|longer|shorter) than|or (?:more|less|fewer|later|earlier)|such as"
    r"|for (?:example|instance)|approximate(?:ly)?|about|around|roughly|nearly|almost|between|since|until|before|after"
    r"|from|by|over|under|above|below|within|up to|beyond|past|recent|circa|range|words?|tokens?|characters?)\b"
    r"|\be\.g\b|[~≈<>≥≤]|\d[-–]\d",
    re.IGNORECASE,
)
LONGEST = 220
"""A requirement with more characters asks for more than form."""
_EITHER = re.compile(
    r"\b(?:or|and/or|if (?:used|any|available)|where|optionally|either|instead of|rather than)\b", re.IGNORECASE
)


def needs(text: str, counts: Counts) -> list[Need]:
    """What a requirement needs that can be counted."""
    plain = without_asides(text)
    if len(plain) > LONGEST or _IF.search(text):
        return []
    either = _EITHER.search(plain) is not None
    stated = [] if either or _BOUND.search(text) else _STATED.findall(plain)
    found = [Need("the number", len(counts.numbers.intersection(stated)), 1)] if stated else []
    return found + [
        Need(name, count(counts), least(match.group()) or 1)
        for name, pattern, count in _NEEDS
        if not either or name in ALTERNATIVES
        for match in [pattern.search(plain)]
        if match
    ]


def capped(p: Floats, text: str, counts: Counts) -> Floats:
    """p (3,) of a requirement, "fully" no likelier than `NO` where what it needs is not there."""
    if p[2] <= NO or all(need.is_met for need in needs(text, counts)):
        return p
    rest = p[:2] * (1 - NO) / max(float(1 - p[2]), 1e-6)
    return np.asarray([*rest, NO], np.float32)
