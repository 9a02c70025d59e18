"""Which paragraphs of a long document have to do with a goal: by their words, or as a model reads them.

What is shown are the document's own paragraphs either way, so that nothing can be cited that it does not say.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import re
from collections.abc import Sequence
from typing import Protocol

from policy import bundled
from policy.context import clean
from policy.errors import ModelError, ToolError
from policy.index.store import Passage
from policy.index.tokens import query_terms
from policy.model import Model

__all__ = ["ModelPicker", "Picker", "by_words", "ranked"]

_LONG = 100_000
_PART_CHARS = 30_000
_MOST_PARTS = 6
"""Of a longer document, the paragraphs that have most of the goal's words are read."""
_MOST_PICKED = 40
_REPLY_TOKENS = 4096
"""Some models think before they say ten numbers."""
_LIST = re.compile(r"\[[\d,\s]{0,400}\]")
_TICKS = re.compile(r"`+")


class Picker(Protocol):
    """Picks paragraphs. Raises ToolError where it can't."""

    async def pick(self, goal: str, passages: Sequence[Passage]) -> list[Passage]: ...


def by_words(passages: Sequence[Passage], goal: str, room: int) -> list[Passage]:
    """The paragraphs with most of the goal's words, rare words counting more, in the document's order: as many as have
    `room` characters."""
    terms = set(query_terms(goal))
    having = [terms.intersection(query_terms(f"{p.heading} {p.text}"[:4000])) for p in passages]
    weight = {term: math.log(1 + len(passages) / sum(term in one for one in having)) for one in having for term in one}
    order = sorted(range(len(passages)), key=lambda n: (-sum(weight[term] for term in having[n]), n))
    chosen: list[int] = []
    for number in order:
        if chosen and (not having[number] or len(passages[number].text) > room):
            break
        chosen.append(number)
        room -= len(passages[number].text)
    return [passages[number] for number in sorted(chosen)]


async def ranked(passages: Sequence[Passage], goal: str, room: int) -> list[Passage]:
    """`by_words`, in a thread where it takes long: a book takes seconds."""
    if sum(len(p.text) for p in passages) > _LONG:
        return await asyncio.to_thread(by_words, passages, goal, room)
    return by_words(passages, goal, room)


class ModelPicker:
    """A chat model that reads the paragraphs, in parts at the same time, within so many seconds."""

    def __init__(self, model: Model, *, seconds: float) -> None:
        self._model, self._seconds = model, seconds

    async def pick(self, goal: str, passages: Sequence[Passage]) -> list[Passage]:
        """The paragraphs that the model names, in the document's order; none where it finds none."""
        most = _PART_CHARS * _MOST_PARTS
        if sum(len(p.text) for p in passages) > most:
            passages = await ranked(passages, goal, most)
        try:
            async with asyncio.timeout(self._seconds), asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._of(goal, part)) for part in _parts(passages)]
        except TimeoutError as error:
            raise ToolError(f"it did not answer within {self._seconds:g} s") from error
        except BaseExceptionGroup as errors:
            known, others = errors.split((ModelError, ToolError))
            if known is None or others is not None:
                raise
            raise ToolError(str(known.exceptions[0])[:300]) from errors
        return [passage for task in tasks for passage in task.result()]

    async def _of(self, goal: str, passages: Sequence[Passage]) -> list[Passage]:
        shown = "\n\n".join(f"{n}. {clean(p.text)}" for n, p in enumerate(passages, 1))
        longest = max((len(run.group()) for run in _TICKS.finditer(shown)), default=0)
        prompt = bundled.prompt("pick.txt").format(
            goal=" ".join(goal.split()), fence="`" * max(3, longest + 1), paragraphs=shown, most=_MOST_PICKED
        )
        reply = await self._model.complete([{"role": "user", "content": prompt}], (), max_tokens=_REPLY_TOKENS)
        found = _LIST.findall(reply.content)
        try:
            numbers = json.loads(found[-1]) if found else None
        except ValueError:
            numbers = None
        if numbers is None:
            raise ToolError(f"it names no paragraphs, it says {reply.content.strip()[:80]!r}")
        wanted = {number for number in numbers[:_MOST_PICKED] if 1 <= number <= len(passages)}
        return [passage for n, passage in enumerate(passages, 1) if n in wanted]


def _parts(passages: Sequence[Passage]) -> list[list[Passage]]:
    ends = itertools.accumulate(len(p.text) for p in passages)
    numbered = [(end // _PART_CHARS, p) for end, p in zip(ends, passages, strict=True)]
    return [[p for _, p in part] for _, part in itertools.groupby(numbered, key=lambda pair: pair[0])]
