"""Labelled requirements restated as flaws, the label turned round where the sense is.

No human label is on a flaw, and a judge must read them: "Omits that X" is present exactly where X is not stated. All
phrasings are split: what is held out is never trained on, so that reading a flaw is measured and not remembering one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from train.judge.data import FULLY, NOT, PARTIALLY
from train.judge.statements import Statement

Phrasings = Literal["train", "held_out"]

OMISSIONS: dict[Phrasings, tuple[str, ...]] = {
    "train": (
        "Omits that {}.",
        "Fails to mention that {}.",
        "Does not state that {}.",
        "The response leaves out that {}.",
        "The report never says that {}.",
        "Lacks the point that {}.",
        "Misses that {}.",
        "The answer fails to state that {}.",
        "Makes no mention of the fact that {}.",
        "The text does not say that {}.",
        "Neglects to mention that {}.",
        "There is no statement that {}.",
        "Ignores that {}.",
        "The response skips the fact that {}.",
        "Does not tell the reader that {}.",
    ),
    "held_out": (
        "Overlooks that {}.",
        "The document is silent on the fact that {}.",
        "It goes unmentioned that {}.",
        "The response does not acknowledge that {}.",
        "Forgets to point out that {}.",
    ),
}
TEXT_OMISSIONS: dict[Phrasings, tuple[str, ...]] = {
    "train": (
        "Omits the following: {}",
        "Does not convey the following: {}",
        "Fails to cover this content: {}",
        "The answer lacks the content of this reference answer: {}",
        "The response is missing the following: {}",
    ),
    "held_out": ("Leaves the following out: {}", "The text does not express this: {}"),
}
NOUN_OMISSIONS: dict[Phrasings, tuple[str, ...]] = {
    "train": (
        "Does not contain {}.",
        "Lacks {}.",
        "Omits {}.",
        "Fails to include {}.",
        "The document has nothing about {}.",
        "Is missing {}.",
    ),
    "held_out": ("Leaves out {}.", "{} cannot be found in the document."),
}
COMMISSIONS: dict[Phrasings, tuple[str, ...]] = {
    "train": (
        "States that {}.",
        "Claims, wrongly, that {}.",
        "Asserts incorrectly that {}.",
        "The response says that {}.",
        "Wrongly reports that {}.",
        "Contains the claim that {}.",
        "Incorrectly concludes that {}.",
        "Includes the misleading statement that {}.",
        "Tells the reader that {}.",
    ),
    "held_out": (
        "Mistakenly suggests that {}.",
        "Makes the unfounded assertion that {}.",
        "Falsely maintains that {}.",
    ),
}
CONTRADICTIONS: dict[Phrasings, tuple[str, ...]] = {
    "train": (
        "Contradicts that {}.",
        "Denies that {}.",
        "Conflicts with the fact that {}.",
        "States the opposite of this: {}.",
        "Is inconsistent with the statement that {}.",
    ),
    "held_out": ("Says something incompatible with the fact that {}.", "Disputes that {}."),
}
_OPENERS = """
The A An In On It He She They There This That These Those His Her Their Its One Two Three Some All Many Most At After
Before When While If For As By With From During Each Every No Several Both More
"""
OPENERS = frozenset(_OPENERS.split())


@dataclass(frozen=True, slots=True)
class Flaw:
    """A flaw's text and label; `kind` goes to `meta.synthetic`."""

    text: str
    label: int
    kind: str


def as_clause(core: str) -> str:
    """A sentence as it stands after "that": no full stop, small where the first word is not a name."""
    clause = core.strip().rstrip(".!").strip()
    first = clause.split(" ", 1)[0]
    return clause[:1].lower() + clause[1:] if first in OPENERS else clause


def turned(label: int, *, whole: bool = False) -> int:
    """The label of an omission, given that of the content: fully stated is not omitted; "partially" stays.

    `whole`: the content was labelled not as soon as one detail of it failed, so that most of it may be there.
    """
    return {NOT: PARTIALLY if whole else FULLY, PARTIALLY: PARTIALLY, FULLY: NOT}[label]


def restated(what: Statement, label: int, rng: random.Random, phrasings: Phrasings = "train") -> Iterator[Flaw]:
    """One omission, and of a clause one commission, in random phrasings. Nothing of a question."""
    clause = as_clause(what.core)
    omitted = turned(label, whole=what.prefix.startswith("Everything"))
    match what.shape:
        case "clause":
            yield Flaw(rng.choice(OMISSIONS[phrasings]).format(clause), omitted, "flaw_omission")
            yield Flaw(rng.choice(COMMISSIONS[phrasings]).format(clause), label, "flaw_commission")
            if label == FULLY:
                yield Flaw(rng.choice(CONTRADICTIONS[phrasings]).format(clause), NOT, "flaw_contradiction")
        case "text":
            yield Flaw(rng.choice(TEXT_OMISSIONS[phrasings]).format(what.core), omitted, "flaw_omission")
        case "noun":
            text = rng.choice(NOUN_OMISSIONS[phrasings]).format(what.core)
            yield Flaw(text[:1].upper() + text[1:], omitted, "flaw_omission")
        case "question":
            return


def contradicted(altered: str, rng: random.Random, phrasings: Phrasings = "train") -> Flaw:
    """Of a clause that the report states otherwise (a swap, a negation): the report contradicts it."""
    return Flaw(rng.choice(CONTRADICTIONS[phrasings]).format(as_clause(altered)), FULLY, "flaw_contradiction")
