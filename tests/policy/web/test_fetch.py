"""Fetches against loopback servers: 127.0.0.2 plays the open internet, 127.0.0.1 the inside."""

from __future__ import annotations

import asyncio
import gzip
import re
import tracemalloc
import zlib
from base64 import b64encode
from urllib.parse import urlsplit

import pytest

from policy.config import FetchConfig
from policy.errors import ToolError
from policy.models.scripted import ScriptedModel, says
from policy.tools.media import Pictures
from policy.web.cache import DiskCache
from policy.web.fetch import WebReader, is_public, page_key
from policy.workspace.files import Workspace
from tests.policy.index.made import book, sheets, slides

HTML = b"<html><head><title>Mill</title></head><body><p>The mill grinds barley by tide.</p></body></html>"


def _ok(body=HTML, kind="text/html; charset=utf-8", **headers):
    return lambda _: (200, {"content-type": kind, **headers}, body)


@pytest.fixture
async def web():
    """A reader whose resolver knows these names, and to which only 127.0.0.2 is the open internet."""
    names = {"open.test": ["127.0.0.2"], "inside.test": ["127.0.0.1"], "both.test": ["127.0.0.2", "127.0.0.1"]}
    asked: list[str] = []

    async def resolver(host, port):
        asked.append(host)
        return names.get(host) or [host]

    readers = []

    def make(cache=None, tools=None, **config):
        settings = FetchConfig(enabled=True, **{"seconds": 60, **config})
        reader = WebReader(
            settings, cache=cache, resolver=resolver, is_allowed=lambda ip: ip == "127.0.0.2", tools=tools
        )
        readers.append(reader)
        return reader

    make.asked = asked
    yield make
    for reader in readers:
        await reader.aclose()


async def test_a_page_is_read_as_passages_with_keys(web, loopback):
    server = loopback(_ok(), "127.0.0.2")
    (passage,) = await web().read(f"http://open.test:{server.port}/a/mill?x=1")
    assert re.fullmatch(r"open\.test-a-mill-[0-9a-f]{8}#1", passage.key)  # the query is in the digest
    assert passage.title == "Mill"
    assert passage.text == "The mill grinds barley by tide."
    assert server.requests[0].headers["host"] == f"open.test:{server.port}"


@pytest.mark.parametrize(
    "address",
    ["http://inside.test:{port}/", "http://127.0.0.1:{port}/", "http://both.test:{port}/", "http://localhost:{port}/"],
)
async def test_what_resolves_to_the_inside_is_refused_and_never_asked(web, loopback, address):
    server = loopback(_ok())
    with pytest.raises(ToolError, match="not on the open internet"):
        await web().read(address.format(port=server.port))
    assert server.requests == []


async def test_every_redirect_is_checked_again(web, loopback):
    inside = loopback(_ok(b"secret", "text/plain"))
    outside = loopback(lambda _: (302, {"location": f"http://inside.test:{inside.port}/"}, b""), "127.0.0.2")
    with pytest.raises(ToolError, match=r"inside\.test is not on the open internet"):
        await web().read(f"http://open.test:{outside.port}/")
    assert inside.requests == []


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://open.test/", "gopher://open.test/", "//user:pw@open.test/"]
)
async def test_redirects_to_other_schemes_are_refused(web, loopback, location):
    server = loopback(lambda _: (302, {"location": location}, b""), "127.0.0.2")
    with pytest.raises(ToolError, match="no address that is opened"):
        await web().read(f"http://open.test:{server.port}/")


async def test_an_endless_redirect_ends(web, loopback):
    server = loopback(lambda request: (302, {"location": f"{request.path}x"}, b""), "127.0.0.2")
    with pytest.raises(ToolError, match="redirects more than 5 times"):
        await web().read(f"http://open.test:{server.port}/")
    assert len(server.requests) == 6


async def test_a_name_is_resolved_once_for_check_and_connection(web, loopback):
    server = loopback(_ok(), "127.0.0.2")
    await web().read(f"http://open.test:{server.port}/")
    assert web.asked == ["open.test"]


async def test_fifty_megabytes_are_not_read_to_the_end(web, loopback):
    sent = 0

    def body():
        nonlocal sent
        for _ in range(800):
            sent += 65_536
            yield b"x" * 65_536

    server = loopback(lambda _: (200, {"content-type": "text/plain"}, body()), "127.0.0.2")
    with pytest.raises(ToolError, match="larger than 1,000,000 bytes"):
        await web(max_bytes=1_000_000).read(f"http://open.test:{server.port}/")
    assert sent < 40 * 2**20


