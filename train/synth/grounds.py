"""Whether what was written is about what it was written from, and says nothing else: by words, numbers and names.

No model, so a floor: a detail changed for another of the same text, or "rose" for "fell", passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from train.synth import words

__all__ = ["LEAST", "stems", "strays", "supported", "untold"]

LEAST = 0.3
"""Share of its telling words that a text in other words has of what it was written from: people's claims, questions and
summaries have it nearly always, and hardly ever of another text (docs/notes/synthesis.md)."""


def stems(text: str) -> set[str]:
    """The telling words of a text, cut to their first six letters."""
    return {word[:6] for word in words.content(text)}


def strays(said: str, given: str) -> str:
    """Why a text is not about what it was written from: it has hardly a word of it; "" where it is."""
    wanted = stems(said)
    share = len(wanted & stems(given)) / len(wanted) if wanted else 0.0
    return "" if share >= LEAST else f"{share:.0%} of the words of {said[:80]!r} are of what is given"


def untold(question: str, clues: Sequence[str]) -> str:
    """The first of the clues of which a question has no telling word; "" where it tells each."""
    asked = stems(question)
    return next((clue for clue in clues if not asked & stems(clue)), "")


def supported(said: str, text: str) -> str:
    """What is said that the text does not say: a number or a name of it that is not there; "" where there is none."""
    there, known = set(words.numbers(text)), set(words.tokens(text.lower()))
    for sentence in words.sentences(said):
        for detail in _details(sentence):
            if detail not in there if detail[0].isdigit() else detail.lower() not in known:
                return f"{detail!r} is not in the text"
    return ""


def _details(sentence: str) -> Iterable[str]:
    """Its numbers and its names: words with a capital that are not the first, which has one whatever it is."""
    yield from words.numbers(sentence)
    for name in words.tokens(sentence)[1:]:
        if name[0].isupper() and name.isalpha() and len(name) > 1 and words.content(name):
            yield name
