"""`search`: several queries at once over one provider, the local index or a hosted service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from policy.errors import ToolError
from policy.index.store import LocalIndex
from policy.sources import Source
from policy.tools.base import Result

__all__ = ["Found", "IndexProvider", "Provider", "Rank", "SearchTool"]


@dataclass(frozen=True, slots=True)
class Found:
    """One result: what a report may cite, and how relevant the provider finds it."""

    source: Source
    heading: str = ""
    score: float = 0.0


Rank = Callable[[Sequence[str], Sequence[str]], Sequence[float]]
"""(queries, texts) -> how well each text answers any of the queries, higher is better."""


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
        rank: Rank | None = None,
    ) -> None:
        self._provider = provider
        self._order = order
        self._max_queries = max_queries
        self._max_results = max_results
        self._snippet_chars = snippet_chars
        self._rank = rank

    async def search(self, queries: list[str], results: int = 5, together: bool = False) -> Result:
        """Search the sources. Ask several different queries at once; each result shows the key to cite or open it by.

        Args:
            queries: One to eight queries, in English or Chinese.
            results: Passages for each query, at most 20.
            together: Whether all queries ask for one thing in several ways: one list, the best of all, is shown.
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
        if together and len(wanted) > 1:
            pairs = list(zip(wanted, answers, strict=True))
            failed = [f"{query}: {answer}" for query, answer in pairs if isinstance(answer, ToolError)]
            best = await self._best(wanted, [answer for _, answer in pairs if not isinstance(answer, ToolError)], limit)
            shown = [self._show(found, False) for found in best] or ["Nothing found. Try other or fewer words."]
            return Result("\n\n".join([*failed, *shown]), tuple(found.source for found in best))
        for query, every in zip(wanted, answers, strict=True):
            answer = every if isinstance(every, ToolError) else every[:limit]
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
            # More than are shown, so that a source of authority just below the cut is there to be raised.
            return self._order(await self._provider.search(query, min(2 * limit, limit + 20)))
        except ToolError as error:
            return error

    async def _best(self, queries: Sequence[str], answers: Sequence[Sequence[Found]], limit: int) -> Sequence[Found]:
        """The best of several answers: by meaning where there is an encoder, else by their places in the lists."""
        every: dict[str, Found] = {}
        places: dict[str, float] = {}
        for answer in answers:
            for place, found in enumerate(answer):
                every.setdefault(found.source.key, found)
                # Reciprocal rank fusion (Cormack et al. 2009), with their 60.
                places[found.source.key] = places.get(found.source.key, 0.0) + 1 / (60 + place)
        found = list(every.values())
        scores = list(places.values())
        if self._rank is not None and found:
            texts = [f"{one.source.title}. {one.source.text}" for one in found]
            scores = await asyncio.to_thread(self._rank, queries, texts)
        scored = [replace(one, score=score) for one, score in zip(found, scores, strict=True)]
        return self._order(sorted(scored, key=lambda one: -one.score))[:limit]

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
