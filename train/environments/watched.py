"""A model that remembers whether its window was what ended an episode."""

from __future__ import annotations

from collections.abc import Sequence

from policy.errors import ContextFull
from policy.model import Completion, Message, Model, Schema

__all__ = ["Watched"]


class Watched:
    """A `policy.model.Model` around another. `is_full`: whether its last reply was refused for want of room."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.is_full = False

    @property
    def name(self) -> str:
        return self._model.name

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        self.is_full = False
        try:
            return await self._model.complete(messages, tools, max_tokens=max_tokens, use_tools=use_tools)
        except ContextFull:
            self.is_full = True
            raise
