"""Pairs of reports before a judge: many at a time, answers in the order of the questions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass

from judger.cli.session import Session
from judger.errors import DeadlineExceeded, EngineError, InvalidRequest, JudgerError, Overloaded, TooLarge, Unsupported
from judger.pairwise import Comparison
from judger.types import Criterion, Lane, Mapping

__all__ = ["Duel", "answers", "check_compares"]

AT_ONCE = 32


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


async def answers(
    session: Session, duels: Iterable[Duel], *, mapping: Mapping = Mapping.STRICT, lane: Lane = Lane.BULK
) -> AsyncGenerator[Comparison | JudgerError, None]:
    """A comparison for each, or why there is none. Raises what concerns them all: Unavailable, Unsupported."""

    async def ask(duel: Duel) -> Comparison | JudgerError:
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
        except Unsupported:
            raise
        except (DeadlineExceeded, EngineError, InvalidRequest, Overloaded, TooLarge) as error:
            return error

    running: deque[asyncio.Task[Comparison | JudgerError]] = deque()
    try:
        for duel in duels:
            running.append(asyncio.create_task(ask(duel)))
            if len(running) >= AT_ONCE:
                yield await running.popleft()
        while running:
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
