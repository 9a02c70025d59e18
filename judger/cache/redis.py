"""Verdicts shared by several servers, in Redis: one hash for each context, one field for each statement.

An optional tier behind the memory and beside the file. Redis may be slow, away or wiped at any moment: that costs no
request its verdict and never more than `TIMEOUT`. After a failure nobody asks for a while (doubled each time), so that
a Redis that is down delays one request in many, and none twice. What comes back is read as anybody's input: a field
that is no verdict is a miss.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from judger.errors import InvalidRequest

__all__ = ["CacheRedis", "check_redis"]

logger = logging.getLogger(__name__)

TIMEOUT = 0.25
"""Seconds that Redis may take for anything."""
FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 30.0  # seconds
KEPT = 30 * 24 * 3600
"""Seconds from the last write to a context until Redis forgets it; its own maxmemory policy may do so before."""
MAX_PENDING = 1000
"""Writes under way; with a Redis slower than that the shared tier forgets, and the judge goes on."""
SCHEMES = ("redis", "rediss", "unix")


def check_redis(url: str | None) -> None:
    """Raises InvalidRequest for an address that can't be one, and where the client is missing."""
    if url is None:
        return
    if urlsplit(url).scheme not in SCHEMES:
        raise InvalidRequest("cache_redis", "must begin with redis://, rediss:// or unix://")
    try:
        import redis.asyncio  # noqa: F401
    except ModuleNotFoundError as error:
        reason = "the redis package is not installed: pip install 'checklist-judger[redis]'"
        raise InvalidRequest("cache_redis", reason) from error


class CacheRedis:
    """Lives on one event loop; `close` it when done. Nothing here raises but for bugs of ours.

    Args:
        url: redis://[USER:PASSWORD@]HOST:PORT[/DATABASE], rediss:// for TLS. Never logged: it may hold a password.
        on_fault: told of each failure.
    """

    def __init__(self, url: str, on_fault: Callable[[str], None] | None = None) -> None:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        self._error = RedisError
        self.on_fault = on_fault or (lambda kind: None)
        self._name = urlsplit(url).hostname or urlsplit(url).path
        timeouts: dict[str, Any] = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
        # Ours is the only retry: the client's own would multiply the timeout.
        self._redis: Any = Redis.from_url(url, retry=Retry(NoBackoff(), 0), max_connections=64, **timeouts)
        self._writes: set[asyncio.Task[None]] = set()
        self._backoff = FIRST_BACKOFF
        self._closed_until = 0.0
        self._is_down = False

    @property
    def is_up(self) -> bool:
        """False from a failure until something has worked again."""
        return not self._is_down

    async def read(self, address: bytes, statements: Sequence[bytes]) -> dict[bytes, bytes]:
        """The bodies of those statements that are known; none where Redis fails."""
        found = await self._guarded(lambda: self._redis.hmget(_key(address), list(statements)))
        return {key: body for key, body in zip(statements, found or (), strict=False) if isinstance(body, bytes)}

    def write(self, address: bytes, bodies: Mapping[bytes, bytes]) -> None:
        """Puts bodies under their statements, later."""
        if len(self._writes) >= MAX_PENDING:
            self.on_fault("redis_dropped")
            return
        self._writes.add(task := asyncio.ensure_future(self._write(_key(address), dict(bodies))))
        task.add_done_callback(self._writes.discard)

    def garbled(self) -> None:
        """A body was none of ours."""
        self.on_fault("redis_garbled")

    async def close(self) -> None:
        """Waits for what is being written, for a moment, and closes the connections."""
        if self._writes:
            await asyncio.wait(self._writes, timeout=2 * TIMEOUT)
        for task in self._writes:
            task.cancel()
        await self._redis.aclose()

    async def _write(self, key: bytes, bodies: dict[bytes, bytes]) -> None:
        async def send() -> None:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.hset(key, mapping=bodies)
                pipeline.expire(key, KEPT)
                await pipeline.execute()

        await self._guarded(send)

    async def _guarded(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """What Redis says; None where it fails, or has failed just now."""
        if time.monotonic() < self._closed_until:
            return None
        if self._is_down:  # one tries; the others wait for what comes of it
            self._closed_until = time.monotonic() + TIMEOUT
        try:
            async with asyncio.timeout(TIMEOUT):
                said = await ask()
        except (OSError, TimeoutError, self._error) as error:
            self._failed(error)
            return None
        if self._is_down:
            logger.warning("the shared verdict cache at %s answers again", self._name)
        self._is_down, self._backoff, self._closed_until = False, FIRST_BACKOFF, 0.0
        return said

    def _failed(self, error: Exception) -> None:
        self.on_fault("redis_failed")
        if not self._is_down:  # once, not for every request
            logger.error("the shared verdict cache at %s can't be used for now: %r", self._name, error)
            self._backoff = FIRST_BACKOFF
        self._is_down = True
        self._closed_until = time.monotonic() + self._backoff
        self._backoff = min(LONGEST_BACKOFF, 2 * self._backoff)


def _key(address: bytes) -> bytes:
    return b"judger:1:" + address
