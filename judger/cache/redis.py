"""Verdicts shared by several servers, in Redis: one hash for each context, one field for each statement.

An optional tier behind the memory and beside the file. Redis may be slow, away or wiped at any moment: that costs no
request its verdict and never more than twice `TIMEOUT`. After a failure nobody asks for a while (doubled each time), so
that a Redis that is down delays one request in many, and none twice. What comes back is read as anybody's input: a
field that is no verdict is a miss, and so is a key that is no hash.

What is asked while an exchange is under way goes into the next one, so that a group of any size needs two connections:
one to read and one to write.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from judger.errors import InvalidRequest

__all__ = ["CacheRedis", "check_redis"]

logger = logging.getLogger(__name__)

TIMEOUT = 0.25
"""Seconds that Redis may take for one exchange."""
MOST_FIELDS = 2048
"""Statements of one exchange; more go into the next."""
FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 30.0  # seconds
KEPT = 30 * 24 * 3600
"""Seconds from the last write to a context until Redis forgets it; its own maxmemory policy may do so before."""
MAX_PENDING = 1000
"""Writes that wait; with a Redis slower than that the shared tier forgets, and the judge goes on."""
WRONG_TYPE = "WRONGTYPE"
"""How Redis begins where a key holds something else than a hash: somebody else wrote it."""
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


@dataclass(eq=False, slots=True)
class _Read:
    key: bytes
    statements: list[bytes]
    answer: asyncio.Future[dict[bytes, bytes]]


class CacheRedis:
    """Lives on one event loop; `close` it when done. Nothing here raises but for bugs of ours.

    Args:
        url: redis://[USER:PASSWORD@]HOST:PORT[/DATABASE], rediss:// for TLS. Never logged: it may hold a password.
        on_fault: told of each failure.
    """

    def __init__(self, url: str, on_fault: Callable[[str], None] | None = None) -> None:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        self._error = RedisError
        self.on_fault = on_fault or (lambda kind: None)
        self._name = urlsplit(url).hostname or urlsplit(url).path
        timeouts: dict[str, Any] = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
        # Ours is the only retry: the client's own would multiply the timeout.
        retry = Retry(NoBackoff(), 0)
        pool = BlockingConnectionPool.from_url(url, retry=retry, max_connections=2, timeout=TIMEOUT, **timeouts)
        self._redis: Any = Redis.from_pool(pool)
        self._reads: deque[_Read] = deque()
        self._writes: deque[tuple[bytes, dict[bytes, bytes]]] = deque()
        self._reader: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._backoff = FIRST_BACKOFF
        self._closed_until = 0.0
        self._is_down = False

    @property
    def is_up(self) -> bool:
        """False from a failure until something has worked again."""
        return not self._is_down

    async def read(self, address: bytes, statements: Sequence[bytes]) -> dict[bytes, bytes]:
        """The bodies of those statements that are known; none where Redis fails."""
        if self._is_left_alone():
            return {}
        asked = _Read(_key(address), list(statements), asyncio.get_running_loop().create_future())
        self._reads.append(asked)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.ensure_future(self._read_all())
        try:
            async with asyncio.timeout(2 * TIMEOUT):  # the exchange under way, and its own
                return await asked.answer
        except TimeoutError:
            self.on_fault("redis_late")
            return {}

    def write(self, address: bytes, bodies: Mapping[bytes, bytes]) -> None:
        """Puts bodies under their statements, later."""
        if len(self._writes) >= MAX_PENDING:
            self.on_fault("redis_dropped")
            return
        self._writes.append((_key(address), dict(bodies)))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.ensure_future(self._write_all())

    def garbled(self) -> None:
        """A body was none of ours."""
        self.on_fault("redis_garbled")

    async def written(self) -> None:
        """Returns when all that was to be written is, or has failed."""
        if self._writer is not None:
            await asyncio.wait([self._writer])

    async def close(self) -> None:
        """Waits for what is being written, for a moment, and closes the connections."""
        tasks = [task for task in (self._reader, self._writer) if task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=2 * TIMEOUT)
            for task in late:
                task.cancel()
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._redis.aclose()
        except (OSError, TimeoutError, self._error) as error:
            logger.warning("the connection to %s could not be closed: %r", self._name, error)

    async def _read_all(self) -> None:
        while self._reads:
            batch, fields = [self._reads.popleft()], 0
            while self._reads and (fields := fields + len(batch[-1].statements)) < MOST_FIELDS:
                batch.append(self._reads.popleft())
            batch = [one for one in batch if not one.answer.done()]  # else its caller has left
            try:
                said = await self._exchange([("HMGET", one.key, *one.statements) for one in batch])
                for one, bodies in zip(batch, said, strict=True):
                    if not one.answer.done():
                        one.answer.set_result(_known(one.statements, bodies))
            finally:
                for one in batch:
                    if not one.answer.done():
                        one.answer.set_result({})  # whatever happened: nobody waits in vain

    async def _write_all(self) -> None:
        while self._writes:
            commands: list[tuple[Any, ...]] = []
            while self._writes and len(commands) < MOST_FIELDS:
                key, bodies = self._writes.popleft()
                fields = [part for field in bodies.items() for part in field]
                commands += [("HSET", key, *fields), ("EXPIRE", key, KEPT)]
            await self._exchange(commands)

    def _is_left_alone(self) -> bool:
        return time.monotonic() < self._closed_until

    async def _exchange(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """What Redis says to each; None where that is of no use, or it fails, or has failed just now."""
        nothing: list[Any] = [None] * len(commands)
        if not commands or self._is_left_alone():
            return nothing
        if self._is_down:  # one tries; the others wait for what comes of it
            self._closed_until = time.monotonic() + TIMEOUT
        try:
            async with asyncio.timeout(TIMEOUT), self._redis.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                said: list[Any] = await pipeline.execute(raise_on_error=False)
            for position, one in enumerate(said):
                if isinstance(one, Exception):
                    if not str(one).startswith(WRONG_TYPE):
                        raise one
                    said[position] = None
                    self.garbled()
        except (OSError, TimeoutError, self._error) as error:
            self._failed(error)
            return nothing
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


def _known(statements: Sequence[bytes], bodies: Any) -> dict[bytes, bytes]:
    return {key: body for key, body in zip(statements, bodies or (), strict=False) if isinstance(body, bytes)}
