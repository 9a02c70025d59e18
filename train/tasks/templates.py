"""The writer that needs no model: sentences from templates, chosen by the task's own seed."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from judger.types import Criterion, Role
from train.tasks.draft import Assessment, Card, Draft, Item
from train.world.generate import Entity

__all__ = ["TemplateWriter"]

_QUERIES = (
    "Please find out {asks}.",
    "Tell me {asks}.",
    "I would like to know {asks}.",
    "Write a short report that says {asks}.",
    "For a guide book I need to know {asks}.",
    "Can you find out {asks}?",
    "Report {asks}.",
    "Look up {asks}.",
    "My students want to know {asks}.",
    "Find out {asks}, please.",
)
# Wider than what they were written for: the roles of some criteria change, and the sample is dropped for it.
_THEMES = {
    "Tell me about the history of {it}.": ("opened", "designer", "repaired", "owner"),
    "Describe how {it} was made.": ("designer", "material", "cost", "opened"),
    "What does {it} look like, and where is it?": ("material", "measure", "town", "special"),
}
_THEME_SHARE = 0.08
MOST_WORDS = 120
_TELLING = ("opened", "designer", "owner", "town", "cost")


@dataclass(frozen=True, slots=True)
class TemplateWriter:
    """Writes what the card says. The same card gives the same task."""

    name: str = "templates"

    async def draft(self, card: Card) -> Draft:
        draw = _draw(card, "draft")
        items = [
            _fact(subject, name, draw.randint(3, 5), Role.EXPLICIT, card)
            for name in card.asked
            for subject in card.subjects
        ]
        first = card.subjects[0]
        summary = [subject.statement(name) for subject in card.subjects for name in card.asked]
        if card.contested:
            topic = first.attribute(card.contested).topic
            # Who disagrees, not "sources": else a list of them under its heading is taken for it.
            text = f"Tells of a blog and a registry that contradict each other on {topic}."
            items.append(_item(text, 2, Role.IMPLICIT, "synthesis", "disagreement", first.id))
            summary.append(f"A blog and the registry contradict each other on {topic} of {first.called}.")
        if len(card.subjects) == 1 and "town" not in card.asked:
            items.append(_fact(first, "town", 2, Role.IMPLICIT, card))
            summary.append(first.statement("town"))
        # Sources, not citations: one sentence said three times has three of the latter.
        least = 3 if len(first.facts) > 4 else 2
        items.append(_item(f"Cites at least {least} different sources.", 2, Role.IMPLICIT, "references", "citations"))
        items += _flaws(card, draw)
        numbered = (
            Item(_renamed(item.criterion, f"c{number}"), item.aspect, item.subject)
            for number, item in enumerate(items, 1)
        )
        return Draft(" ".join(summary), tuple(numbered))

    async def query(self, card: Card, draft: Draft) -> str:
        draw = _draw(card, "query")
        first = card.subjects[0]
        if len(card.subjects) == 2:
            asks = _listed([_asks(first, name, "each") for name in card.asked])
            return f"Compare {first.called} and {card.subjects[1].called}: {asks}."
        if draw.random() < _THEME_SHARE:
            return draw.choice(list(_THEMES)).format(it=first.called)
        names = draw.sample(card.asked, len(card.asked))
        asks = _listed([_asks(first, name, first.called if i == 0 else "it") for i, name in enumerate(names)])
        return draw.choice(_QUERIES).format(asks=asks)

    async def reassess(self, query: str, card: Card, draft: Draft) -> Sequence[Assessment]:
        return [_assess(query, item, card) for item in draft.items]


def _flaws(card: Card, draw: random.Random) -> list[Item]:
    """What a careless report says: the blog's value, a fact of the thing's namesake, too much."""
    items = []
    for subject in card.subjects:
        value = subject.false_value
        if all(value != other.facts[subject.contested] for other in card.subjects):
            items.append(_falsehood(subject, subject.contested, value, -draw.randint(4, 5), "false"))
    rival = card.rival
    names = [name for name in card.asked if name in _TELLING] or list(_TELLING)
    names = [name for name in names if rival and _differs(name, rival, card.subjects[0])]
    if rival is not None and names:
        name = draw.choice(names)
        items.append(_falsehood(card.subjects[0], name, rival.facts[name], -draw.randint(3, 4), "rival"))
    items.append(_item(f"Longer than {MOST_WORDS} words.", -4, Role.NEGATIVE, "communication", "length"))
    items.append(_item("Says a sentence twice.", -3, Role.NEGATIVE, "communication", "repetition"))
    # One for each fact, the town and what sources disagree about: more are padding, as any judge can count.
    most = len(card.asked) * len(card.subjects) + 2
    items.append(_item(f"Has more than {most} citations.", -3, Role.NEGATIVE, "references", "padding"))
    return items


def _differs(name: str, one: Entity, other: Entity) -> bool:
    """Whether both have that fact, and not the same."""
    return name in one.facts and name in other.facts and one.facts[name] != other.facts[name]


def _assess(query: str, item: Item, card: Card) -> Assessment:
    if item.criterion.is_negative:
        return Assessment(Role.NEGATIVE, "It is a flaw whatever was asked.")
    subject = next((subject for subject in card.subjects if subject.id == item.subject), card.subjects[0])
    if item.aspect not in subject.facts:
        return Assessment(Role.IMPLICIT, "The query does not ask to compare sources.")
    words = _asks(subject, item.aspect, "IT").split("IT")
    asked = re.search(".{1,40}?".join(re.escape(word) for word in words), query) is not None
    for theme, aspects in _THEMES.items():
        if query == theme.format(it=card.subjects[0].called):
            asked = item.aspect in aspects
    topic = subject.attribute(item.aspect).topic
    if asked:
        return Assessment(Role.EXPLICIT, f"The query asks for {topic}.")
    return Assessment(Role.IMPLICIT, f"The query says nothing of {topic}.")


def _fact(subject: Entity, name: str, weight: int, role: Role, card: Card) -> Item:
    """A fact that is asked for; of two subjects it names its own."""
    text = subject.requirement(name, is_one_of_two=len(card.subjects) == 2)
    return _item(text, weight, role, "factual", name, subject.id)


def _falsehood(subject: Entity, name: str, value: str, weight: int, what: str) -> Item:
    """A flaw: another `value` in the fact's place."""
    return _item(subject.flaw(name, value), weight, Role.NEGATIVE, "factual", f"{what} {name}", subject.id)


def _item(text: str, weight: float, role: Role, axis: str, aspect: str, subject: str = "") -> Item:
    text = text[0].upper() + text[1:]
    text = text if text.endswith(".") else text + "."
    return Item(Criterion(id="", text=text, weight=weight, role=role, axis=axis), aspect, subject)


def _renamed(criterion: Criterion, name: str) -> Criterion:
    return Criterion(id=name, text=criterion.text, weight=criterion.weight, role=criterion.role, axis=criterion.axis)


def _asks(entity: Entity, name: str, it: str) -> str:
    return entity.attribute(name).ask.format(it=it)


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _draw(card: Card, step: str) -> random.Random:
    return random.Random(f"{card.id} {step}")
