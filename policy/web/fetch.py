"""Pages of the open web, fetched so that a page cannot reach what only we can reach.

Every address is resolved once, checked, and dialled as it was checked, so that a name cannot point elsewhere between
the two (DNS rebinding). Redirects are followed by hand and checked again. Size and time are bounded as a whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx

from policy.config import FetchConfig
from policy.errors import ToolError
from policy.index import formats, parse
from policy.index.apart import parse_apart
from policy.index.store import Passage
from policy.web.body import ACCEPTED, UnreadableBody, read_body
from policy.web.cache import DiskCache

__all__ = ["Page", "WebReader", "is_public", "resolve"]

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

# Prefixes of NAT64, which hide an IPv4 address that the network behind them would dial.
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_OFFICE = "application/vnd.openxmlformats-officedocument"
_TYPES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "application/epub+zip": ".epub",
    "application/json": ".json",
    "text/csv": ".csv",
    f"{_OFFICE}.wordprocessingml.document": ".docx",
    f"{_OFFICE}.presentationml.presentation": ".pptx",
    f"{_OFFICE}.spreadsheetml.sheet": ".xlsx",
}
_UNTOLD = ("", "application/octet-stream", "binary/octet-stream", "application/zip", "application/x-zip-compressed")
"""Types that say nothing of what is in a file; then the end of its address does."""


@dataclass(frozen=True, slots=True)
class Page:
    """What came of an address: the one it ended at, the media type, the bytes, and the encoding the header names."""

    address: str
    media_type: str
    data: bytes
    charset: str = ""


def _suffix(page: Page) -> str:
    """What says how a page is read; empty where it is not."""
    if page.media_type in _UNTOLD:
        end = formats.kind(urlsplit(page.address).path)
        return end if end in _TYPES.values() else ""
    return _TYPES.get(page.media_type, ".txt" if page.media_type.startswith("text/") else "")


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet: not private, loopback, link-local, multicast or reserved."""
    ip = ipaddress.ip_address(address)
    if any(ip in network for network in _TRANSLATED):
        return False
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if inner is not None and not is_public(str(inner)):
        return False
    teredo = getattr(ip, "teredo", None)
    return teredo is None and ip.is_global and not ip.is_multicast


