"""A cache of identical queries for all episodes of a process (Step-DeepResearch, arXiv 2512.20491, section 4)."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from policy.model import Schema, ToolCall
from policy.tools.base import ToolAnswer, Toolbox

__all__ = ["ToolCache"]

_PURE = frozenset({"search", "open"})
"""The tools whose answer follows from their arguments alone."""


class ToolCache:
    """Outcomes of identical queries: the first answer stands, the least recently used goes. Errors are not kept."""

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
        self._kept: OrderedDict[tuple[str, str], ToolAnswer] = OrderedDict()
        # Held by whoever asks; the others with the same query wait for its answer instead of asking too.
        self._asking: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self.hits = 0

    def of(self, tools: Toolbox) -> _Cached:
        """The tools of an episode behind this cache."""
        return _Cached(tools, self)

    def get(self, key: tuple[str, str]) -> ToolAnswer | None:
        found = self._kept.get(key)
        if found is not None:
            self.hits += 1
            self._kept.move_to_end(key)
        return found

    async def answer(self, key: tuple[str, str], ask: Callable[[], Awaitable[ToolAnswer]]) -> ToolAnswer:
        """What is kept for the key, or what `ask` gives, which is kept unless it is an error."""
        asking = self._asking.setdefault(key, asyncio.Lock())
        async with asking:
            outcome = self.get(key)
            if outcome is None:
                outcome = await ask()
                if not outcome.is_error:
                    self.put(key, outcome)
            return outcome

    def put(self, key: tuple[str, str], outcome: ToolAnswer) -> None:
        self._kept[key] = outcome
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)


@dataclass(slots=True)
class _Cached:
    """A toolbox behind a cache."""

    tools: Toolbox
    cache: ToolCache
    schemas: list[Schema] = field(init=False)

    def __post_init__(self) -> None:
        self.schemas = self.tools.schemas

    def only_reads(self, call: ToolCall) -> bool:
        return self.tools.only_reads(call)

    async def call(self, call: ToolCall) -> ToolAnswer:
        if call.name not in _PURE:
            return await self.tools.call(call)
        return await self.cache.answer((call.name, _canonical(call.arguments)), lambda: self.tools.call(call))


def _canonical(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments
