"""Advice on a rubric, after the principles of the Step-DeepResearch report (arXiv 2512.20491, Table 5).

A criterion is atomic, verifiable, unambiguous, independent of the others and aligned with the task. What a text alone
can show of that is checked here with few rules that are meant to be right when they speak; they know English only.
Nothing of it is an error: the rubric is judged as it stands.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from judger.types import Criterion

MAX_WORDS = 120
# Beyond this a text is far too long anyway, and the patterns below are not made for it.
MAX_CHARACTERS = 4000
DUPLICATE_OVERLAP = 0.75
OUTLIER = 10.0

#: What each code advises against.
CODES = {
    "not-atomic": "several requirements in one criterion: no verdict fits where one is met and another is not",
    "vague": "a judgement of taste that two people need not share",
    "near-duplicate": "two criteria for one thing: it counts twice",
    "flaw-with-positive-weight": "the text describes a flaw, and the weight rewards it",
    "negation-with-positive-weight": "the absence of something earns the weight, so an empty report earns it",
    "requirement-with-negative-weight": "the text describes a merit, and the weight punishes it",
    "weight-out-of-proportion": "one criterion decides the reward",
    "no-positive-weight": "nothing can be earned",
    "too-long": "a long text hides what is asked",
    "closed-examples": "a list of examples reads as if it were complete",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """One piece of advice: a stable code of `CODES`, the position of the criterion (None: the rubric), and why."""

    code: str
    index: int | None
    message: str


SUBJECT = r"(?:the|this|a)?\s*+(?:final\s++)?(?:response|report|answer|article|document|text|output|essay|it)"
# After "and", these begin a second requirement. The second group are nouns too, so they need an object to follow.
VERB = (
    "provides|discusses|explains|mentions|includes|describes|presents|gives|identifies|proposes|recommends|defines"
    "|contains|analyzes|analyses|addresses|outlines|suggests|avoids|ensures|specifies|illustrates|demonstrates|cites"
    "|acknowledges|evaluates|incorporates|justifies|clarifies|distinguishes|summarizes|summarises|offers|covers|argues"
    "|concludes|quantifies|warns|is|has"
)
NOUN_VERB = "states|lists|shows|details|compares|references|notes|names|links|uses|highlights|supports|estimates"
OBJECT = r"(?:the|an?|how|why|what|that|which|at\s+least|its|their|each|any|both|it|them|one|two|three|specific)\b"
FIRST_VERB = re.compile(rf"\b(?:{VERB}|{NOUN_VERB})\b", re.IGNORECASE)
SECOND_VERB = re.compile(
    r"(?:,|;|\band\b|\bbut\b)\s++(?:and\s++)?(?:also\s++|then\s++|either\s++)?"
    rf"(?:(?:{VERB})\b|(?:{NOUN_VERB})\s++{OBJECT})",
    re.IGNORECASE,
)
SECOND_SENTENCE = re.compile(
    rf"[.;]\s++(?:also,?\s++)?(?:{SUBJECT})\s++(?:also\s++)?(?:must|should|{VERB})\b", re.IGNORECASE
)
# A second verb in a subordinate clause is part of the one requirement.
SUBORDINATE = re.compile(r"\b(?:that|which|who|whose|when|where|if|while|because|as|how|why)\b", re.IGNORECASE)

VAGUE = (
    "good|great|nice|appropriate|appropriately|suitable|proper|properly|adequate|adequately|sufficient|sufficiently"
    "|high[- ]quality|well[- ]written|well[- ]structured|well[- ]organi[sz]ed|interesting|engaging|useful|helpful"
    "|insightful|reasonable|excellent|compelling|impressive|professional|polished|effective|effectively"
    "|comprehensive|thorough|thoroughly|in[- ]depth|easy\\s+to\\s+(?:read|follow|understand)|readable|coherent"
)
VAGUE_WORD = re.compile(rf"\b(?<!where )(?<!as )(?:{VAGUE})\b", re.IGNORECASE)
# What makes a vague word checkable: an example, a number, a quotation, a condition, a comparison.
CONCRETE = re.compile(
    r"\d|[(:\"“]|\b(?:e\.g\.|i\.e\.|such as|for example|by|because|so that|including|at least|no more than|that|which"
    r"|whether|when|where|if|with|without|one|two|three|four|five|each|every|any|between|rather|than)\b",
    re.IGNORECASE,
)

FLAW = re.compile(
    rf"^(?:{SUBJECT})?\s*(?:fails?\s+to|failed\s+to|neglects?\s+to|lacks?\b|(?:omits?|ignores?)\b(?!\s+(?:un|ir|any\b))|misses\b"
    r"|misrepresents?\b|misstates?\b|contradicts?\s+(?:itself|the)\b|incorrectly\b|wrongly\b|falsely\b|fabricates?\b"
    r"|hallucinates?\b|invents?\b)",
    re.IGNORECASE,
)
NEGATION = re.compile(
    rf"^(?:{SUBJECT})?\s*(?:(?:does|do|did|is|are|should|must|can)\s*(?:not|n['’]t)\b|doesn['’]t\b|avoids?\b|never\b)",
    re.IGNORECASE,
)
MERIT = re.compile(
    rf"^(?:{SUBJECT})?\s*(?:(?:should|must)\s+(?!not\b|never\b|avoid\b)|(?:correctly|accurately|clearly"
    r"|explicitly\s+and\s+correctly|properly|appropriately)\s+\w+)",
    re.IGNORECASE,
)
UNDONE = re.compile(
    r"[^.]*?\b(?:but|without|however|although|instead|fails?|not|wrong|incorrect|only)\b", re.IGNORECASE
)

# Three items or more, each of a few words: longer ones are an explanation.
CLOSED = re.compile(
    r"\bi\.e\.,?\s+(?:[^\s,;()]+\s+){0,5}[^\s,;()]+(?:[,;]\s*(?:[^\s,;()]+\s+){0,5}[^\s,;()]+){2,}\s*[.)]"
    r"|\b(?:only|exactly)\s+the\s+following\b",
    re.IGNORECASE,
)
NEVERTHELESS_OPEN = re.compile(
    r"\betc\b|\bsuch as\b|e\.g\.|not\s+limited\s+to|\bfor example\b|\bor similar\b", re.IGNORECASE
)

EXAMPLES = re.compile(
    r"\((?:\s*(?:e\.?\s?g\.?|i\.e\.?|for example|for instance|such as|including|like)\b[^()]*(?:\([^()]*\)[^()]*)*)\)?"
    r"|(?:\b(?:e\.g\.|such as|for example|for instance|including)\b.*)"
    r"|(?:(?:representative\s+)?examples?(?:\s+\w+){0,4}\s*:.*)",
    re.IGNORECASE | re.DOTALL,
)
WORD = re.compile(r"[\w'’-]+")
COUNTING = frozenset(
    "one two three four five six seven eight nine ten first second third fourth fifth last final next previous both "
    "beyond before after".split()
)
FILLER = frozenset(
    "the a an this that response report answer of to in on for and or with its it is are be by from at as does do not "
    "fails fail should must lacks omits include includes mention mentions discuss discusses provide provides state "
    "states explain explains describe describes any".split()
)


def lint(criteria: Sequence[Criterion]) -> list[Advice]:
    """Advice on a rubric: on the criteria in their order, then on the whole."""
    advice = [found for i, criterion in enumerate(criteria) for found in _criterion(i, criterion)]
    advice += _duplicates(criteria)
    advice += _weights(criteria)
    return sorted(advice, key=lambda found: len(criteria) if found.index is None else found.index)


def _criterion(i: int, criterion: Criterion) -> Iterator[Advice]:
    text = criterion.text.strip()[:MAX_CHARACTERS]
    core = EXAMPLES.sub(" ", text)
    positive = criterion.weight > 0
    if positive and _is_joined(core):
        yield Advice("not-atomic", i, "asks for several things: make each a criterion of its own")
    if (vague := VAGUE_WORD.search(core)) and len(WORD.findall(core)) <= 14 and not CONCRETE.search(text):
        yield Advice("vague", i, f"{vague.group()!r} is a matter of taste: say what can be seen in the report")
    if positive and (flaw := FLAW.search(text)):
        yield Advice(
            "flaw-with-positive-weight", i, f"{flaw.group().strip()!r} is a flaw: should the weight be negative?"
        )
    elif positive and (negation := NEGATION.search(text)):
        message = f"{negation.group().strip()!r}: state the flaw and give it a negative weight"
        yield Advice("negation-with-positive-weight", i, message)
    if not positive and (merit := MERIT.search(text)) and not UNDONE.match(text, merit.end()):
        message = f"{merit.group().strip()!r} is a merit: should the weight be positive?"
        yield Advice("requirement-with-negative-weight", i, message)
    if (words := len(criterion.text.split())) > MAX_WORDS:
        yield Advice("too-long", i, f"has {words} words: what is asked should fit in a sentence or two")
    if CLOSED.search(text) and not NEVERTHELESS_OPEN.search(text):
        yield Advice(
            "closed-examples",
            i,
            "reads as a complete list: write 'e.g.' for examples, one criterion each if all are asked for",
        )


def _is_joined(core: str) -> bool:
    """Whether a text without its examples states a second requirement beside the first."""
    if SECOND_SENTENCE.search(core):
        return True
    first = FIRST_VERB.search(core)
    second = SECOND_VERB.search(core, first.end()) if first else None
    return first is not None and second is not None and not SUBORDINATE.search(core, first.start(), second.end())


def _duplicates(criteria: Sequence[Criterion]) -> Iterator[Advice]:
    """Pairs that share four fifths of the words that carry meaning, and differ in no name or number."""
    bags = [frozenset(word for word in WORD.findall(c.text.lower()) if word not in FILLER) for c in criteria]
    names = [frozenset(re.findall(r"\b(?:\w*\d\w*|(?<!^)[A-Z]\w+)\b", c.text)) for c in criteria]
    for i, bag in enumerate(bags):
        for j in range(i):
            shared = len(bag & bags[j])
            if shared < 3 or shared < DUPLICATE_OVERLAP * len(bag | bags[j]):
                continue
            if names[i] == names[j] and not (bag ^ bags[j]) & COUNTING:
                opposite = criteria[i].is_negative != criteria[j].is_negative
                kind = "asks the opposite of" if opposite else "asks the same as"
                yield Advice("near-duplicate", i, f"{kind} criterion {criteria[j].id!r}: it counts twice")
                break


def _weights(criteria: Sequence[Criterion]) -> Iterator[Advice]:
    if criteria and not any(c.weight > 0 for c in criteria):
        yield Advice("no-positive-weight", None, "no criterion has a positive weight: the best reward is 0")
    if len(criteria) < 4:
        return
    sizes = [abs(c.weight) for c in criteria]
    usual = statistics.median(sizes)
    for i, size in enumerate(sizes):
        if size >= OUTLIER * usual or size > sum(sizes) / 2:
            message = f"weighs {size:g}, where the middle one weighs {usual:g}: this criterion decides the reward"
            yield Advice("weight-out-of-proportion", i, message)
