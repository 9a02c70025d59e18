"""What is written about a world: a registry that is right, blogs that are not always, a gazette that compares them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from train.world.generate import Entity, World
from train.world.kinds import KINDS

__all__ = ["Document", "document_key", "write_documents"]


@dataclass(frozen=True, slots=True)
class Document:
    """One Markdown file. `facts` says by paragraph which attributes it states, for the expert and for checks."""

    path: str
    title: str
    paragraphs: tuple[str, ...]
    facts: tuple[tuple[str, ...], ...]

    @property
    def key(self) -> str:
        return document_key(self.path)

    def paragraph_of(self, name: str) -> int:
        """Which paragraph, counted from 1, states that attribute. Raises StopIteration where none does."""
        return next(number for number, names in enumerate(self.facts, 1) if name in names)

    def markdown(self) -> str:
        """Front matter holds the title, so that no paragraph repeats it as its heading."""
        return f"---\ntitle: {self.title}\n---\n" + "\n\n".join(self.paragraphs) + "\n"


def document_key(path: str) -> str:
    """The key that the agent's index gives the file."""
    return path.removesuffix(".md").replace("/", "-")


def write_documents(world: World) -> dict[str, list[Document]]:
    """The documents about each entity, the registry's first."""
    draw = random.Random(f"documents {world.seed}")
    written: dict[str, list[Document]] = {}
    for entity in world.entities.values():
        documents = [_registry(entity, draw, world)]
        if entity.contested:
            documents.append(_blog(entity, draw, is_plain=world.size.plain))
            if not world.size.plain and draw.random() < 0.5:
                documents.append(_gazette(entity))
        written[entity.id] = documents
    return written


def _registry(entity: Entity, draw: random.Random, world: World) -> Document:
    names = list(entity.facts)
    draw.shuffle(names)
    paragraphs: list[str] = []
    facts: list[tuple[str, ...]] = []
    while names:
        some, names = names[:2], names[2:]
        paragraphs.append(_paragraph(entity, some))
        facts.append(tuple(some))
    if entity.links and not world.size.plain:
        pages = [world.entities[link].page for link in entity.links]
        paragraphs.append("See also " + " and ".join(f"registry-{page}" for page in pages) + ".")
        facts.append(())
    return Document(f"registry/{entity.page}.md", entity.name, tuple(paragraphs), tuple(facts))


def _blog(entity: Entity, draw: random.Random, *, is_plain: bool) -> Document:
    wrong = entity.statement(entity.contested, value=entity.false_value)
    paragraphs, facts = [wrong], [(entity.contested,)]
    if not is_plain:
        others = draw.sample([name for name in entity.facts if name != entity.contested], 2)
        paragraphs = [f"I went to see {entity.called} last week. {wrong}", _paragraph(entity, others)]
        facts.append(tuple(others))
    return Document(f"blog/{entity.page}.md", f"A visit to {entity.called}", tuple(paragraphs), tuple(facts))


def _gazette(entity: Entity) -> Document:
    topic = entity.attribute(entity.contested).topic
    false, true = (
        entity.attribute(entity.contested).says.format(it="it", v=value).removesuffix(".")
        for value in (entity.false_value, entity.facts[entity.contested])
    )
    text = (
        f"Sources disagree about {topic} of {entity.called}. "
        f"A blog says that {false}, but the registry says that {true}."
    )
    return Document(f"gazette/{entity.page}.md", f"Note on {entity.called}", (text,), ((entity.contested,),))


def _paragraph(entity: Entity, names: list[str]) -> str:
    first, *rest = names
    it = "it" if KINDS[entity.kind].is_structure else entity.name
    return " ".join([entity.statement(first), *(entity.statement(name, it) for name in rest)])
