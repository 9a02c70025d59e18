"""Sentences that talk to a judge: not by their wording but by the parts that they put together.

    addresses_judge         a judge is called upon, with what to do or to give; or: give, this report, a mark
    overrides_instructions  set aside, what came before, instructions
    claims_criteria         this report, fulfils, all, criteria

The parts are in `lexicon.toml`, for eight languages. A sentence is looked at only where one of its language's anchors
stands, so that an ordinary report costs little more than the search for these.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from judger.steering.reading import PREFIX, Reading, places

__all__ = ["addresses"]

REACH = 240
"""Characters of a sentence before and behind its anchor that are read."""
ENDS = re.compile(r"[\n。！？؟]|[.!?](?=\s)")
BEFORE_ROLE = r"^[\W_]*(?:\w+\W+){0,4}?"
BEHIND_ROLE = r"(?:\W+\w+){0,4}?\W{0,3}[:,;：，、،!！—–]"


@dataclass(frozen=True, slots=True)
class Lexicon:
    """One language's parts of a sentence."""

    language: str
    anchors: tuple[str, ...]
    prefixes: frozenset[str]
    """Of the anchors, as `Reading.prefixes`."""
    parts: dict[str, re.Pattern[str]]

    def held_by(self, reading: Reading) -> list[str]:
        """The anchors that may be in a text."""
        plain = self.prefixes & reading.prefixes
        return [
            stem
            for stem in self.anchors
            if stem[:PREFIX] in plain or (not stem.isascii() and reading.letters.issuperset(stem))
        ]

    def rule(self, sentence: str) -> str | None:
        """The name of the first rule that the sentence fulfils."""

        def has(*names: str) -> bool:
            return all(self.parts[name].search(sentence) for name in names)

        if has("ignore", "prior", "instruction"):
            return "overrides_instructions"
        if has("mark", "order", "self") or (has("role", "call") and (has("mark", "order") or has("ignore"))):
            return "addresses_judge"
        if has("criteria", "satisfy", "all", "self"):
            return "claims_criteria"
        return None


@functools.cache
def lexicons() -> tuple[Lexicon, ...]:
    """Of every language."""
    text = resources.files("judger").joinpath("steering", "lexicon.toml").read_text(encoding="utf-8")
    made = []
    for language, entries in tomllib.loads(text).items():
        anchors = tuple(entries.pop("anchors"))
        parts = {name: re.compile(pattern) for name, pattern in entries.items()}
        call = f"{BEFORE_ROLE}{entries['role']}{BEHIND_ROLE}"
        made.append(
            Lexicon(language, anchors, frozenset(stem[:PREFIX] for stem in anchors), parts | {"call": re.compile(call)})
        )
    return tuple(made)


def addresses(reading: Reading) -> Iterator[tuple[str, str]]:
    """(name, detail) of each rule that some sentence fulfils, with the first one's language and line."""
    first: dict[str, tuple[int, str]] = {}
    for lexicon in lexicons():
        sentences: dict[str, int] = {}
        for anchor in lexicon.held_by(reading):
            for start, sentence in _sentences(reading.lowered, anchor):
                sentences.setdefault(sentence, start)
        for sentence, start in sentences.items():
            name = lexicon.rule(sentence)
            if name is not None and (name not in first or start < first[name][0]):
                first[name] = (start, lexicon.language)
    for name, (start, language) in first.items():
        yield name, f"{language}, {places(reading.lowered, [start])}"


def _sentences(text: str, anchor: str) -> Iterator[tuple[int, str]]:
    """(where it begins, the sentence) for each sentence with the anchor, once, cut to what is within reach."""
    position = text.find(anchor)
    while position >= 0:
        lowest = max(0, position - REACH, text.rfind("\n", max(0, position - REACH), position) + 1)
        behind = position + len(anchor)
        start = max((match.end() for match in ENDS.finditer(text, lowest, position)), default=lowest)
        match = ENDS.search(text, behind, behind + REACH)
        end = match.end() if match else behind + REACH
        yield start, text[start:end]
        position = text.find(anchor, end)
