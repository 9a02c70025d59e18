"""Statements about how a report cites or is written that can be counted: "Cites nothing", "Lists one source twice".

`ruled` tells how likely a statement is true of a report, where one of the rules knows: a requirement is met, a flaw
present when it is. A rule is one or more words that a criterion must hold, one of each set, and a question to the
counts; the first rule that fits answers. What none fits is read, not counted. How often they are right on labelled
criteria is in docs/notes/mini-trials.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from judger.engines.mini.counts import Counts, without_asides
from judger.engines.mini.form import FILLERS

YES, NO = 0.93, 0.07
"""How sure a count is. Never wholly: what a label means by "hardly any" is not counted."""
LONGEST = 200
"""A criterion with more characters says more than a rule knows."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Answers what holds a word of each of `words` and none of `but`."""

    words: tuple[re.Pattern[str], ...]
    but: re.Pattern[str] | None
    answer: Callable[[Counts], bool | None]

    def fits(self, text: str) -> bool:
        """Whether it knows the statement."""
        return all(one.search(text) for one in self.words) and not (self.but and self.but.search(text))


def _any(words: str) -> re.Pattern[str]:
    """One of the words, each a pattern of whole words; "_" is a space."""
    return re.compile(r"\b(?:" + "|".join(words.split()).replace("_", " ") + r")\b", re.IGNORECASE)


_SOURCES = (
    "sources? references? citations? literature publications? bibliograph(?:y|ies) works_cited links? papers?"
    " studies study footnotes? attributions? urls? web_pages? articles? reference_lists? source_lists?"
)
_LIST = (
    r"bibliograph(?:y|ies) (?:reference|source|reading|closing)_lists? lists?_of_\w+ (?:listed|numbered)_\w+"
    " references? sources? works literature entries textbooks addresses links publications citations"
)
_SOME = "several some many most half entries numbered a_few a_number one_or_more certain part at_least_one few"
_NEVER = (
    "never not no nothing none nowhere without un(?:used|cited|referenced|mentioned|touched) hardly lacks?"
    " lacking fails?"
)
_TIED = (
    "tied? ties point(?:s|ed|ing)? refer(?:s|red|ring)? link(?:s|ed|ing)? marks? connect(?:s|ed|ing)?"
    " attach(?:es|ed)? used? uses cite[sd]? drawn call(?:s|ed)? mention(?:s|ed)? invok(?:es?|ed) match(?:es|ed)?"
    " relat(?:es?|ed) unused uncited unreferenced unmentioned body text statements? appear(?:s|ing)? anchored"
    " keyed backs? shows"
)
_TWICE = (
    "twice duplicat(?:e[sd]?|ion) more_than_once several_times"
    " (?:two|different|separate)_(?:numbers|entries|labels) under_more_than_one repeated(?:ly)? double[sd]?"
)
_OPENS = "opens? opening begins? beginning starts? first_(?:sentence|line|paragraph) leads? introduction intro preamble"


def _unused(c: Counts) -> bool:
    return c.citing.unused > 0 or (bool(c.citing.entries) and not c.citing.tied)


def _bare(c: Counts) -> bool:
    return 2 * c.citing.bare > len(c.citing.entries) if c.citing.entries else c.citing.links > 0


def _among(*names: str) -> Callable[[Counts], bool | None]:
    def answer(c: Counts) -> bool | None:
        every = "\n".join(c.citing.entries).lower()
        return any(name in every for name in names) if every else None

    return answer


