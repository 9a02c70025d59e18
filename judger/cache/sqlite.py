"""One SQLite file of bodies under addresses: bounded, safe against a kill at any moment, and set aside when corrupt.

Write-ahead logging: a process that dies loses at most the last transaction, never the file. Every row carries a digest
of itself, so that a page gone bad makes a miss and not a wrong verdict. All work is done by one thread; what is
written is gathered while it is busy and goes into one transaction. The file is locked from its opening to its close:
nobody else can hold up a read, and a second server on it is refused with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from judger.errors import InvalidRequest

__all__ = ["CacheFile"]

logger = logging.getLogger(__name__)

APPLICATION = 0x6A756467  # "judg", in the file's header
ROWS_PER_TRANSACTION = 256
LOCK_SECONDS = 1.0
"""That opening waits for another process to be done with the file."""
VACUUM_PAGES = 1024
"""Free pages that one transaction gives back to the disk; a read waits for no more."""
MAX_PENDING = 20_000
"""Bodies that wait to be written; with a disk slower than that the cache forgets, and the judge goes on."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS verdicts (address BLOB NOT NULL, body BLOB NOT NULL, digest BLOB NOT NULL, used INTEGER);
CREATE INDEX IF NOT EXISTS by_address ON verdicts (address);
CREATE INDEX IF NOT EXISTS by_use ON verdicts (used);
"""


class CacheFile:
    """Opens or creates the file. Blocking, but short.

    Args:
        max_bytes: of the file, about; the least recently used rows go first.
        on_fault: told when a corrupt file was set aside, or a write was given up.

    Raises:
        InvalidRequest: the file can't be opened, is in use, or belongs to another program.
    """

    def __init__(self, path: Path, max_bytes: int, on_fault: Callable[[str], None] | None = None) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.on_fault = on_fault or (lambda kind: None)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="judger-cache")
        self._pending: deque[tuple[bytes, bytes]] = deque()
        self._touched: set[bytes] = set()
        self._flushing = False
        self._closed = False
        try:
            self._database: sqlite3.Connection | None = self._open()
        except sqlite3.DatabaseError as error:
            if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                reason = "is in use by another process: one server a file (several share what they know in a Redis)"
                raise InvalidRequest("cache", f"{path} {reason}") from error
            if not _is_corrupt(error):
                raise InvalidRequest("cache", f"{path}: {error}") from error
            self._database = None
            self._set_aside(error)
        except OSError as error:
            raise InvalidRequest("cache", f"{path}: {error.strerror}") from error

    async def read(self, address: bytes) -> list[bytes]:
        """The bodies under an address; none where the file can't be read."""
        if self._closed:
            return []
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, address)

    def write(self, address: bytes, body: bytes) -> None:
        """Puts a body under an address, later and at once with others."""
        if self._closed:
            return
        if len(self._pending) >= MAX_PENDING:
            self.on_fault("dropped")
            return
        self._pending.append((address, body))
        self._flush_soon()

    def garbled(self) -> None:
        """A body was none of ours."""
        self.on_fault("garbled")

    async def close(self) -> None:
        """Writes what is pending and closes the file."""
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._end)
        self._thread.shutdown(wait=True)

    # From here on in the thread, but for __init__, which ends before the thread begins.

    def _open(self) -> sqlite3.Connection:
        # A rationale may quote a report: for this user's eyes only. A file that is there is not opened here: closing
        # it would end the locks that SQLite holds on it in this process.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        database = sqlite3.connect(self.path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            (application,) = database.execute("PRAGMA application_id").fetchone()
            (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables and application != APPLICATION:
                raise InvalidRequest("cache", f"{self.path} is another program's database")
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before the first table
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            (page_size,) = database.execute("PRAGMA page_size").fetchone()
            pages = max(16, min(1000, self.max_bytes // page_size // 8))
            database.execute(f"PRAGMA wal_autocheckpoint = {pages}")  # what the log beside the file may grow to
            database.execute(f"PRAGMA journal_size_limit = {pages * page_size}")
            database.execute(f"PRAGMA application_id = {APPLICATION}")
            database.executescript(SCHEMA)
        except BaseException:
            database.close()
            raise
        return database

    def _read(self, address: bytes) -> list[bytes]:
        if self._database is None:
            return []
        try:
            rows = self._database.execute("SELECT body, digest FROM verdicts WHERE address = ?", (address,)).fetchall()
        except sqlite3.DatabaseError as error:
            self._failed(error)
            return []
        bodies = [body for body, digest in rows if digest == _digest(address, body)]
        if len(bodies) < len(rows):
            self._set_aside(sqlite3.DatabaseError("a row's digest is not that of its content"))
            return []
        if bodies:
            self._touched.add(address)
            self._flush_soon()
        return bodies

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            with contextlib.suppress(RuntimeError):  # the thread has ended: `_end` was the last to write
                self._thread.submit(self._flush)

    def _flush(self) -> None:
        self._flushing = False  # first: what comes from here on asks for a flush of its own
        touched, self._touched = self._touched, set()
        rows = [self._pending.popleft() for _ in range(min(len(self._pending), ROWS_PER_TRANSACTION))]
        if self._database is None:
            return
        now = int(time.time())
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(
                "INSERT INTO verdicts VALUES (?, ?, ?, ?)",
                [(address, body, _digest(address, body), now) for address, body in rows],
            )
            self._database.executemany(
                "UPDATE verdicts SET used = ? WHERE address = ?", [(now, address) for address in touched]
            )
            self._shrink()
            self._database.execute("COMMIT")
            # A page for each step: `execute` takes only the first, and there are no rows to fetch.
            self._database.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
            (is_loose,) = self._database.execute("PRAGMA freelist_count").fetchone()
        except sqlite3.DatabaseError as error:
            self._failed(error)
            is_loose = False
        if (self._pending or is_loose) and not self._closed:
            self._flush_soon()

    def _shrink(self) -> None:
        """Deletes the least recently used rows, a tenth at a time, until the rest fits."""
        assert self._database is not None
        while True:
            pages, free, size = (
                self._database.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            if (pages - free) * size <= self.max_bytes:
                return
            (rows,) = self._database.execute("SELECT count(*) FROM verdicts").fetchone()
            if not rows:
                return
            self._database.execute(
                "DELETE FROM verdicts WHERE rowid IN (SELECT rowid FROM verdicts ORDER BY used, rowid LIMIT ?)",
                (rows // 10 + 1,),
            )

    def _failed(self, error: sqlite3.DatabaseError) -> None:
        if _is_corrupt(error):
            self._set_aside(error)
            return
        logger.error("the verdict cache %s could not be used this time: %s", self.path, error)
        self.on_fault("failed")
        if self._database is not None and self._database.in_transaction:
            with contextlib.suppress(sqlite3.DatabaseError):
                self._database.execute("ROLLBACK")

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Keeps the corrupt file for whoever wants to look, and begins a new one; without one the cache is memory."""
        if self._database is not None:
            with contextlib.suppress(sqlite3.DatabaseError):
                self._database.close()
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.corrupt-{number}")).exists():
            number += 1
        try:
            self.path.rename(aside)
            for suffix in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    self.path.with_name(self.path.name + suffix).rename(f"{aside}{suffix}")
            self._database = self._open()
        except (OSError, sqlite3.DatabaseError) as reason:
            self._database = None
            logger.error("the verdict cache %s is corrupt (%s) and can't be replaced: %s", self.path, error, reason)
        else:
            logger.error("the verdict cache was corrupt (%s): set aside as %s, and begun anew", error, aside)
        self.on_fault("corrupt")

    def _end(self) -> None:
        while self._pending:
            self._flush()
        if self._database is not None:
            with contextlib.suppress(sqlite3.DatabaseError):
                self._database.close()
            self._database = None


def _digest(address: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(address + body, digest_size=8).digest()


def _is_corrupt(error: sqlite3.DatabaseError) -> bool:
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _code(error: sqlite3.DatabaseError) -> int | None:
    """SQLite's own, without what extends it."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
