"""Pairs of reports before a judge: many at a time, answers in the order of the questions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from judger.cli.session import Session
from judger.errors import DeadlineExceeded, EngineError, InvalidRequest, JudgerError, Overloaded, TooLarge, Unsupported
from judger.pairwise import Comparison
from judger.types import Criterion, Lane, Mapping, Score

__all__ = ["Duel", "answers", "check_compares", "compared", "in_order", "quality"]

AT_ONCE = 32
OF_ONE = (DeadlineExceeded, EngineError, InvalidRequest, Overloaded, TooLarge)
"""Errors that say nothing of the next question."""

Item = TypeVar("Item")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """One question: which of two reports on a query is better. With criteria by their rewards, else by a prompt."""

    id: str
    query: str
    a: str
    b: str
    criteria: tuple[Criterion, ...] = ()
    language: str = ""


def check_compares(session: Session) -> None:
    """Raises Unsupported where the judge has no pairwise prompt."""
    if not session.info.can_compare:
        raise Unsupported(
            f"this judge ({session.info.engine}) has no pairwise prompt: it compares by criteria only. "
            "Engines that have one: torch, openai"
        )


def answers(
    session: Session, duels: Iterable[Duel], *, mapping: Mapping = Mapping.STRICT, lane: Lane = Lane.BULK
) -> AsyncGenerator[Comparison | JudgerError, None]:
    """A comparison for each, or why there is none. Raises what concerns them all: Unavailable, Unsupported."""
    return in_order(duels, partial(compared, session, mapping=mapping, lane=lane))


async def compared(session: Session, duel: Duel, *, mapping: Mapping, lane: Lane) -> Comparison | JudgerError:
    """The judge's answer to one question, or why there is none. Raises what concerns them all."""
    try:
        return await session.client.compare(
            duel.query,
            duel.a,
            duel.b,
            duel.criteria,
            request_id=duel.id,
            language=duel.language,
            timeout=session.timeout,
            mapping=mapping,
            lane=lane,
        )
    except OF_ONE as error:
        return error


async def quality(session: Session, duel: Duel, criterion: str, *, lane: Lane) -> float | None:
    """How far both reports satisfy a criterion, in [0, 1], in their mean; None where one has no verdict on it."""
    levels = []
    for report in (duel.a, duel.b):
        try:
            judgement = await session.client.judge(
                duel.query, report, [criterion], language=duel.language, timeout=session.timeout, lane=lane
            )
        except OF_ONE:
            return None
        score = judgement.verdicts[0].result
        if not isinstance(score, Score):
            return None
        levels.append(score.p_full + score.p_partial / 2)
    return sum(levels) / 2


async def in_order(items: Iterable[Item], ask: Callable[[Item], Coroutine[Any, Any, T]]) -> AsyncGenerator[T, None]:
    """What `ask` makes of each, many at a time."""
    running: deque[asyncio.Task[T]] = deque()
    try:
        for item in items:
            running.append(asyncio.create_task(ask(item)))
            if len(running) >= AT_ONCE:
                yield await running.popleft()
        while running:
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
