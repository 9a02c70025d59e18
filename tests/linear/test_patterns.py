"""No regular expression takes more than linear time, whatever it meets. A new one is found and tested by itself."""

from __future__ import annotations

import re

import pytest

from judger.engines.mini.signals import SECTIONS
from judger.steering.address import REACH, lexicons
from tests.linear.growth import fault, seconds
from tests.linear.patterns import Found, compiled, written
from tests.linear.texts import attacks

PACKAGES = ("judger", "policy", "train")
CRITERION = ("_OMISSION", "_CONTRADICTION", "_COLON", "_SUBJECT", "_QUESTION", "_BARE")
TRIED_ONCE = {f"judger.engines.mini.criterion.{name}" for name in CRITERION} | {
    f"judger.engines.mini.signals.SECTIONS[{name!r}]" for name in SECTIONS
}
"""Patterns that a loop matches at the beginning of a text, and nowhere else in it."""
BOUNDED = {"judger.engines.mini.language.NOISE": 1_000}
"""Patterns for texts of at most so many characters."""
MADE = {
    "judger.engines.mini.rules._any": "our own lists, looked for in criteria of at most LONGEST characters",
    "judger.steering.address.lexicons": "the lexicon's, which are tested below",
    "judger.steering.characters._thinned": "one class of characters, at most thirty and then the rest of the run",
    "train.expert.clean._unsupported": "a word as it stands",
    "train.expert.clean._shares_words": "a word as it stands",
    "train.judge.edits._holds": "a phrase as it stands",
    "train.tasks.templates._assess": "words of a template of ours, each within forty characters of the last",
}
"""Functions that make a pattern at run time, and of what: nothing here tests them, so each has been looked at."""

WRITTEN, MADE_AT_RUN_TIME = written(PACKAGES)
FOUND = [*compiled(PACKAGES), *WRITTEN]
LEXICON = [Found(f"{one.language} {part}", pattern) for one in lexicons() for part, pattern in one.parts.items()]


def use(found: Found, text: str) -> None:
    if found.is_tried_once or found.name in TRIED_ONCE:
        found.pattern.match(text)
        found.pattern.fullmatch(text)
    else:
        for _ in found.pattern.finditer(text):
            pass


@pytest.mark.parametrize("found", FOUND, ids=lambda found: found.name)
def test_a_pattern_is_linear(found: Found) -> None:
    if most := BOUNDED.get(found.name):
        assert slowest(found, most, 0.2) < 0.2
        return
    faults = ((name, fault(lambda text: use(found, text), make)) for name, make in attacks(found.pattern))
    assert next((f"{name}: {reason}" for name, reason in faults if reason), None) is None


def test_the_lexicons_patterns_are_quick_on_what_is_within_reach() -> None:
    assert {one.name: took for one in LEXICON if (took := slowest(one, 2 * REACH + 40, 0.02)) > 0.02} == {}


def slowest(found: Found, most: int, limit: float) -> float:
    """Seconds for the worst text of so many characters; over the limit the least of more tries, as garbage is collected
    in some."""

    def took(text: str, times: int = 1) -> float:
        return seconds(lambda text: use(found, text), text, times)

    texts = (make(most)[:most] for _, make in attacks(found.pattern))
    return max(once if (once := took(text)) < limit else min(once, took(text, 3)) for text in texts)


def test_every_pattern_that_is_made_at_run_time_has_been_looked_at() -> None:
    assert set(MADE_AT_RUN_TIME) == set(MADE)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[ \t>]*([=\-#*_~+<>])\1{4,}[ \t]*([^\n]{1,60}?)[ \t]*\1{5,}[ \t\r]*$",
        r"[\U0001d400-\U0001d7cb]{3,}(?:[ .,:;!?]+[\U0001d400-\U0001d7cb]{2,})+",
        r"^(#{1,6})\s+(.+?)\s*#*$",
        r"[ \t]*\\cite\{([^{}]*)\}",
        r"\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)+\|?\s*$",
        r"[.!?]+[\"')\]]*(?=\s|$)",
        r"^-[^\n]*https?://[!-~]+[ \t]*$",
        r"(?:Reason:)?\s*([^\n]+)\nQuote:",
        r"(a|b|ab)*c",
        r"<h\d[^>]*>",
    ],
)
def test_a_pattern_that_is_not_linear_is_noticed(pattern: str) -> None:
    found = Found("known", re.compile(pattern, re.MULTILINE))
    assert any(fault(lambda text: use(found, text), make) for _, make in attacks(found.pattern))
