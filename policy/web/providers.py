"""Hosted search services behind `policy.tools.search.Provider`: Brave, Tavily, and any SearXNG instance."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import httpx

from policy.config import SearchConfig
from policy.errors import ConfigError, ToolError
from policy.sources import Source
from policy.tools.search import Found
from policy.web.body import ACCEPTED, read_body
from policy.web.cache import DiskCache
from policy.web.fetch import page_key
from policy.whole import whole

__all__ = ["HostedProvider"]

_BRAVE = "https://api.search.brave.com"
_TAVILY = "https://api.tavily.com"
_SECONDS = 20.0
_MAX_BYTES = 8 * 2**20
"""Of one answer: twenty results have a thousandth of it."""


class HostedProvider:
    """One service. Its address is the user's own setting, so it is not subject to the guard on fetched pages."""

    def __init__(self, config: SearchConfig, *, api_key: str | None = None, cache: DiskCache | None = None) -> None:
        if config.provider in ("brave", "tavily") and not api_key:
            raise ConfigError(f"search.api_key_env: {config.provider} needs a key in {config.api_key_env}")
        if config.provider == "searxng" and not config.base_url:
            raise ConfigError("search.base_url: the address of the SearXNG instance is missing")
        self._config, self._key, self._cache = config, api_key or "", cache
        self._client = httpx.AsyncClient(timeout=_SECONDS, trust_env=False, headers={"accept-encoding": ACCEPTED})

    async def search(self, query: str, limit: int) -> Sequence[Found]:
        question = f"{self._config.provider}\0{self._config.base_url}\0{limit}\0{query}"
        rows = self._cache.get("search", question) if self._cache is not None else None
        if rows is None:
            rows = [asdict(source) for source in await self._ask(query, limit)]
            if self._cache is not None:
                self._cache.put("search", question, rows)
        return [Found(Source(**row), score=1.0 - 0.03 * place) for place, row in enumerate(rows)]

    async def _ask(self, query: str, limit: int) -> list[Source]:
        try:
            async with asyncio.timeout(_SECONDS):
                response = await self._client.send(self._request(query, limit), stream=True)
                try:
                    response.raise_for_status()
                    data = whole(json.loads(await read_body(response, _MAX_BYTES)))
                finally:
                    await response.aclose()
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            hint = "Wait, or send fewer queries." if status == 429 else "Work with what you have."
            raise ToolError(f"The search service answers with status {status}. {hint}") from error
        except (httpx.HTTPError, ValueError, TimeoutError, RecursionError) as error:
            raise ToolError(f"The search service failed: {type(error).__name__}. Work with what you have.") from error
        return [source for row in self._rows(data)[:limit] if (source := _source(row)) is not None]

    def _request(self, query: str, limit: int) -> httpx.Request:
        base = (self._config.base_url or "").rstrip("/")
        match self._config.provider:
            case "brave":
                address = f"{base or _BRAVE}/res/v1/web/search"
                headers = {"x-subscription-token": self._key, "accept": "application/json"}
                return self._client.build_request("GET", address, params={"q": query, "count": limit}, headers=headers)
            case "tavily":
                headers = {"authorization": f"Bearer {self._key}"}
                body = {"query": query, "max_results": limit}
                return self._client.build_request("POST", f"{base or _TAVILY}/search", json=body, headers=headers)
            case _:
                return self._client.build_request("GET", f"{base}/search", params={"q": query, "format": "json"})

    def _rows(self, data: Any) -> list[Any]:
        if self._config.provider == "brave" and isinstance(data, dict):
            data = data.get("web")
        found = data.get("results") if isinstance(data, dict) else None
        return found if isinstance(found, list) else []

    async def aclose(self) -> None:
        await self._client.aclose()


def _source(row: Any) -> Source | None:
    if not isinstance(row, dict) or not isinstance(row.get("url"), str):
        return None
    text = row.get("description") or row.get("content") or ""
    title = row.get("title") or row["url"]
    return Source(f"{page_key(row['url'])}#0", str(title), row["url"], re.sub(r"</?\w+>", "", str(text)))
