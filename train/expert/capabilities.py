"""Atomic capabilities as plain text, for mid-training stage I (Step-DeepResearch, arXiv 2512.20491, section 3).

Planning in hindsight, information seeking by walks over the links, reflection, verification and report writing, all
from the same world; no tool is called. Every text is derived from documents: what it says can be copied from it.
Recall is the exception: its facts are true nowhere.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence

from train.expert.model import cited
from train.world.documents import Document
from train.world.generate import Entity, World, draw_value
from train.world.kinds import KINDS, PERSON, TOWN, Attribute

__all__ = ["CAPABILITIES", "stage_one", "walk"]

Documents = Mapping[str, Sequence[Document]]
CAPABILITIES = ("recall", "reading", "planning", "seeking", "reflection", "verification", "report")


def stage_one(world: World, documents: Documents, count: int, seed: int) -> list[dict[str, str]]:
    """That many texts, the capabilities in turn: {"text", "kind", "source"}."""
    draw = random.Random(f"capabilities {world.seed} {seed}")
    makers = {
        "recall": _recall, "reading": _reading, "planning": _planning, "seeking": _seeking,
        "reflection": _reflection, "verification": _verification, "report": _report,
    }  # fmt: skip
    rows = []
    for number in range(count):
        kind = CAPABILITIES[number % len(CAPABILITIES)]
        entity = draw.choice(world.structures)
        rows.append({"text": makers[kind](world, documents, entity, draw), "kind": kind, "source": entity.id})
    return rows


def walk(world: World, start: str, *, most: int = 12, hub: int = 10) -> list[tuple[str, str, str]]:
    """The edges of a breadth-first walk to at most `most` nodes; nodes of a degree over `hub` are leaves."""
    around: dict[str, list[tuple[str, str, str]]] = {}
    for edge in world.edges():
        around.setdefault(edge[0], []).append(edge)
        around.setdefault(edge[2], []).append(edge)
    seen, queue, edges = {start}, deque([start]), []
    while queue:
        node = queue.popleft()
        if node != start and len(around.get(node, ())) > hub:
            continue
        for edge in around.get(node, ()):
            other = edge[2] if edge[0] == node else edge[0]
            if other in seen or len(seen) >= most:
                continue
            seen.add(other)
            queue.append(other)
            edges.append(edge)
    return edges


def _shown(documents: Sequence[Document]) -> str:
    return "\n".join(
        f"[{document.key}#{number}] {text}"
        for document in documents
        for number, text in enumerate(document.paragraphs, 1)
    )


def _asked(entity: Entity, draw: random.Random, most: int = 3) -> list[str]:
    return draw.sample(list(entity.facts), min(most, len(entity.facts)))


def _question(entity: Entity, names: Sequence[str]) -> str:
    parts = [entity.attribute(name).ask.format(it=entity.called if i == 0 else "it") for i, name in enumerate(names)]
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _cited(entity: Entity, names: Sequence[str], documents: Documents) -> str:
    page = documents[entity.id][0]
    return " ".join(
        cited(entity.statement(name, "" if i == 0 else "it"), f"{page.key}#{page.paragraph_of(name)}")
        for i, name in enumerate(names)
    )


def _recall(world: World, documents: Documents, entity: Entity, draw: random.Random) -> str:
    """Facts drawn for this text alone, and again in another order: the second time they can only be looked up.

    So is where each is told, as a report must say it: one time of two the facts are passages of a page, called like a
    page of this world, and are cited from then on. No memory of the worlds helps, and a third of the tokens teach it,
    where a report has one in ten.
    """
    towns, people = ([e.name for e in world.entities.values() if e.kind == kind.name] for kind in (TOWN, PERSON))
    told = [
        (number, attribute, draw_value(attribute, draw, towns, people, world.size))
        for number, attribute in enumerate(draw.sample(KINDS[entity.kind].attributes, draw.randint(2, 6)))
    ]
    key = draw.choice(documents[draw.choice(world.structures).id]).key if draw.random() < 0.5 else ""
    lines = []
    if key:
        lines += [f"[{key}#{n // 2 + 1}] " + " ".join(_stated(entity, told[n : n + 2])) for n in range(0, len(told), 2)]
    else:
        lines.append(" ".join(_stated(entity, told)))
    for _ in range(2):
        draw.shuffle(told)
        sentences = _stated(entity, told)
        if key:
            sentences = [cited(said, f"{key}#{n // 2 + 1}") for said, (n, _, _) in zip(sentences, told, strict=True)]
        lines.append(" ".join(sentences))
    return "\n".join(lines)


def _stated(entity: Entity, told: Sequence[tuple[int, Attribute, str]]) -> list[str]:
    return [a.state("it" if i else entity.called, value) for i, (_, a, value) in enumerate(told)]


def _reading(world: World, documents: Documents, entity: Entity, draw: random.Random) -> str:
    names = _asked(entity, draw, 4)
    answer = " ".join(entity.statement(name, "" if i == 0 else "it") for i, name in enumerate(names))
    return f"{_shown(documents[entity.id][:1])}\nQuestion: Say {_question(entity, names)}.\nAnswer: {answer}"


def _planning(world: World, documents: Documents, entity: Entity, draw: random.Random) -> str:
    names = _asked(entity, draw)
    steps = [f"Search for {entity.name}.", f"Open {documents[entity.id][0].key}."]
    steps += [f"Find {entity.attribute(name).topic}." for name in names]
    steps.append("Write the report and cite each fact.")
    plan = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    return f"Task: Find out {_question(entity, names)}.\nPlan:\n{plan}"


_HIDDEN = {
    "designer": "the person who designed {it}",
    "town": "the town of {it}",
    "studied": "the town where {it} studied",
}
"""How a question names the end of a link without naming it."""


def _seeking(world: World, documents: Documents, entity: Entity, draw: random.Random) -> str:
    """A question over the links of a walk, fuzzed so that it names nothing on the way, and the steps that answer it."""
    # Links that lead on from where the walk stands; it may have come to a thing against a link's direction too.
    onward = [edge for edge in walk(world, entity.id) if edge[1] in _HIDDEN]
    path: list[tuple[str, str, str]] = []
    node = entity.id
    while (steps := [edge for edge in onward if edge[0] == node]) and (not path or draw.random() < 0.5):
        path.append(draw.choice(steps))
        node = path[-1][2]
    if not path:
        return _reading(world, documents, entity, draw)
    called = entity.called
    for _, link, _ in path:
        called = _HIDDEN[link].format(it=called)
    end = world.entities[node]
    wanted = draw.choice(list(end.facts))
    pages = [documents[name][0] for name in (entity.id, *(edge[2] for edge in path))]
    told = [world.entities[start].statement(link) for start, link, _ in path]
    return (
        f"{_shown(pages)}\nQuestion: Say {end.attribute(wanted).ask.format(it=called)}.\n"
        f"{' '.join([*told, end.statement(wanted)])}\nAnswer: {end.facts[wanted]}"
    )


def _reflection(world: World, documents: Documents, entity: Entity, draw: random.Random) -> str:
    """A wrong first answer, the check that finds it, and the right one."""
    name = entity.contested
    return (
        f"{_shown(documents[entity.id])}\nQuestion: Say {_question(entity, [name])}.\n"
        f"First answer: {entity.statement(name, value=entity.false_value)}\n"
        f"Check: only the blog says so. The registry says: {entity.statement(name)}\n"
        f"Answer: {_cited(entity, [name], documents)}"
    )


def _verification(world: World, documents: Documents, entity: Entity, draw: random.Random) -> str:
    """Claims, the evidence for each, and whether it supports or refutes."""
    true = draw.choice([name for name in entity.facts if name != entity.contested])
    claims = [(true, entity.facts[true]), (entity.contested, entity.false_value)]
    draw.shuffle(claims)
    page = documents[entity.id][0]
    lines = []
    for name, value in claims:
        verdict = "support" if value == entity.facts[name] else "refute"
        lines.append(
            f"Claim: {entity.statement(name, value=value)}\n"
            f"Evidence: [{page.key}#{page.paragraph_of(name)}] {entity.statement(name)}\nVerdict: {verdict}"
        )
    return f"{_shown([page])}\n" + "\n".join(lines)


def _report(world: World, documents: Documents, entity: Entity, draw: random.Random) -> str:
    names = _asked(entity, draw, 4)
    return (
        f"{_shown(documents[entity.id][:1])}\nTask: Report {_question(entity, names)}.\n"
        f"Report: {_cited(entity, names, documents)}"
    )