async def test_a_compressed_bomb_is_measured_unpacked(web, loopback):
    bomb = gzip.compress(b"x" * 20_000_000)
    server = loopback(_ok(bomb, "text/plain", **{"content-encoding": "gzip"}), "127.0.0.2")
    with pytest.raises(ToolError, match="larger than"):
        await web(max_bytes=1_000_000).read(f"http://open.test:{server.port}/")


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,gzip,gzip", "deflate, gzip", "br", "identity, gzip", "x"])
async def test_stacked_and_unknown_encodings_are_refused_before_anything_is_unpacked(web, loopback, encoding):
    bomb = gzip.compress(gzip.compress(bytes(8 * 2**20)))
    assert len(bomb) < 1_000
    server = loopback(_ok(bomb, "text/plain", **{"content-encoding": encoding}), "127.0.0.2")
    with pytest.raises(ToolError, match="its encoding is"):
        await web().read(f"http://open.test:{server.port}/")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, lambda data: zlib.compress(data, wbits=-15)])
async def test_a_bomb_never_takes_more_memory_than_a_page_may(web, loopback, pack):
    bomb = pack(bytes(64 * 2**20))
    server = loopback(_ok(bomb, "text/plain", **{"content-encoding": "deflate"}), "127.0.0.2")
    tracemalloc.start()
    try:
        with pytest.raises(ToolError, match="larger than"):
            await web(max_bytes=1_000_000).read(f"http://open.test:{server.port}/")
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, lambda data: zlib.compress(data, wbits=-15)])
async def test_a_packed_page_is_read(web, loopback, pack):
    server = loopback(_ok(pack(HTML), **{"content-encoding": "deflate"}), "127.0.0.2")
    page = await web().fetch(f"http://open.test:{server.port}/")
    assert page.data == HTML
    assert server.requests[0].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (gzip.compress(HTML, mtime=0)[:-9], "cut off"),
        (gzip.compress(HTML, mtime=0) + gzip.compress(HTML, mtime=0), "several parts"),
        (b"\x1f\x8bno gzip", "can't be unpacked"),
    ],
)
async def test_a_damaged_packed_page_is_refused_and_not_cut(web, loopback, body, reason):
    server = loopback(_ok(body, **{"content-encoding": "gzip"}), "127.0.0.2")
    with pytest.raises(ToolError, match=reason):
        await web().read(f"http://open.test:{server.port}/")


async def test_a_page_that_never_ends_is_given_up(web):
    async def hold(reader, writer):
        begun.set()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nslow")
        await writer.drain()
        await reader.read()
        writer.close()
        left.set()

    begun, left = asyncio.Event(), asyncio.Event()
    server = await asyncio.start_server(hold, "127.0.0.2", 0)
    seconds = 0.25
    async with server:
        port = server.sockets[0].getsockname()[1]
        while not begun.is_set():  # a busy machine may not even have connected in that time
            seconds *= 2
            with pytest.raises(ToolError, match=rf"took more than {seconds:g} s"):
                await web(seconds=seconds).read(f"http://open.test:{port}/")
        async with asyncio.timeout(60):
            await left.wait()


@pytest.mark.parametrize(
    ("make", "kind", "path"),
    [
        (slides, "application/vnd.openxmlformats-officedocument.presentationml.presentation", "/download?id=7"),
        (sheets, "application/octet-stream", "/data/Catch.XLSX"),
        (book, "application/zip", "/book.epub"),
    ],
)
async def test_documents_of_the_web_are_read_by_what_they_are(web, loopback, make, kind, path):
    data = make()
    server = loopback(lambda _: (200, {"content-type": kind}, data), host="127.0.0.2")
    passages = await web(seconds=60).read(f"http://open.test:{server.port}{path}")
    assert any("Voe" in p.text or "mill" in p.text for p in passages)


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"\x7fELF\0\0", "application/octet-stream", "is not read"),
        (b"\0\1\2", "text/plain", "binary"),
        (b"", "text/html", "cannot be read"),
        (b"%PDF-1.7 broken", "application/pdf", "broken PDF"),
        (b"\x89PNG\r\n\x1a\n", "image/png", "no model for that is configured"),
        (b"OggS", "audio/ogg", "no model for that is configured"),
    ],
)
async def test_what_is_no_document_is_an_error_that_names_it(web, loopback, body, kind, reason):
    server = loopback(_ok(body, kind), "127.0.0.2")
    with pytest.raises(ToolError, match=reason):
        await web().read(f"http://open.test:{server.port}/")


