"""The interface behind the synthesis: who writes summary and rubric, then the query, then looks at the roles again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from train.tasks.draft import Assessment, Card, Draft

__all__ = ["Unwritten", "Writer"]


class Unwritten(Exception):
    """A writer gave nothing that can be read; the sample is dropped with this reason."""


class Writer(Protocol):
    """Templates (`train.tasks.templates`) or a chat model (`train.tasks.chat`).

    Each method may raise Unwritten, and ModelAway where no other prompt would fare better: the run ends then.
    """

    @property
    def name(self) -> str: ...

    async def draft(self, card: Card) -> Draft:
        """Step one: a hidden summary and fine-grained criteria with weight and role."""
        ...

    async def query(self, card: Card, draft: Draft) -> str:
        """Step two: a user's query that asks for the explicit criteria and for no other."""
        ...

    async def reassess(self, query: str, card: Card, draft: Draft) -> Sequence[Assessment]:
        """The role of each criterion for that query, as if it were read for the first time, with a reason."""
        ...
