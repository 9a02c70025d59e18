"""What a task is while it is being written: what it is about, the hidden summary, the rubric."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from judger.types import Criterion, Role
from train.world.generate import Entity, World

__all__ = ["Assessment", "Card", "Draft", "Item", "Named", "deal"]


class Named(Protocol):
    """All that the synthesis knows of what a task is about: a card of a world, a brief of one's own corpus."""

    @property
    def id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Card:
    """What a writer is given: one thing, or two to compare, and what of them is to be asked."""

    id: str
    seed: int
    subjects: tuple[Entity, ...]
    asked: tuple[str, ...]
    rival: Entity | None = None
    """What a careless reader takes for the subject: its namesake, or another thing of the kind."""

    @property
    def contested(self) -> str:
        """The asked attribute that sources disagree on; empty where there is none."""
        first = self.subjects[0]
        return first.contested if first.contested in self.asked else ""


@dataclass(frozen=True, slots=True)
class Item:
    """A criterion and what it is about: `aspect` is an attribute of a subject, or a trait of the report."""

    criterion: Criterion
    aspect: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """The first step's outcome, which the policy never sees: a summary of the ideal report, and the rubric."""

    summary: str
    items: tuple[Item, ...]

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        return tuple(item.criterion for item in self.items)

    def rows(self) -> list[dict[str, object]]:
        """The criteria as a task file has them."""
        return [
            {"id": c.id, "text": c.text, "weight": c.weight, "role": c.role.value, "axis": c.axis}
            for c in self.criteria
        ]


@dataclass(frozen=True, slots=True)
class Assessment:
    """The role that a criterion has for the query as it was written, and why."""

    role: Role
    reason: str


def deal(world: World, count: int, *, label: str, contested_share: float = 0.5) -> list[Card]:
    """That many cards, the things in turn, so that all are asked about.

    One in six compares two of a kind, unless the world is plain.
    """
    draw = random.Random(f"cards {world.seed} {label}")
    cards: list[Card] = []
    order: list[Entity] = []
    while len(cards) < count:
        if not order:
            order = draw.sample(world.structures, len(world.structures))
        subject = order.pop()
        number = len(cards)
        card_id = f"{label}-{world.seed}-{number:04d}"
        others = [other for other in world.structures if other.kind == subject.kind and other.id != subject.id]
        if others and number % 6 == 5 and not world.size.plain:
            asked = draw.sample(["opened", "designer", "material", "town", "cost", "owner"], 2)
            cards.append(Card(card_id, number, (subject, draw.choice(others)), tuple(asked)))
            continue
        asked = _asked(subject, draw, contested_share)
        rival = world.entities.get(subject.namesake) or (draw.choice(others) if others else None)
        cards.append(Card(card_id, number, (subject,), asked, rival))
    return cards


def _asked(subject: Entity, draw: random.Random, contested_share: float) -> tuple[str, ...]:
    others: Sequence[str] = [name for name in subject.facts if name != subject.contested]
    asked = draw.sample(others, draw.choice((3, 4)) if len(others) > 4 else 2)
    if draw.random() < contested_share:
        asked[draw.randrange(len(asked))] = subject.contested
    return tuple(asked)