async def test_a_picture_of_the_web_is_looked_at_where_there_is_a_model_for_it(web, loopback, tmp_path):
    png = b"\x89PNG\r\n\x1a\n...."
    server = loopback(_ok(png, "image/png"), host="127.0.0.2")
    address = f"http://open.test:{server.port}/maps/Voe.png"
    seeing = ScriptedModel([says("A map of Voe.")])
    with pytest.raises(ToolError, match="Use `describe_image`"):
        await web(tools={"image": "describe_image"}).read(address)
    result = await Pictures(Workspace(tmp_path), web(), seeing).describe_image(address)
    assert (result.sources[0].location, result.sources[0].key[:10]) == (address, "image-voe-")
    assert seeing.seen[0][0]["content"][1]["image_url"]["url"] == f"data:image/png;base64,{b64encode(png).decode()}"
    with pytest.raises(ToolError, match="not on the open internet"):
        await Pictures(Workspace(tmp_path), web(), seeing).describe_image("http://inside.test/a.png")


async def test_identical_addresses_are_fetched_once_while_the_cache_is_fresh(web, loopback, tmp_path):
    server = loopback(_ok(), "127.0.0.2")
    address = f"http://open.test:{server.port}/"
    for seconds, expected in ((3600, 1), (3600, 1), (0.000001, 2)):
        await web(cache=DiskCache(tmp_path, seconds=seconds)).read(address)
        assert len(server.requests) == expected
    for path in tmp_path.rglob("*.json"):
        path.write_text("{broken")
    await web(cache=DiskCache(tmp_path, seconds=3600)).read(address)
    assert len(server.requests) == 3
    assert urlsplit(address).port == server.port


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1",
     "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
     "::1",
     "::", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "ff02::1",
     "64:ff9b:1::1", "64:ff9b::7f00:1"],
)  # fmt: skip
def test_addresses_inside_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111"])
def test_addresses_of_the_open_internet_are_public(address):
    assert is_public(address)


async def test_a_redirect_without_a_place_and_addresses_that_are_none_are_refusals(loopback):
    server = loopback(lambda _: (302, {}, b""))
    reader = WebReader(FetchConfig(enabled=True), is_allowed=lambda _: True)
    with pytest.raises(ToolError, match="status 302"):
        await reader.fetch(server.url)
    for address in ("http://[::1", "http://a b/", "http://x:99999/", "http://\u2100/"):
        with pytest.raises(ToolError):
            await reader.fetch(address)
    await reader.aclose()


async def test_no_connection_serves_two_requests():
    connections = 0

    async def serve(incoming, outgoing):
        nonlocal connections
        connections += 1
        while await incoming.readline():
            while (await incoming.readline()).strip():
                pass
            outgoing.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nhi")
        outgoing.close()
        await outgoing.wait_closed()
        ended.release()

    ended = asyncio.Semaphore(0)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader = WebReader(FetchConfig(enabled=True), is_allowed=lambda _: True)
    for path in ("a", "b"):
        assert (await reader.fetch(f"http://127.0.0.1:{port}/{path}")).data == b"hi"
    await reader.aclose()
    for _ in "ab":
        await ended.acquire()
    server.close()
    await server.wait_closed()
    assert connections == 2


def test_addresses_that_differ_have_keys_that_differ():
    addresses = [
        "https://a.org/p",
        "https://a.org/p?id=1",
        "https://a.org/p?id=2",
        "http://a.org/p",
        "https://a.org:8443/p",
        "https://a.org/p/",
        "https://a.org//p",
        *(f"https://a.org/{path}" for path in ("a/b", "a-b", "a_b", "a/b/", "a//b", "a.b", "a%2Fb", "A/b", "a b")),
        "https://a-b.org/c",
        "https://x.a/b.org/c",
        "https://x.a-b.org/c",
        *(f"https://a.org/{'x' * 90}{n}" for n in "ab"),
    ]
    keys = [page_key(address) for address in addresses]
    assert len(set(keys)) == len(keys)
    assert keys[0] == "a.org-p"
    assert all(len(key) <= 80 for key in keys)
