"""What evidence says of a claim, without a model: a baseline to check conclusions by, and to measure others against."""

from __future__ import annotations

from collections.abc import Sequence

from policy.sources import Source
from train.synth import words
from train.synth.definitions import definition
from train.synth.forms import Verdict
from train.synth.grounds import stems

__all__ = ["by_words", "coverage", "defining"]

ENOUGH = 0.75
"""Share of a claim's words in one passage from which on it counts as said."""
ABOUT = 0.2
"""Share below which a passage says nothing of it."""


def coverage(claim: str, passage: str) -> float:
    """The share of the claim's telling words that the passage has, cut to their first six letters."""
    wanted = stems(claim)
    return len(wanted & stems(passage)) / len(wanted) if wanted else 0.0


def defining(evidence: Sequence[Source], about: str) -> list[Source]:
    """The passages that say what `about` is, of pages of that title."""
    return [one for one in evidence if one.title == about and definition([one.text], about)]


def by_words(claim: str, evidence: Sequence[Source], about: str = "") -> Verdict:
    """What the words of the evidence say.

    Support: one passage says nearly all of the claim, and its numbers. Doubtful: no passage is on its subject, or a
    number of it stands nowhere. Refute: what is on its subject says something else. On its subject is the passage that
    defines `about`, or, where no subject is known, one that shares enough of the claim's words.
    """
    texts = [f"{one.title} . {words.plain(one.text)}" for one in evidence]
    covered = max((coverage(claim, text) for text in texts), default=0.0)
    there = set(words.numbers(" ".join(texts)))
    is_unsaid = any(number not in there for number in words.numbers(claim))
    if covered >= ENOUGH and not is_unsaid:
        return "support"
    is_about = bool(defining(evidence, about)) if about else covered >= ABOUT
    return "refute" if is_about and not is_unsaid else "doubtful"