def _rules() -> tuple[Rule, ...]:
    def rule(answer: Callable[[Counts], bool | None], *words: str, but: str = "") -> Rule:
        return Rule(tuple(map(_any, words)), _any(but) if but else None, answer)

    return (
        rule(  # gaps in the numbers
            lambda c: c.citing.gaps > 0,
            "gaps? skips? skipped missing jumps",
            "number(?:s|ing|ed)?",
            _SOURCES,
        ),
        rule(  # bare links
            _bare,
            "bare naked opaque raw web_address(?:es)?_alone (?:links|urls|addresses)_alone only_links only_urls"
            " addresses?_in_place_of links_in_place_of without_(?:the_)?titles?"
            " no_(?:authors?|titles?)_or_(?:authors?|titles?) neither_(?:authors?|titles?)",
            "links? urls? address(?:es)? sources? references",
        ),
        rule(  # a source listed twice
            lambda c: c.citing.repeated > 0,
            _SOURCES + " books? pages? websites? sites? bots? collections?",
            _TWICE,
            but="sections? headings? sentences? points? ideas? excerpts? asserts? lost",
        ),
        rule(  # entries that are not used
            _unused,
            _SOME,
            _LIST,
            _NEVER,
            _TIED,
            but="titles? authors? years? about wrong unrelated examples? techniques? methods? metrics?",
        ),
        rule(  # a list that nothing points to
            lambda c: bool(c.citing.entries) and not c.citing.tied,
            _LIST,
            _NEVER + " only just merely",
            "bibliograph(?:y|ies) lists? listed collected at_the_end at_the_close entries textbooks works appends?",
            "tied? ties point(?:s|ed|ing)? refer(?:s|red)?_(?:back|to)? linked connect(?:s|ed)?"
            " in_the_(?:running_)?text body marks? only_(?:at|as|in) in-text anchored",
            but="titles? authors? years? about wrong unrelated examples? research",
        ),
        rule(  # a heading said twice
            lambda c: c.manner.headings_repeated > 0,
            "headings? section_titles? titles?",
            "twice repeated again identical",
            but="sources? papers? points? under in_a_row running succession each redundant second",
        ),
        rule(  # a heading twice running
            lambda c: c.manner.twice_running > 0,
            "headings? section_titles? titles?",
            "in_a_row running succession",
        ),
        rule(  # sentences said twice
            lambda c: c.manner.repeated > 0,
            "sentences? paragraphs? passages? wording",
            r"twice recurs? repeat(?:s|ed)? again verbatim word_for_word duplicat\w+ identical unchanged copies"
            " copy copied",
            but="sources? quotation quoted prompt",
        ),
        rule(  # a chatty opening
            lambda c: c.manner.chatty,
            _OPENS,
            r"chat\w* filler pleasantr\w+ greet\w* small_talk compliment\w* flatter\w* conversational thanks"
            " salutations? about_the_reply search_results asker praise",
        ),
        rule(  # an opening that announces
            lambda c: c.manner.announces or c.manner.chatty,
            _OPENS,
            "announc\\w+ what_(?:it|the_\\w+)_(?:will|is_going_to) roadmap previews?",
        ),
        rule(  # raw markup
            lambda c: c.manner.raw > 3,
            "raw serialised serialized leftover json",
            "data markup html json notation tags brackets",
        ),
        rule(  # wikis
            _among("wikipedia", "fandom", "wiki"),
            _SOURCES + " pages evidence",
            "encyclopedias? wikis? wikipedia",
        ),
        rule(  # forums
            _among("reddit", "quora", "forum", "stackexchange", "stackoverflow"),
            "forums? reddit q&a",
            _SOURCES + " threads? evidence",
        ),
        rule(  # placeholders
            _among("example.com", "example.org", "xxxx", "placeholder"),
            "placeholders?",
            "address(?:es)? links? urls? references?",
        ),
    )


_RULES = _rules()
_NEGATES = _any(
    "no not none nothing never neither nor without lacks? lacking missing zero fails? omits? uncited unsourced"
    " unreferenced unsupported"
)
_SOURCE = _any(_SOURCES + " cites? cited citing sourced source_list uncited unsourced unreferenced")
_ABOUT_SOURCES = frozenset(
    "a an the single one any what given kind kinds sort sorts form whatever which who reader readers follow"
    " follows verify verified verifiable check checked support supporting supports supported back backs backing"
    " backed its statement statements claim claims point points figure figures fact facts assertion assertions"
    " made makes says said report reports information content scholarly academic published external named"
    " traceable usable reliable numbered bibliographic working scientific research web pointing naming offering"
    " traced trace so cannot can could their his her every all leaves leave unsupported none nothing nor neither"
    " never not no without zero lacks lack lacking missing fails fail omits omit cites cited cite citing sourced"
    " uncited unsourced unreferenced itself whatsoever how do does material evidence peer-reviewed address"
    " addresses download anywhere even throughout entirely completely wholly altogether them they these those such"
    " authority authorities further reading outside formal proper in-text credits credited credit".split()
)
_OF_LIST = _any("bibliograph(?:y|ies) lists? works_cited")
_WORDS = re.compile(r"[\w'&-]+")
_PART = re.compile(
    r"(?:the|its|one|at least one|each|every) (?!response|report|answer|text|reference|source"
    r"|bibliograph|list|works?\b)"
    r"\w+ (?:\w+ ){0,8}?(?:has|carries|is|gives|cites) no\b",
    re.IGNORECASE,
)
"""A statement about a part of the report."""


def ruled(text: str, counts: Counts) -> float | None:
    """How likely a flaw is there, where a rule knows it."""
    plain = without_asides(text)
    if len(plain) > LONGEST or _PART.match(plain):
        return None
    if cites_nothing(plain):
        there = bool(counts.citing.entries) if _OF_LIST.search(plain) else counts.citing.cites
        return NO if there else YES
    for rule in _RULES:
        if rule.fits(plain):
            answer = rule.answer(counts)
            return None if answer is None else YES if answer else NO
    return None


def cites_nothing(plain: str) -> bool:
    """Whether a statement says that a report has no sources, and nothing else: every word of it must be about that."""
    if not _NEGATES.search(plain) or not _SOURCE.search(plain):
        return False
    source = frozenset(word.lower() for word in _WORDS.findall(_SOURCE.sub(" ", plain)))
    return source <= (FILLERS | _ABOUT_SOURCES)
