"""Conversations with tool calls for mid-training stage II: page questions, multi-hop search, summaries, plain dialogue.

They are made by the real agent with its real tools, and answer in a sentence: the cited report is left to SFT. Several
are joined into one long conversation (Step-DeepResearch, arXiv 2512.20491, sections 3 and 4).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy.config import Settings
from policy.kit import open_shared
from policy.model import Completion, Message
from policy.models.scripted import ScriptedModel, calls, says
from policy.runs import Run, run_episode
from policy.trajectory import record_of
from policy.workspace.removal import discard
from train.expert.capabilities import walk
from train.expert.datasets import chat_message
from train.world.documents import Document
from train.world.generate import Entity, World

__all__ = ["Drill", "make_drills", "run_drills"]

KINDS = ("page", "search", "hop", "summary", "mistake", "dialogue")


@dataclass(frozen=True, slots=True)
class Drill:
    """A query and the replies to it."""

    kind: str
    query: str
    replies: tuple[Completion, ...]


def make_drills(world: World, documents: Mapping[str, Sequence[Document]], count: int, seed: int) -> list[Drill]:
    """That many, the kinds in turn."""
    draw = random.Random(f"drills {world.seed} {seed}")
    return [
        _drill(KINDS[number % len(KINDS)], world, documents, draw.choice(world.structures), draw)
        for number in range(count)
    ]


def _drill(
    kind: str, world: World, documents: Mapping[str, Sequence[Document]], entity: Entity, draw: random.Random
) -> Drill:
    page = documents[entity.id][0]
    name = draw.choice(list(entity.facts))
    ask = entity.attribute(name).ask.format(it=entity.called)
    open_page = calls(("open", {"targets": [page.key]}))
    search = calls(("search", {"queries": [entity.called]}))
    answer = says(entity.statement(name))
    match kind:
        case "page":
            return Drill(kind, f"Open {page.key} and say {ask}.", (open_page, answer))
        case "search":
            return Drill(kind, f"Say in one sentence {ask}.", (search, open_page, answer))
        case "summary":
            number = page.paragraph_of(name)
            return Drill(kind, f"What does {page.key}#{number} say?", (
                calls(("open", {"targets": [f"{page.key}#{number}"]})), says(page.paragraphs[number - 1])))  # fmt: skip
        case "mistake":
            slip = calls(("open", {"targets": [entity.id]}))
            return Drill(kind, f"Say in one sentence {ask}.", (slip, search, open_page, answer))
        case "dialogue":
            return Drill(kind, f"{entity.statement(name)} Say {ask}.", (answer,))
    edges = [edge for edge in walk(world, entity.id) if edge[0] == entity.id]
    _, link, target = draw.choice(edges)
    other = world.entities[target]
    wanted = draw.choice(list(other.facts))
    hidden = {"designer": "the designer", "town": "the town"}[link]
    query = f"Say {other.attribute(wanted).ask.format(it=f'{hidden} of {entity.called}')}."
    next_page = calls(("open", {"targets": [documents[target][0].key]}))
    return Drill(
        "hop", query, (search, open_page, next_page, says(f"{entity.statement(link)} {other.statement(wanted)}"))
    )


async def run_drills(
    drills: Sequence[Drill],
    settings: Settings,
    work: Path,
    *,
    seed: int,
    longest: int = 3,
    on_done: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """Rows {"messages", "tools", "kind", "source"}, each of one to `longest` drills in one conversation.

    Raises RuntimeError where an episode did not end as its drill says: the world and its tools disagree.
    """
    slots = asyncio.Semaphore(8)
    async with open_shared(settings) as shared:

        async def one(number: int, drill: Drill) -> tuple[list[Message], str]:
            async with slots:
                episode = await run_episode(
                    Run(work / str(number)), drill.query, lambda *_: ScriptedModel(drill.replies), shared, settings
                )
            on_done()
            record = record_of(episode)
            if record["status"] != "done":
                raise RuntimeError(f"{drill.kind}: {drill.query}: {record['reason']}")
            return record["messages"], record["tools"]

        try:
            done = await asyncio.gather(*(one(number, drill) for number, drill in enumerate(drills)))
        finally:
            discard(work)
    draw, rows, start = random.Random(f"joined {seed}"), [], 0
    while start < len(drills):
        size = draw.randint(1, longest)
        some = range(start, min(start + size, len(drills)))
        messages = [done[some[0]][0][0]]
        for number in some:
            messages += done[number][0][1:]
        rows.append({
            "messages": [chat_message(message) for message in messages],
            "tools": done[some[0]][1],
            "kind": "+".join(drills[number].kind for number in some),
        })  # fmt: skip
        start += size
    return rows
