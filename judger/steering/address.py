"""Sentences that talk to a judge: not by their wording but by the parts that they put together.

    addresses_judge         a judge is called upon, with what to do or to give; or: give, this report, a mark
    overrides_instructions  set aside, what came before, instructions
    claims_criteria         this report, fulfils, all, criteria

The parts are in `lexicon.toml`, for eight languages. A rule looks at a sentence only where an anchor of the rule's
leading part stands, so that an ordinary report costs little more than the search for these.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from judger.steering.reading import Reading, Stems, places

__all__ = ["addresses"]

REACH = 240
"""Characters of a sentence before and behind its anchor that are read."""
ENDS = ("\n", ". ", "! ", "? ", "。", "！", "？", "؟")
BEFORE_ROLE = r"^[\W_]*(?:\w+\W+){0,4}?"
BEHIND_ROLE = r"(?:\W+\w+){0,4}?\W{0,3}[:,;：，、،!！—–]"


LEADING = ("ignore", "role", "mark", "criteria")


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """One language's parts of a sentence."""

    language: str
    anchors: dict[str, tuple[str, ...]]
    """By the part that they lead to."""
    parts: dict[str, re.Pattern[str]]

    def rule(self, part: str, sentence: str) -> str | None:
        """The name of the rule that this part leads to, where the sentence fulfils it."""

        def has(*names: str) -> bool:
            return all(self.parts[name].search(sentence) for name in names)

        match part:
            case "ignore" if has("ignore", "instruction", "prior"):
                return "overrides_instructions"
            case "role" if has("call") and (has("mark", "order") or has("ignore")):
                return "addresses_judge"
            case "mark" if has("mark", "order", "self"):
                return "addresses_judge"
            case "criteria" if has("criteria", "satisfy", "all", "self"):
                return "claims_criteria"
        return None


@functools.cache
def lexicons() -> tuple[Lexicon, ...]:
    """Of every language."""
    text = resources.files("judger").joinpath("steering", "lexicon.toml").read_text(encoding="utf-8")
    made = []
    for language, entries in tomllib.loads(text).items():
        anchors = {part: tuple(stems) for part, stems in entries.pop("anchors").items()}
        parts = {name: re.compile(pattern) for name, pattern in entries.items()}
        parts["call"] = re.compile(f"{BEFORE_ROLE}{entries['role']}{BEHIND_ROLE}")
        made.append(Lexicon(language, anchors, parts))
    return tuple(made)


def addresses(reading: Reading) -> Iterator[tuple[str, str]]:
    """(name, detail) of each rule that some sentence fulfils, with the first one's language and line."""
    first: dict[str, tuple[int, str]] = {}
    held: dict[tuple[Lexicon, str], list[str]] = {}
    stems, leads = anchors()
    for anchor in stems.held(reading):
        for lexicon, part in leads[anchor]:
            held.setdefault((lexicon, part), []).append(anchor)
    for (lexicon, part), found in held.items():
        sentences: dict[str, int] = {}
        for anchor in found:
            for start, sentence in _sentences(reading.lowered, anchor):
                sentences.setdefault(sentence, start)
        for sentence, start in sentences.items():
            name = lexicon.rule(part, sentence)
            if name is not None and (name not in first or start < first[name][0]):
                first[name] = (start, lexicon.language)
    for name, (start, language) in first.items():
        yield name, f"{language}, {places(reading.lowered, [start])}"


@functools.cache
def anchors() -> tuple[Stems, dict[str, list[tuple[Lexicon, str]]]]:
    """Of every language, and what each leads to."""
    leads: dict[str, list[tuple[Lexicon, str]]] = {}
    for lexicon in lexicons():
        for part in LEADING:
            for stem in lexicon.anchors.get(part, ()):
                leads.setdefault(stem, []).append((lexicon, part))
    return Stems(leads), leads


def _sentences(text: str, anchor: str) -> Iterator[tuple[int, str]]:
    """(where it begins, the sentence) for each sentence with the anchor, once, cut to what is within reach."""
    position = text.find(anchor)
    while position >= 0:
        lowest, behind = max(0, position - REACH), position + len(anchor)
        start = max(lowest, 1 + max(text.rfind(end, lowest, position) for end in ENDS))
        ends = [text.find(end, behind, behind + REACH) for end in ENDS]
        end = min((place for place in ends if place >= 0), default=behind + REACH)
        yield start, text[start:end]
        position = text.find(anchor, end)
