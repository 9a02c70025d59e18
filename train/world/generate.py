"""Worlds from a seed: things with their facts, namesakes, a contradiction for each, and the links between them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from train.world import pools
from train.world.kinds import ATTRIBUTES, KINDS, PERSON, STRUCTURES, TOWN, Attribute
from train.world.size import FULL, Size

__all__ = ["Entity", "World", "draw_value", "generate"]

_CONTESTED = ("opened", "designer", "material", "cost", "measure", "owner")


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing. Facts are by attribute; their values are words, or names of other entities."""

    id: str
    name: str
    kind: str
    facts: dict[str, str]
    contested: str = ""
    """The attribute that a lesser source tells wrongly, and what it says; empty where there is none."""
    false_value: str = ""
    namesake: str = ""
    """The id of a structure of another kind with the same name."""
    links: tuple[str, ...] = ()
    """Ids of the entities that its facts name."""
    page: str = ""
    """What its documents are called."""

    @property
    def called(self) -> str:
        """The name as it stands in a sentence."""
        return f"the {self.name}" if KINDS[self.kind].is_structure else self.name

    def attribute(self, name: str) -> Attribute:
        return ATTRIBUTES[self.kind, name]

    def statement(self, name: str, it: str = "", value: str = "") -> str:
        """A sentence that states a fact, or another `value` in its place."""
        return self.attribute(name).state(it or self.called, value or self.facts[name])

    def claim(self, name: str, value: str = "") -> str:
        """The fact in the fewest words."""
        return self.attribute(name).claim.format(v=value or self.facts[name])

    def requirement(self, name: str, *, is_one_of_two: bool = False) -> str:
        """The fact as a rubric asks for it: the value first, and none of the words in which a report says it, for in
        those the built-in judge takes another value for the same fact. Measured by tests/benchmarks/world_reward.py.
        """
        topic, value = self.attribute(name).topic, self.facts[name]
        if is_one_of_two:
            return f"gives the right {topic.removeprefix('the ')}, {value}, for {self.called}"
        return f"gives {value} as {topic}"

    def flaw(self, name: str, value: str) -> str:
        """Another `value` in the fact's place, as a rubric holds it against a report."""
        return f"says that {self.attribute(name).says.format(it=self.called, v=value)}"


@dataclass(frozen=True, slots=True)
class World:
    """All entities by id, in the order they were made."""

    seed: int
    size: Size = FULL
    entities: dict[str, Entity] = field(default_factory=dict)

    @property
    def structures(self) -> list[Entity]:
        return [entity for entity in self.entities.values() if KINDS[entity.kind].is_structure]

    def edges(self) -> Iterator[tuple[str, str, str]]:
        """(entity, attribute, entity) for each fact whose value is an entity."""
        for entity in self.entities.values():
            for attribute, value in entity.facts.items():
                target = _id(value)
                if target in self.entities and target in entity.links:
                    yield entity.id, attribute, target


def generate(seed: int, *, structures: int = 96, size: Size = FULL) -> World:
    """A world of that many structures, with a third as many people and a quarter as many towns.

    Raises ValueError where the pools do not hold as many names.
    """
    if not 2 <= structures <= size.most:
        raise ValueError(f"there can be from 2 to {size.most} structures, not {structures}")
    draw = random.Random(f"world {seed}")
    world = World(seed, size)
    towns = draw.sample(size.few(pools.TOWNS), max(2, min(len(size.few(pools.TOWNS)), structures // 4)))
    couples = [(first, last) for first in size.few(pools.FIRST) for last in size.few(pools.FAMILIES)]
    people = [" ".join(couple) for couple in draw.sample(couples, max(3, structures // 3))]
    for town in towns:
        _add(world, town, TOWN.name, draw, towns, people)
    for person in people:
        _add(world, person, PERSON.name, draw, towns, people)
    for name, kind, other in _names(structures, draw, size):
        _add(world, f"{name} {kind}", kind, draw, towns, people, namesake=f"{name.lower()}-{other}" if other else "")
    return world


def _names(count: int, draw: random.Random, size: Size) -> list[tuple[str, str, str]]:
    """(name, kind, kind of the namesake or ""): half of the names stand for two things."""
    kinds = [kind.name for kind in STRUCTURES]
    names = draw.sample(pools.NAMES[: size.names], size.names)
    # Two of three entities have a namesake, or more where the names would not suffice.
    pairs = max(count // 3, count - len(names))
    made: list[tuple[str, str, str]] = []
    for number, name in enumerate(names):
        if len(made) >= count:
            break
        first, second = draw.sample(kinds, 2)
        if number < pairs and len(made) + 2 <= count:
            made += [(name, first, second), (name, second, first)]
        else:
            made.append((name, first, ""))
    draw.shuffle(made)
    return made


def _add(
    world: World, name: str, kind: str, draw: random.Random, towns: list[str], people: list[str], namesake: str = ""
) -> None:
    names = [attribute.name for attribute in KINDS[kind].attributes]
    contested = false = ""
    page = _id(name)
    if KINDS[kind].is_structure:
        contested = draw.choice(_CONTESTED)
        if world.size.facts is not None:
            kept = [contested, *draw.sample([n for n in names if n not in (contested, "town")], world.size.facts - 2)]
            names = [n for n in names if n in (*kept, "town")]
        if world.size.numbered:
            taken = {entity.page for entity in world.entities.values()}
            page = draw.choice([number for number in map(str, range(10, 100)) if number not in taken])
    facts = {n: draw_value(ATTRIBUTES[kind, n], draw, towns, people, world.size) for n in names}
    if contested:
        false = facts[contested]
        while false == facts[contested]:
            false = draw_value(ATTRIBUTES[kind, contested], draw, towns, people, world.size)
    links = tuple(dict.fromkeys(_id(value) for value in facts.values() if value in towns or value in people))
    world.entities[_id(name)] = Entity(_id(name), name, kind, facts, contested, false, namesake, links, page)


def draw_value(attribute: Attribute, draw: random.Random, towns: list[str], people: list[str], size: Size) -> str:
    """A value that the attribute can have in a world of those towns and people."""
    match attribute.name:
        case "designer":
            return draw.choice(people)
        case "town" | "studied":
            return draw.choice(towns)
        case "repaired":
            return f"{draw.choice(size.few(pools.CAUSES))} of {draw.choice(size.few(pools.YEARS))}"
    return draw.choice(size.few(attribute.pool))


def _id(name: str) -> str:
    return name.lower().replace(" ", "-")
