"""Criteria that ask for no more than a mention, "Mentions propane": found by the words and their variants.

A report that says the words in one sentence mentions them. One that does not say a name or a single word does not;
what is described in several words may stand there in others, and is read.
"""

from __future__ import annotations

import re

from judger.engines.mini.counts import without_asides
from judger.engines.mini.facts import Facts, stems
from judger.engines.mini.passage import NEVER
from judger.engines.mini.rules import NO, YES
from judger.engines.mini.text import Floats

_ASKS = re.compile(
    r"(?:the |this )?(?:response |report |answer |text |document )?(?:(?:should|must|explicitly"
    r"|briefly|also|at least) ){0,2}"
    r"(?:mentions?|names?|refers? to|uses? the (?:word|term|phrase|name)|includes? the (?:word|term|phrase|name)"
    r"|contains? the (?:word|term|phrase|name))\s+(?:the (?:word|term|phrase|name) )?(?:the |an? )?(.{2,80}?)"
    r"(?: by name| at least once| explicitly)?[.?!]?$",
    re.IGNORECASE,
)
_OPEN = re.compile(
    r"\b(?:how|why|that|whether|when|what|which|who|least|several|some|any|one|two|three|four|five|specific|examples?"
    r"|concrete|particular|individual|various|different|types?|kinds?|ways?|where|or|other|another"
    r"|more|most|behind|such"
    r"|no|not|without|in (?:the|its)|exactly|only|first|last|all|each|every|number|date|year|name|source|author)\b|\d",
    re.IGNORECASE,
)
"""More is asked for than these very words."""
_WORD = re.compile(r"[^\W_]+")
MOST = 3
"""Words that carry meaning; more of them describe, and are not named."""


def mentioned(text: str, facts: Facts, score: Floats) -> float | None:
    """How likely the report mentions what the criterion names; None for any other, and where words don't tell.

    score (u,): how far each unit bears on the criterion; one that only repeats it mentions nothing.
    """
    match = _ASKS.match(without_asides(text))
    if match is None:
        return None
    asked = match.group(1)
    is_quoted = asked[0] in "\"“'‘" and asked[-1] in "\"”'’"
    wanted = stems(asked)
    if not 1 <= len(wanted) <= MOST or (_OPEN.search(asked) and not is_quoted):
        return None
    if any(wanted <= have for have, here in zip(facts.stems, score, strict=True) if here > NEVER):
        return YES
    words = _WORD.findall(asked)
    is_name = is_quoted or len(words) == 1 or all(word[0].isupper() for word in words)
    return NO if is_name and not wanted <= facts.every else None
