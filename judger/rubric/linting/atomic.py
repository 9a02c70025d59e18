"""Whether a criterion asks for several things that a report can meet one by one."""

from __future__ import annotations

import re

Span = tuple[int, int]

# Verbs that say what a report does, as "it explains" and as "it should explain". Those of the second group are nouns
# too, so that they need an object to follow.
PLAIN = (
    "accommodate acknowledge address analyse analyze argue avoid calculate cite clarify conclude consider contain "
    "contextualize contrast cover define delineate demonstrate describe discuss distinguish elaborate emphasize ensure "
    "evaluate examine explain explore give identify illustrate include incorporate indicate integrate interpret "
    "introduce justify mention outline present propose provide quantify recommend specify suggest summarise summarize "
    "synthesize warn"
).split()
NOUNS = (
    "address assess compare detail distinguish estimate highlight link list name note offer point reference show state "
    "support use"
).split()
REPORTS = (
    "acknowledge cite clarify compare describe discuss emphasize explain highlight illustrate justify mention summarize"
).split()


def _either(verbs: list[str]) -> str:
    def third(verb: str) -> str:
        if verb.endswith("y") and verb[-2] not in "aeou":
            return verb[:-1] + "ies"
        return verb + ("es" if verb.endswith(("s", "sh", "ch", "x")) else "s")

    return "|".join(sorted({form for verb in verbs for form in (verb, third(verb))}, key=len, reverse=True))


VERB, NOUN_VERB = _either(PLAIN), _either(NOUNS)
OBJECT = (
    r"(?:the|an?|how|why|what|that|which|whether|at\s+least|its|their|his|her|each|any|both|it|them|one|two|three"
    r"|specific|all)\b"
)
FIRST_VERB = re.compile(rf"\b(?:{VERB}|{NOUN_VERB})\b", re.IGNORECASE)
SECOND_VERB = re.compile(
    r"(?:,|;|\band\b|\bbut\b)\s++(?:and\s++)?(?:also\s++|then\s++|either\s++|critically\s++|clearly\s++|briefly\s++)?"
    rf"(?:(?:{VERB})\b(?!\s*[,;.])|(?:{NOUN_VERB})\s++{OBJECT})",
    re.IGNORECASE,
)
# A sentence that asks for something of its own.
NEXT_SENTENCE = re.compile(
    r"[.;]\s++(?:also,?\s++|critically,?\s++)?(?:"
    r"(?:the|this|a)?\s*+(?:final\s++)?(?:response|report|answer|article|document|text|output|essay|it|they)\s++"
    rf"(?:also\s++|critically\s++)?(?:must|should|needs|{VERB}|{NOUN_VERB})\b"
    r"|(?:also\s++)?(?:assesses|evaluates|checks|ensures|examines|measures|includes|this\s++includes|this\s++should)\b"
    r"|however\b|if\s++(?:charts|any)\b)",
    re.IGNORECASE,
)
# Two questions of one verb: "what it is and how it is used".
QUESTIONS = re.compile(
    r"\b(?:what|how|why|whether|when|where|if)\b[^.;:]{3,80}?(?:,|\band\b|\bas\s++well\s++as\b)\s++(?:and\s++)?"
    r"(?:what|how|why|whether|when|where|if|its|their)\b",
    re.IGNORECASE,
)
BESIDES = re.compile(r"\b(?:as\s++well\s++as|along\s++with|together\s++with|in\s++addition\s++to)\b", re.IGNORECASE)
# "his karma, his role in the battle, and ...": three things or more, the last one joined by "and".
SERIES = re.compile(r",\s++(?:[^\s,;.:()]++\s++){0,8}[^\s,;.:()]++,\s*+and\s++", re.IGNORECASE)
OWN = re.compile(r"\band\s++(?:his|her|its|their)\s++\w", re.IGNORECASE)
# What only a report does, so that it is a second requirement wherever it stands.
REPORTING = re.compile(rf"(?:{_either(REPORTS)})\b", re.IGNORECASE)
# Any other verb in a clause that belongs to the first is part of the one requirement.
SUBORDINATE = re.compile(r"\b(?:that|which|who|whose|when|where|if|while|because|as)\b", re.IGNORECASE)
# Lists of what is left to choose from, or is only named to say what is meant.
CHOICE = re.compile(r"\b(?:or|either|such\s+as|like|including|between|any\s+of|one\s+of)\b", re.IGNORECASE)


def joined(core: str) -> Span | None:
    """Where a text, its examples blanked out, comes to a second requirement; None where it has one only."""
    if found := NEXT_SENTENCE.search(core):
        return found.span()
    first = FIRST_VERB.search(core)
    if first is not None:
        for second in SECOND_VERB.finditer(core, first.end()):
            if not core[first.end() : second.start()].strip(" ,"):
                continue  # "identifies and explains": two verbs for one thing
            own = not SUBORDINATE.search(core, first.start(), second.end())
            if own or REPORTING.search(second.group()) or second.group().startswith(", and"):
                return second.span()
    for pattern in (QUESTIONS, BESIDES, SERIES, OWN):
        found = pattern.search(core)
        if found and not CHOICE.search(core, max(0, found.start() - 20), found.end()):
            return found.span()
    return None
