"""Search services behind `policy.tools.search.Provider`: with a key Brave and Tavily, without one SearXNG, DuckDuckGo,
arXiv and PubMed. What they answer is read in `policy.web.replies`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import httpx

from policy.config import SearchConfig
from policy.errors import ConfigError, ToolError
from policy.sources import Source
from policy.tools.search import Found
from policy.web import replies
from policy.web.body import ACCEPTED, read_body
from policy.web.cache import DiskCache

__all__ = ["HostedProvider", "check_search"]

_HOSTS = {
    "brave": "https://api.search.brave.com",
    "tavily": "https://api.tavily.com",
    "duckduckgo": "https://html.duckduckgo.com",
    "arxiv": "https://export.arxiv.org",
    "pubmed": "https://eutils.ncbi.nlm.nih.gov",
}
_SECONDS = 20.0
_MAX_BYTES = 8 * 2**20
"""Of one answer: twenty results have a thousandth of it."""


def check_search(config: SearchConfig, api_key: str | None) -> None:
    """Raises ConfigError where the service that the settings name can't be asked."""
    if config.provider in ("brave", "tavily") and not api_key:
        raise ConfigError(f"search.api_key_env: {config.provider} needs a key in {config.api_key_env}")
    if config.provider == "searxng" and not config.base_url:
        raise ConfigError("search.base_url: the address of the SearXNG instance is missing")


class HostedProvider:
    """One service. Its address is the user's own setting, so it is not subject to the guard on fetched pages."""

    def __init__(self, config: SearchConfig, *, api_key: str | None = None, cache: DiskCache | None = None) -> None:
        check_search(config, api_key)
        self._config, self._key, self._cache = config, api_key or "", cache
        self._base = (config.base_url or _HOSTS.get(config.provider, "")).rstrip("/")
        headers = {"accept-encoding": ACCEPTED, "user-agent": "judger-agent"}
        self._client = httpx.AsyncClient(timeout=_SECONDS, trust_env=False, headers=headers)

    async def search(self, query: str, limit: int) -> Sequence[Found]:
        question = f"{self._config.provider}\0{self._config.base_url}\0{limit}\0{query}"
        sources = _kept(self._cache.get("search", question)) if self._cache is not None else None
        if sources is None:
            sources = await self._ask(query, limit)
            if self._cache is not None:
                self._cache.put("search", question, [asdict(source) for source in sources])
        return [Found(source, score=1.0 - 0.03 * place) for place, source in enumerate(sources)]

    async def _ask(self, query: str, limit: int) -> list[Source]:
        try:
            async with asyncio.timeout(_SECONDS):
                data = await self._send(self._request(query, limit))
                if self._config.provider == "pubmed":
                    ids = replies.pubmed_ids(data)
                    data = await self._send(self._abstracts(ids)) if ids else b""
            # Hostile answers may take their time to be read, and the loop has other episodes.
            return (await asyncio.to_thread(replies.read, self._config.provider, data))[:limit]
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            hint = "Wait, or send fewer queries." if status == 429 else "Work with what you have."
            raise ToolError(f"The search service answers with status {status}. {hint}") from error
        except replies.BadReply as error:
            raise ToolError(f"The search service failed: {error}. Work with what you have.") from error
        except (httpx.HTTPError, ValueError, TimeoutError) as error:
            raise ToolError(f"The search service failed: {type(error).__name__}. Work with what you have.") from error

    async def _send(self, request: httpx.Request) -> bytes:
        response = await self._client.send(request, stream=True)
        try:
            response.raise_for_status()
            return await read_body(response, _MAX_BYTES)
        finally:
            await response.aclose()

    def _request(self, query: str, limit: int) -> httpx.Request:
        match self._config.provider:
            case "brave":
                headers = {"x-subscription-token": self._key, "accept": "application/json"}
                return self._get("/res/v1/web/search", {"q": query, "count": limit}, headers)
            case "tavily":
                headers = {"authorization": f"Bearer {self._key}"}
                body = {"query": query, "max_results": limit}
                return self._client.build_request("POST", f"{self._base}/search", json=body, headers=headers)
            case "duckduckgo":
                return self._get("/html/", {"q": query})
            case "arxiv":
                return self._get("/api/query", {"search_query": f"all:{query}", "max_results": limit})
            case "pubmed":
                found = {"db": "pubmed", "retmode": "json", "term": query, "retmax": limit, "sort": "relevance"}
                return self._get("/entrez/eutils/esearch.fcgi", found)
            case _:
                return self._get("/search", {"q": query, "format": "json"})

    def _abstracts(self, ids: Sequence[str]) -> httpx.Request:
        return self._get("/entrez/eutils/efetch.fcgi", {"db": "pubmed", "retmode": "xml", "id": ",".join(ids)})

    def _get(self, path: str, parameters: dict[str, Any], headers: dict[str, str] | None = None) -> httpx.Request:
        return self._client.build_request("GET", f"{self._base}{path}", params=parameters, headers=headers)

    async def aclose(self) -> None:
        await self._client.aclose()


def _kept(rows: Any) -> list[Source] | None:
    """What the cache holds; None where it is no answer of ours."""
    fields = {"key", "title", "location", "text"}
    if not isinstance(rows, list) or not all(isinstance(row, dict) and set(row) == fields for row in rows):
        return None
    return [Source(**{name: str(value) for name, value in row.items()}) for row in rows]
