"""The body of a response, unpacked within a bound.

httpx unpacks a chunk whole before anyone can measure it, and one encoding after the other: a page of 3.5 KB, packed
twice, becomes gigabytes. So the bytes are read as they were sent, and unpacked here.
"""

from __future__ import annotations

import zlib

import httpx

__all__ = ["ACCEPTED", "BodyTooLarge", "UnreadableBody", "read_body"]

ACCEPTED = "gzip, deflate"
"""The `accept-encoding` of our requests."""
_CHUNK = 65_536
# zlib's window, and its way of telling gzip from zlib by itself; servers send both, and bare deflate, as "deflate".
_EITHER, _BARE = 32 + zlib.MAX_WBITS, -zlib.MAX_WBITS


class UnreadableBody(ValueError):
    """The body is packed in a way that is not taken, or is damaged."""


class BodyTooLarge(UnreadableBody):
    """The body has more bytes than are taken, as it was sent or unpacked."""


async def read_body(response: httpx.Response, most: int) -> bytes:
    """The body of a streamed response, at most `most` bytes. Raises UnreadableBody."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise UnreadableBody(f"its encoding is {encoding[:60]!r}; one of gzip or deflate is taken, and only once")
    body = _Body(most) if encoding in ("", "identity") else _Packed(most)
    async for chunk in response.aiter_raw(_CHUNK):
        body.add(chunk)
    return body.whole()


class _Body:
    """Bytes up to a bound."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._data = bytearray()

    def add(self, chunk: bytes) -> None:
        self._data += chunk
        if len(self._data) > self._most:
            raise BodyTooLarge(f"it is larger than {self._most:,} bytes")

    def whole(self) -> bytes:
        return bytes(self._data)


class _Packed(_Body):
    """The same, of bytes that come packed."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._inflater = zlib.decompressobj(_EITHER)
        self._received = 0

    def add(self, chunk: bytes) -> None:
        if not self._received and chunk[:2] and not _has_header(chunk):
            self._inflater = zlib.decompressobj(_BARE)
        self._received += len(chunk)
        if self._received > self._most:
            raise BodyTooLarge(f"it is larger than {self._most:,} bytes")
        try:
            # One byte more than there is room for, so that too much is noticed and never held.
            super().add(self._inflater.decompress(chunk, self._most - len(self._data) + 1))
        except zlib.error as error:
            raise UnreadableBody(f"it can't be unpacked: {error}") from error
        if self._inflater.unused_data.startswith(b"\x1f\x8b"):
            raise UnreadableBody("it is packed in several parts, and only one is read")

    def whole(self) -> bytes:
        if self._received and not self._inflater.eof:
            raise UnreadableBody("it is cut off")
        return super().whole()


def _has_header(data: bytes) -> bool:
    """Whether gzip's or zlib's header begins here (RFC 1950: the first two bytes are a multiple of 31)."""
    return data[:1] == b"\x1f" or (data[0] & 0x0F == 8 and (len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0))