async def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a host, by the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class WebReader:
    """Fetches an address and reads it as passages. A `policy.tools.open.Reader`.

    `tools` are those to name for what is no text: {"image": "describe_image"}. `resolver` and `is_allowed` are given by
    tests, which have only loopback addresses.
    """

    def __init__(
        self,
        config: FetchConfig,
        *,
        cache: DiskCache | None = None,
        resolver: Resolver = resolve,
        is_allowed: Callable[[str], bool] = is_public,
        tools: Mapping[str, str] | None = None,
    ) -> None:
        self._config, self._cache = config, cache
        self._tools = tools or {}
        self._resolver, self._is_allowed = resolver, is_allowed
        self._processes = asyncio.Semaphore(max(2, os.cpu_count() or 2))
        # No proxy and no .netrc out of the environment: both would carry requests past the checks.
        # No connection is used twice: it is kept by its address, and another name there has another certificate.
        self._client = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=config.seconds,
            headers={"user-agent": "judger-agent", "accept-encoding": ACCEPTED},
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def read(self, address: str) -> list[Passage]:
        """The passages of a page, keyed by its host and path. Raises ToolError that says what to do instead."""
        page = await self.fetch(address)
        suffix = _suffix(page)
        if page.media_type.startswith(("image/", "audio/", "video/")):
            tool = self._tools.get(page.media_type.partition("/")[0])
            raise ToolError(
                f"{address} is {page.media_type}, which `open` does not read. Use `{tool}`."
                if tool
                else f"{address} is {page.media_type}, and no model for that is configured. Look for a text that "
                "describes it."
            )
        if not suffix:
            raise ToolError(
                f"{address} is {page.media_type or 'of no known type'}, which is not read. Try another source."
            )
        try:
            document = await parse_apart(
                page.data, suffix, page.address, page.charset, seconds=self._config.seconds, at_once=self._processes
            )
        except parse.Unreadable as error:
            raise ToolError(f"{address} cannot be read: {error}. Try another source.") from error
        key = page_key(page.address)
        return [
            Passage(f"{key}#{number}", document.title, page.address, paragraph.heading, paragraph.text)
            for number, paragraph in enumerate(document.paragraphs, 1)
        ]

    async def fetch(self, address: str) -> Page:
        """The page at an address, from the cache where it was fetched of late."""
        if self._cache is not None and (kept := self._cache.get("page", address)) is not None:
            return Page(kept["address"], kept["media_type"], bytes.fromhex(kept["data"]), kept.get("charset", ""))
        try:
            async with asyncio.timeout(self._config.seconds):
                page = await self._follow(address)
        except TimeoutError as error:
            raise ToolError(f"{address} took more than {self._config.seconds:g} s. Try another source.") from error
        if self._cache is not None:
            kept = {"address": page.address, "media_type": page.media_type, "data": page.data.hex()}
            kept["charset"] = page.charset
            self._cache.put("page", address, kept)
        return page

    async def _follow(self, address: str) -> Page:
        current = address
        for _ in range(self._config.redirects + 1):
            answer = await self._once(current)
            if isinstance(answer, Page):
                return answer
            current = answer
        raise ToolError(f"{address} redirects more than {self._config.redirects} times. Try another source.")

    async def _once(self, address: str) -> Page | str:
        """The page, or where it redirects to."""
        try:
            return await self._ask(address)
        except (ValueError, httpx.InvalidURL) as error:  # of urlsplit, of idna, of httpx, each at other faults
            raise ToolError(f"{address!r} is no valid address: {error}.") from error

    async def _ask(self, address: str) -> Page | str:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise ToolError(f"{address!r} is no address that is opened; only http and https without a login are.")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        ip = await self._checked(parts.hostname, port)
        target = httpx.URL(address).copy_with(host=ip, fragment=None)
        host = parts.netloc.encode("idna").decode() if not parts.netloc.isascii() else parts.netloc
        request = self._client.build_request("GET", target, headers={"host": host})
        # The certificate must be that of the name, though the address is dialled.
        request.extensions["sni_hostname"] = parts.hostname
        try:
            response = await self._client.send(request, stream=True)
            try:
                return await self._take(address, response)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise ToolError(f"{address} cannot be fetched: {type(error).__name__}. Try another source.") from error

    async def _take(self, address: str, response: httpx.Response) -> Page | str:
        if response.has_redirect_location:
            return urljoin(address, response.headers["location"])
        if response.status_code != 200:
            raise ToolError(f"{address} answers with status {response.status_code}. Try another source.")
        try:
            data = await read_body(response, self._config.max_bytes)
        except UnreadableBody as error:
            raise ToolError(f"{address} is not read: {error}. Try another source.") from error
        media_type, _, parameters = response.headers.get("content-type", "").partition(";")
        charset = re.search(r"charset=[\"']?([\w:.-]{1,40})", parameters, re.IGNORECASE)
        return Page(address, media_type.strip().lower(), data, charset.group(1).lower() if charset else "")

    async def _checked(self, host: str, port: int) -> str:
        try:
            addresses = await self._resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise ToolError(f"There is no host {host!r}. Check the address.") from error
        # One address inside is enough to refuse: which of them is dialled must not be a matter of luck.
        if not addresses or not all(self._is_allowed(address) for address in addresses):
            raise ToolError(f"{host} is not on the open internet, so it is not opened.")
        return addresses[0]

    async def aclose(self) -> None:
        await self._client.aclose()


def page_key(address: str) -> str:
    """A key that is safe inside \\cite{} and that no other address has.

    It is host and path where nothing but these is in the address, and they can be read back from the key; else a digest
    of the address follows. Raises ValueError where the address is none.
    """
    parts = urlsplit(address)
    whole = f"{parts.hostname or ''}{parts.path}"
    base = re.sub(r"[^\w.]+", "-", whole).strip("-.")
    is_plain = parts.scheme == "https" and parts.netloc == parts.hostname and "." in parts.netloc and not parts.query
    # Of a slash alone comes a dash: /a/b and /a-b are two pages.
    is_read_back = base == whole.removesuffix("/").replace("/", "-") and "-" not in whole
    if is_plain and is_read_back and len(base) <= 80 and (not whole.endswith("/") or parts.path == "/"):
        return base
    digest = hashlib.sha256(address.partition("#")[0].encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{base[:70]}-{digest}".lstrip("-")
