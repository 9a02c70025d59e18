"""Hosted search services, played by a loopback server."""

from __future__ import annotations

import gzip
import json

import pytest

from policy.config import SearchConfig
from policy.errors import ConfigError, ToolError
from policy.web.cache import DiskCache
from policy.web.providers import HostedProvider

ROWS = [
    {"title": "A", "url": "https://a.org/x", "description": "About <strong>mills</strong>", "content": "About mills"},
    {"title": "bad"},
]


@pytest.mark.parametrize("provider", ["brave", "tavily", "searxng"])
async def test_results_become_citable_sources_and_are_asked_for_once(provider, loopback, tmp_path):
    reply = {"web": {"results": ROWS}} if provider == "brave" else {"results": ROWS}
    server = loopback(lambda _: (200, {"content-type": "application/json"}, json.dumps(reply).encode()))
    config = SearchConfig(provider=provider, base_url=server.url)
    service = HostedProvider(config, api_key="secret", cache=DiskCache(tmp_path, seconds=60))
    first, second = await service.search("mills", 5), await service.search("mills", 5)
    assert first == second
    assert [(f.source.key, f.source.text) for f in first] == [("a.org-x#0", "About mills")]
    (request,) = server.requests
    assert "mills" in request.path + request.body.decode()
    assert ("secret" in str(request.headers)) == (provider != "searxng")
    assert not any("secret" in path.read_text() for path in tmp_path.rglob("*.json"))
    await service.aclose()


@pytest.mark.parametrize(
    ("status", "body", "says"), [(429, b"{}", "fewer queries"), (500, b"", "500"), (200, b"<", "failed")]
)
async def test_failures_tell_the_model_what_to_do(status, body, says, loopback):
    server = loopback(lambda _: (status, {}, body))
    service = HostedProvider(SearchConfig(provider="searxng", base_url=server.url))
    with pytest.raises(ToolError, match=says):
        await service.search("x", 5)
    await service.aclose()


async def test_an_answer_that_unpacks_to_more_than_any_answer_has_is_refused(loopback):
    bomb = gzip.compress(bytes(64 * 2**20))
    server = loopback(lambda _: (200, {"content-encoding": "gzip"}, bomb))
    service = HostedProvider(SearchConfig(provider="searxng", base_url=server.url))
    with pytest.raises(ToolError, match="BodyTooLarge"):
        await service.search("x", 5)
    await service.aclose()


def test_a_missing_key_or_address_is_refused_before_any_request():
    with pytest.raises(ConfigError, match="SEARCH_API_KEY"):
        HostedProvider(SearchConfig(provider="brave"))
    with pytest.raises(ConfigError, match="base_url"):
        HostedProvider(SearchConfig(provider="searxng"))
