"""Whether a report denies what a flaw says it claims: "does not create energy" is no claim that it creates energy.

A rule on the sentences that hold most of the claim's words: the report denies it where a negation stands right before
those words in every one of them, and the claim itself holds none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from judger.engines.mini.text import Floats, Ints

Stance = Literal["none", "claim", "denied"]
"""No flaw of claim type; one; one that the report denies."""

_CLAIM = re.compile(
    r"(?:(?:the )?(?:response|answer|report|text|author) )?(?:\w+ly )?"
    r"(?:claims?|states?|asserts?|says|maintains?|declares?|argues?|predicts?|insists?|concludes?|suggests?|reports?) "
    r"(?:that )?(?=\w)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_NEGATION = frozenset(
    "not no never neither nor cannot without hardly rarely nobody nothing isn't aren't wasn't weren't don't doesn't "
    "didn't can't couldn't won't wouldn't shouldn't hasn't haven't hadn't false wrong myth untrue incorrect denies "
    "deny denied refuted refutes disproved unlikely".split()
)
_SMALL = frozenset(
    "the a an of and or to in on for with by as at is are was were be been has have had it its this that these those "
    "from which who than then will would can could may might must do does did their his her they he she".split()
)
HELD = 0.6
"""A sentence speaks of the claim when it holds so much of its words."""
REACH = 5
"""Words between a negation and what it negates, at most."""
LOOKED_AT = 4


def claim_of(text: str) -> str | None:
    """What is said to be claimed; None for a criterion that is none of a claim."""
    match = _CLAIM.match(text.strip())
    return text.strip()[match.end() :] if match else None


def stance(text: str, negative: bool, report: str, spans: Ints, score: Floats) -> Stance:
    """spans (u, 2): the characters of the report's units; score (u,): how far each bears on the criterion."""
    claim = claim_of(text) if negative else None
    if claim is None:
        return "none"
    best = np.argsort(-score, kind="stable")[:LOOKED_AT]
    return "denied" if denied(claim, [report[spans[u, 0] : spans[u, 1]] for u in best]) else "claim"


def denied(claim: str, sentences: Sequence[str]) -> bool:
    """sentences: those that bear on the claim most, best first."""
    wanted = _words(claim)
    if not wanted or any(word in _NEGATION for word in wanted):
        return False
    stems = {_stem(word) for word in wanted if word not in _SMALL}
    speaking = denying = 0
    for sentence in sentences[:LOOKED_AT]:
        words = _words(sentence)
        places = [i for i, word in enumerate(words) if _stem(word) in stems]
        if len({_stem(words[i]) for i in places}) < HELD * len(stems):
            continue
        speaking += 1
        negations = [i for i, word in enumerate(words) if word in _NEGATION]
        denying += any(0 < place - at <= REACH for at in negations for place in places)
    return speaking > 0 and denying == speaking


def _words(text: str) -> list[str]:
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "ed", "es", "s", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
