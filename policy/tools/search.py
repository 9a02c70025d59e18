"""`search`: several queries at once over one provider, the local index or a hosted service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from policy.errors import ToolError
from policy.index.store import LocalIndex
from policy.sources import Source
from policy.tools.base import Result

__all__ = ["Found", "IndexProvider", "Provider", "SearchTool"]


@dataclass(frozen=True, slots=True)
class Found:
    """One result: what a report may cite, and how relevant the provider finds it."""

    source: Source
    heading: str = ""
    score: float = 0.0


class Provider(Protocol):
    """Answers one query. Raises ToolError with what the model can do about it."""

    async def search(self, query: str, limit: int) -> Sequence[Found]: ...


class IndexProvider:
    """The local index."""

    def __init__(self, index: LocalIndex) -> None:
        self._index = index

    async def search(self, query: str, limit: int) -> Sequence[Found]:
        if self._index.is_dense:
            hits = await asyncio.to_thread(self._index.search, query, limit)
        else:
            hits = self._index.search(query, limit)  # about a millisecond; a hop to a thread takes as long
        return [
            Found(Source(p.key, p.title, p.location, p.text), p.heading, hit.score)
            for hit in hits
            for p in (hit.passage,)
        ]


class SearchTool:
    """Batches queries, and shows a passage once however many queries find it."""

    def __init__(
        self,
        provider: Provider,
        *,
        order: Callable[[Sequence[Found]], Sequence[Found]] = lambda found: found,
        max_queries: int = 8,
        max_results: int = 20,
        snippet_chars: int = 600,
    ) -> None:
        self._provider = provider
        self._order = order
        self._max_queries = max_queries
        self._max_results = max_results
        self._snippet_chars = snippet_chars

    async def search(self, queries: list[str], results: int = 5) -> Result:
        """Search the sources. Ask several different queries at once; each result shows the key to cite or open it by.

        Args:
            queries: One to eight queries, in English or Chinese.
            results: Passages for each query, at most 20.
        """
        wanted = list(dict.fromkeys(query.strip() for query in queries if query.strip()))
        if not wanted:
            raise ToolError("There is no query. Send at least one.")
        if len(wanted) > self._max_queries:
            raise ToolError(f"{len(wanted)} queries are too many at once; send at most {self._max_queries}.")
        limit = max(1, min(results, self._max_results))
        answers = await asyncio.gather(*(self._ask(query, limit) for query in wanted))
        if all(isinstance(answer, ToolError) for answer in answers):
            raise ToolError("\n".join(str(answer) for answer in answers))
        parts: list[str] = []
        sources: dict[str, Source] = {}
        for query, answer in zip(wanted, answers, strict=True):
            parts.append(f"## {query}")
            if isinstance(answer, ToolError):
                parts.append(str(answer))
            elif not answer:
                parts.append("Nothing found. Try other or fewer words.")
            else:
                parts.extend(self._show(found, found.source.key in sources) for found in answer)
                sources.update((found.source.key, found.source) for found in answer)
        return Result("\n\n".join(parts), tuple(sources.values()))

    async def _ask(self, query: str, limit: int) -> Sequence[Found] | ToolError:
        try:
            return self._order(await self._provider.search(query, limit))
        except ToolError as error:
            return error

    def _show(self, found: Found, is_shown: bool) -> str:
        source = found.source
        head = f"[{source.key}] {source.title}" + (f", {found.heading}" if found.heading else "")
        if source.location.startswith(("http://", "https://")):
            head += f" ({source.location})"  # what `open` takes of a page that is not in the index
        if is_shown:
            return f"{head} (see above)"
        text = source.text
        if len(text) > self._snippet_chars:
            text = text[: self._snippet_chars].rstrip() + " ..."
        return f"{head}\n{text}"
