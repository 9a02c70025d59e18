"""What a criterion states, and where in a report it stands: the core of a criterion, weighed word overlap, passages."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Shape = Literal["clause", "noun", "text", "question"]
PassageScore = Callable[[str, Sequence[str]], Sequence[float]]
"""Given a statement and passages, how strongly each passage bears on it, in [0, 1]."""

_WORD = re.compile(r"[a-z0-9]+(?:[.,]\d+)*")
_WRAPPER = re.compile(
    r"(?P<prefix>[^:\n]{0,120}\b(?:text|report|answer|response|document|summary|statement|article|passage)\b[^:\n]{0,90}:\s+)"
    r"(?P<core>\S.*)",
    re.DOTALL,
)
_CONTAINS = re.compile(
    r"(?:Does the (?:contract|agreement|document|text|report) (?:contain|include|specify|have)|(?:Is|Are) there)\s+"
    r"(?P<core>[^?]{8,200})\?$"
)
# "The response is easy to read" is about the report as a whole: nothing in it can be swapped, removed or restated.
_ABOUT_REPORT = re.compile(
    r"\b(?:the|this|every|each|all)\s+(?:\w+\s+)?(?:response|content|output|story|report|essay|article|statement in)\b",
    re.I,
)
_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9a-z])|\n+")
WINDOW = 4
"""Sentences that are looked at together."""


@dataclass(frozen=True, slots=True)
class Statement:
    """`prefix + core` is the criterion. A clause is one sentence, a text several, a noun what a document contains."""

    prefix: str
    core: str
    shape: Shape


def statement(criterion: str) -> Statement | None:
    """What the criterion states; None where it is about the report as a whole."""
    if match := _CONTAINS.match(criterion):
        return Statement("", match["core"], "noun")
    prefix, core = "", criterion
    if match := _WRAPPER.match(criterion):
        prefix, core = match["prefix"], match["core"]
    if "?" in core:
        return Statement(prefix, core, "question")
    if not prefix and _ABOUT_REPORT.search(core):
        return None
    # A reference answer may be met in part, and a whole summary is more than its sentences.
    whole = "reference answer" in prefix or len(sentences(core)) > 1 or len(core.split()) > 60
    return Statement(prefix, core, "text" if whole else "clause")


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, with what separates them, so that they join to it."""
    cuts = [0, *(match.end() for match in _SENTENCE.finditer(text)), len(text)]
    return [text[a:b] for a, b in pairwise(cuts) if b > a]


def content_words(text: str) -> list[str]:
    """Lower-case words, roughly stemmed."""
    return [_stem(word) for word in _WORD.findall(text.lower())]


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


class Weights:
    """Inverse document frequency of words, so that "the" weighs next to nothing."""

    def __init__(self, texts: Iterable[str]) -> None:
        counts: Counter[str] = Counter()
        total = 0
        for text in texts:
            counts.update(set(content_words(text)))
            total += 1
        self._idf: Mapping[str, float] = {word: math.log((total + 1) / (n + 0.5)) for word, n in counts.items()}
        self._unknown = math.log((total + 1) / 0.5)

    def recall(self, core: str, passage: str) -> float:
        """The weighed share of the core's words that the passage holds, in [0, 1]."""
        held = set(content_words(passage))
        wanted = set(content_words(core))
        weights = {word: max(0.0, self._idf.get(word, self._unknown)) for word in wanted}
        return sum(w for word, w in weights.items() if word in held) / max(sum(weights.values()), 1e-9)

    def scores(self, core: str, passages: Sequence[str]) -> list[float]:
        """`recall` for each passage: the default `PassageScore`."""
        return [self.recall(core, passage) for passage in passages]

    def best_recall(self, core: str, report: str) -> float:
        """The highest recall of any `WINDOW` neighbouring sentences."""
        parts = sentences(report)
        windows = ["".join(parts[i : i + WINDOW]) for i in range(max(1, len(parts) - WINDOW + 1))]
        return max(self.scores(core, windows), default=0.0)
