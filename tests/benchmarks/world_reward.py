"""Does the judge's reward tell good reports of a generated world from corrupted ones? AUC, by kind of corruption.

    python -m tests.benchmarks.world_reward [--count 50] [--seed 7] [--addr HOST:PORT]

Good reports answer what was asked from the registry, some with a bonus. The corrupted ones are made from as many other
reports of the same tasks:

    swapped     every value is that of another thing of the same kind
    misled      the disputed value is the blog's (the one wrong value where nothing is disputed: another thing's)
    left out    half of the facts are missing
    checklist   the rubric's own criteria, copied as they stand
    stuffed     every passage of every document about the thing and the one it is taken for, cited

Without an address the built-in judge is started for it. An AUC of 1 says that every good report gets more reward than
every corrupted one, 0.5 that it is chance.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

from judger.client import Client
from judger.errors import JudgerError
from judger.types import Case
from train.access import JudgeAccess
from train.expert.model import cited
from train.tasks.draft import Card, Draft, deal
from train.tasks.judging import open_judge
from train.tasks.templates import TemplateWriter
from train.world.documents import Document, write_documents
from train.world.generate import Entity, World, generate

Documents = Mapping[str, Sequence[Document]]


@dataclass(frozen=True)
class Task:
    """A task, and the world it is of."""

    card: Card
    draft: Draft
    query: str
    world: World
    documents: Documents


def good(task: Task, draw: random.Random) -> str:
    """What was asked, from the registry; a bonus in a third of them."""
    parts = [_state(task, subject, name) for subject in task.card.subjects for name in task.card.asked]
    first = task.card.subjects[0]
    if draw.random() < 0.33 and "town" not in task.card.asked:
        parts.append(_state(task, first, "town"))
    return " ".join(parts)


def swapped(task: Task, draw: random.Random) -> str:
    parts = []
    for subject in task.card.subjects:
        other = _other(task, subject, draw)
        parts += [_state(task, subject, name, _differing(task, subject, name, other, draw)) for name in task.card.asked]
    return " ".join(parts)


def misled(task: Task, draw: random.Random) -> str:
    first = task.card.subjects[0]
    wrong = task.card.contested or draw.choice(task.card.asked)
    value = first.false_value if task.card.contested else _differing(task, first, wrong, first, draw)
    return " ".join(
        _state(task, subject, name, value if (subject.id, name) == (first.id, wrong) else "")
        for subject in task.card.subjects
        for name in task.card.asked
    )


def left_out(task: Task, draw: random.Random) -> str:
    facts = [(subject, name) for subject in task.card.subjects for name in task.card.asked]
    return " ".join(_state(task, *fact) for fact in draw.sample(facts, len(facts) // 2))


def checklist(task: Task, draw: random.Random) -> str:
    return "\n".join(f"- {criterion.text}" for criterion in task.draft.criteria)


def stuffed(task: Task, draw: random.Random) -> str:
    things = [*task.card.subjects, *([task.card.rival] if task.card.rival else [])]
    return " ".join(
        cited(text, f"{document.key}#{number}")
        for thing in things
        for document in task.documents[thing.id]
        for number, text in enumerate(document.paragraphs, 1)
    )


CORRUPTIONS: dict[str, Callable[[Task, random.Random], str]] = {
    "swapped": swapped, "misled": misled, "left out": left_out, "checklist": checklist, "stuffed": stuffed,
}  # fmt: skip


def _state(task: Task, subject: Entity, name: str, value: str = "") -> str:
    page = task.documents[subject.id][0]
    return cited(subject.statement(name, value=value), f"{page.key}#{page.paragraph_of(name)}")


def _other(task: Task, subject: Entity, draw: random.Random) -> Entity:
    some = [entity for entity in task.world.structures if entity.kind == subject.kind and entity.id != subject.id]
    return draw.choice(some)


def _differing(task: Task, subject: Entity, name: str, other: Entity, draw: random.Random) -> str:
    while other.facts[name] == subject.facts[name]:
        other = _other(task, subject, draw)
    return other.facts[name]


async def make_tasks(count: int, seed: int) -> list[Task]:
    """That many tasks of one world by the template writer, those that the role check drops left out."""
    world, writer = generate(seed, structures=96), TemplateWriter()
    documents = write_documents(world)
    tasks: list[Task] = []
    for card in deal(world, 2 * count, label="reward"):
        draft = await writer.draft(card)
        query = await writer.query(card, draft)
        roles = [assessment.role for assessment in await writer.reassess(query, card, draft)]
        if roles == [criterion.role for criterion in draft.criteria]:
            tasks.append(Task(card, draft, query, world, documents))
    return tasks[:count]


async def rewards(judge: Client, reports: Sequence[tuple[Task, str]]) -> list[float]:
    """The strict reward of each report. Raises RuntimeError where a criterion was not scored."""

    async def cases() -> AsyncIterator[Case]:
        for number, (task, report) in enumerate(reports):
            yield Case(id=str(number), query=task.query, report=report, criteria=task.draft.criteria)

    values: dict[int, float] = {}
    async for index, answer in judge.judge_stream(cases()):
        if isinstance(answer, JudgerError):
            raise answer
        if answer.reward.value is None:
            raise RuntimeError(f"report {index} was not scored")
        values[index] = answer.reward.value
    return [values[index] for index in range(len(reports))]


def auc(better: Sequence[float], worse: Sequence[float]) -> float:
    """The chance that one of `better` exceeds one of `worse`; ties count half."""
    won = sum((a > b) + 0.5 * (a == b) for a in better for b in worse)
    return won / (len(better) * len(worse))


async def measure(judge: Client, count: int, seed: int) -> dict[str, dict[str, float]]:
    """For each kind and for all: AUC against the good reports, mean reward, number."""
    tasks = await make_tasks(count, seed)
    draw = random.Random(f"reports {seed}")
    names = list(CORRUPTIONS)
    kinds = ["good"] * len(tasks) + [names[number % len(names)] for number in range(len(tasks))]
    reports = [(task, good(task, draw)) for task in tasks]
    reports += [(task, CORRUPTIONS[names[number % len(names)]](task, draw)) for number, task in enumerate(tasks)]
    values = await rewards(judge, reports)
    by_kind = {
        kind: [value for value, name in zip(values, kinds, strict=True) if name == kind] for kind in ("good", *names)
    }
    bad = [value for name in names for value in by_kind[name]]
    figures = {"good": {"mean": _mean(by_kind["good"]), "n": len(by_kind["good"])}}
    for name, some in {**{name: by_kind[name] for name in names}, "all corrupted": bad}.items():
        figures[name] = {"auc": round(auc(by_kind["good"], some), 3), "mean": _mean(some), "n": len(some)}
    return figures


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 3)


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--addr")
    arguments = parser.parse_args()
    async with open_judge(JudgeAccess(address=arguments.addr) if arguments.addr else None) as judge:
        figures = await measure(judge, arguments.count, arguments.seed)
    for name, row in figures.items():
        print(json.dumps({"reports": name, **row}))


if __name__ == "__main__":
    asyncio.run(_main())
