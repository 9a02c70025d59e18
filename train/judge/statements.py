"""What a criterion states: its core; and the sentences of a text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Shape = Literal["clause", "noun", "text", "question"]

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
