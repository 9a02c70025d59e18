"""Hosted search services, played by a loopback server."""

from __future__ import annotations

import gzip
import json

import pytest

from policy.config import SearchConfig
from policy.errors import ConfigError, ToolError
from policy.tools.search import SearchTool
from policy.web.cache import DiskCache
from policy.web.providers import HostedProvider
from tests.policy.web.recorded import ARTICLES, ATOM, DUCK, IDS

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


@pytest.mark.parametrize("provider", ["brave", "tavily", "searxng", "pubmed"])
@pytest.mark.parametrize("reply", ["[]", '"text"', "null", "3", "{}", '{"results": "x"}', '{"web": []}', "[" * 9000])
async def test_a_reply_of_another_shape_fails_one_query_and_is_never_nothing_found(provider, reply, loopback):
    server = loopback(lambda _: (200, {}, reply.encode()))
    service = HostedProvider(SearchConfig(provider=provider, base_url=server.url), api_key="k")
    with pytest.raises(ToolError, match="search service failed"):
        await service.search("x", 5)
    await service.aclose()


async def test_one_failed_query_leaves_the_others(loopback):
    def answer(request):
        body = b"null" if "bad" in request.path else json.dumps({"results": ROWS[:1]}).encode()
        return 200, {}, body

    service = HostedProvider(SearchConfig(provider="searxng", base_url=loopback(answer).url))
    result = await SearchTool(service).search(["bad", "good"])
    assert "search service failed" in result.text
    assert [source.key for source in result.sources] == ["a.org-x#0"]
    await service.aclose()


TEXT = "Tait &amp; sons &lt;1825&gt; <b>mill</b> caf&eacute; a &amp;lt; b"


async def test_rows_with_broken_addresses_or_odd_values_are_left_out_and_entities_are_read(loopback):
    rows = [
        {"url": "http://[", "title": "x"},
        {"url": 3},
        [],
        None,
        {"url": "javascript:alert(1)"},
        {
            "url": "https://b.org/y",
            "title": ["t"],
            "content": "Tait &amp; sons &lt;1825&gt; <b>mill</b> caf&eacute; a &amp;lt; b",
        },
    ]
    server = loopback(lambda _: (200, {}, json.dumps({"results": rows}).encode()))
    service = HostedProvider(SearchConfig(provider="searxng", base_url=server.url))
    (found,) = await service.search("x", 9)
    assert found.source.text == "Tait & sons <1825> mill café a &lt; b"
    assert found.source.title == "https://b.org/y"
    await service.aclose()


async def test_a_damaged_entry_of_the_cache_is_asked_for_again(loopback, tmp_path):
    server = loopback(lambda _: (200, {}, json.dumps({"results": ROWS[:1]}).encode()))
    config = SearchConfig(provider="searxng", base_url=server.url)
    cache = DiskCache(tmp_path, seconds=60)
    service = HostedProvider(config, cache=cache)
    for damaged in ([1], {"a": 1}, [{"key": "a"}], "x"):
        cache.put("search", f"searxng\0{server.url}\0005\0mills", damaged)
        assert len(await service.search("mills", 5)) == 1
    assert len(server.requests) == 4
    await service.aclose()


@pytest.mark.parametrize(
    ("provider", "pages", "paths", "found"),
    [
        (
            "duckduckgo",
            [DUCK],
            ["/html/?q=mill+wheel"],
            [("https://a.org/mill?x=1", "The Mill", "It grinds barley & oats <daily>."), ("https://b.org/", "B", "")],
        ),
        (
            "arxiv",
            [ATOM],
            ["/api/query?search_query=all%3Amill+wheel&max_results=5"],
            [("http://arxiv.org/abs/2512.20491v1", "Deep Research", "We show that 1 < 2.")],
        ),
        (
            "pubmed",
            [IDS, ARTICLES],
            ["/entrez/eutils/esearch.fcgi?", "/entrez/eutils/efetch.fcgi?db=pubmed&retmode=xml&id=123%2C456"],
            [
                ("https://pubmed.ncbi.nlm.nih.gov/123/", "Salt & cod", "AIM: To dry. RESULT: It dried 2."),
                ("https://pubmed.ncbi.nlm.nih.gov/456/", "B", ""),
            ],
        ),
    ],
)
async def test_services_without_a_key_are_read(provider, pages, paths, found, loopback):
    left = list(pages)
    server = loopback(lambda _: (200, {}, left.pop(0)))
    service = HostedProvider(SearchConfig(provider=provider, base_url=server.url))
    results = await service.search("mill wheel", 5)
    assert [(one.source.location, one.source.title, one.source.text) for one in results] == found
    assert [request.path.startswith(path) for request, path in zip(server.requests, paths, strict=True)] == [
        True
    ] * len(paths)
    await service.aclose()


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("duckduckgo", b"<html><body>Are you a robot?</body></html>"),
        ("duckduckgo", b""),
        ("arxiv", b"<html/>"),
        ("arxiv", b"<feed"),
        ("arxiv", b""),
        ("arxiv", b'<!DOCTYPE a [<!ENTITY x "' + b"y" * 1000 + b'">]><feed xmlns="http://www.w3.org/2005/Atom">&x;'),
        ("pubmed", b"<xml/>"),
    ],
)
async def test_pages_that_are_no_results_are_failures(provider, body, loopback):
    service = HostedProvider(SearchConfig(provider=provider, base_url=loopback(lambda _: (200, {}, body)).url))
    with pytest.raises(ToolError, match="search service failed"):
        await service.search("x", 5)
    await service.aclose()
