"""The interface behind the synthesis: who writes summary and rubric, then the query, then looks at the roles again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from train.tasks.draft import Assessment, Draft, Named

__all__ = ["Unwritten", "Writer"]

N = TypeVar("N", bound=Named, contravariant=True)


class Unwritten(Exception):
    """A writer gave nothing that can be read; the sample is dropped with this reason."""


class Writer(Protocol[N]):
    """Of cards: templates (`train.tasks.templates`), a chat model (`train.tasks.chat`); of briefs: `train.synth.tasks`.

    Each method may raise Unwritten, and ModelAway where no other prompt would fare better: the run ends then.
    """

    @property
    def name(self) -> str: ...

    async def draft(self, card: N) -> Draft:
        """Step one: a hidden summary and fine-grained criteria with weight and role."""
        ...

    async def query(self, card: N, draft: Draft) -> str:
        """Step two: a user's query that asks for the explicit criteria and for no other."""
        ...

    async def reassess(self, query: str, card: N, draft: Draft) -> Sequence[Assessment]:
        """The role of each criterion for that query, as if it were read for the first time, with a reason."""
        ...
