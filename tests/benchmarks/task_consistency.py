"""What the judge of consistency lets through: good tasks, queries of another thing, summaries with a flaw in them.

    python -m tests.benchmarks.task_consistency [--addr HOST:PORT] [--count 50] [--seed 6]

The roles are taken as drafted, so that only the judge stands between a wrong sample and the tasks.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from judger.client import Client
from train.access import JudgeAccess
from train.tasks.draft import Assessment, Card, Draft, deal
from train.tasks.funnel import Funnel, show
from train.tasks.judging import open_judge
from train.tasks.synthesis import synthesise
from train.tasks.templates import TemplateWriter
from train.world.generate import generate


@dataclass(slots=True)
class Wrong:
    """The template writer with a fault in what it writes."""

    spoil: Callable[[Card, Draft, str], tuple[Draft, str]]
    name: str = "wrong"
    kept: dict[str, tuple[Draft, str]] = field(default_factory=dict)

    async def draft(self, card: Card) -> Draft:
        made = await TemplateWriter().draft(card)
        self.kept[card.id] = self.spoil(card, made, await TemplateWriter().query(card, made))
        return self.kept[card.id][0]

    async def query(self, card: Card, draft: Draft) -> str:
        return self.kept[card.id][1]

    async def reassess(self, query: str, card: Card, draft: Draft) -> Sequence[Assessment]:
        return [Assessment(item.criterion.role, "As drafted.") for item in draft.items]


async def measure(judge: Client, count: int, seed: int) -> list[Funnel]:
    """A funnel of each kind of sample."""
    world, writer = generate(seed, structures=96), TemplateWriter()
    cards = [card for card in deal(world, 2 * count, label="x") if len(card.subjects) == 1][:count]
    queries = [await writer.query(card, await writer.draft(card)) for card in cards]
    places = {card.id: place for place, card in enumerate(cards)}

    def right(card: Card, draft: Draft, query: str) -> tuple[Draft, str]:
        return draft, query

    def another(card: Card, draft: Draft, query: str) -> tuple[Draft, str]:
        return draft, queries[(places[card.id] + 1) % count]

    def flawed(card: Card, draft: Draft, query: str) -> tuple[Draft, str]:
        subject = card.subjects[0]
        wrong = subject.statement(subject.contested, value=subject.false_value)
        return replace(draft, summary=f"{draft.summary} {wrong}"), query

    funnels = []
    for name, spoil in (("good", right), ("query of another thing", another), ("summary with a flaw", flawed)):
        funnels.append(Funnel(name))
        await synthesise(cards, Wrong(spoil), judge, funnels[-1])
    return funnels


async def _main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--addr", metavar="HOST:PORT", help="the judge (default: the built-in one)")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=6)
    arguments = parser.parse_args()
    access = JudgeAccess(address=arguments.addr) if arguments.addr else None
    async with open_judge(access) as judge:
        show(await measure(judge, arguments.count, arguments.seed))


if __name__ == "__main__":
    asyncio.run(_main())
