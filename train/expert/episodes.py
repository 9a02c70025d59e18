"""The expert's episodes, run by the real agent with its real tools over a world's index."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from policy.config import Settings
from policy.kit import open_shared
from policy.runs import Run, run_episode
from policy.trajectory import record_of
from policy.workspace.removal import discard
from train.expert.clean import Attempt
from train.expert.model import Expert, Habits, draw_habits
from train.tasks.draft import Card
from train.world.documents import Document

__all__ = ["attempt_tasks"]


async def attempt_tasks(
    tasks: Sequence[tuple[Card, str]],
    documents: Mapping[str, Sequence[Document]],
    settings: Settings,
    work: Path,
    *,
    attempts: int = 2,
    habits: Callable[[random.Random], Habits] = draw_habits,
    concurrency: int = 8,
    on_done: Callable[[], None] = lambda: None,
) -> list[Attempt[Card]]:
    """Each (card, query) that many times, in order. `work` holds the episodes' workspaces and is taken away after."""
    slots = asyncio.Semaphore(concurrency)
    async with open_shared(settings) as shared:

        async def one(card: Card, query: str, number: int) -> Attempt[Card]:
            expert = Expert(card, documents, habits(random.Random(f"{card.id} attempt {number}")))
            async with slots:
                run = Run(work / f"{card.id}-{number}")
                episode = await run_episode(run, query, lambda *_: expert, shared, settings, task=card.id)
            on_done()
            # Time and the random id would make two runs of one seed differ.
            record = {**record_of(episode), "id": f"{card.id}/{number}", "time": 0.0}
            return Attempt(card, record)

        try:
            waiting = [one(card, query, number) for card, query in tasks for number in range(attempts)]
            return list(await asyncio.gather(*waiting))
        finally:
            discard(work)
