"""Making and refreshing an index: a folder of documents into one SQLite file."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from policy.errors import ConfigError
from policy.index import formats, links, parse
from policy.index.apart import FileReader
from policy.index.dense import Embedder
from policy.index.fusion import add_vectors
from policy.index.tokens import segment
from policy.whole import whole_text

__all__ = ["SCHEMA", "VERSION", "Indexed", "build", "update"]

SCHEMA = (
    """
CREATE TABLE documents (id INTEGER PRIMARY KEY, key TEXT UNIQUE, location TEXT UNIQUE, title TEXT, digest TEXT);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY, document INTEGER REFERENCES documents, number INTEGER, heading TEXT, text TEXT
);
CREATE INDEX passages_of ON passages (document, number);
CREATE VIRTUAL TABLE words USING fts5(text, heading, title, tokenize = "porter unicode61 remove_diacritics 2");
CREATE TABLE vectors (passage INTEGER PRIMARY KEY REFERENCES passages, vector BLOB);
CREATE TABLE encoder (name TEXT);
PRAGMA user_version = 2;
"""
    + links.SCHEMA
)
VERSION = 2
_SECONDS = 300.0
"""Of one file: two thousand pages of a PDF take less."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """What a build did, in documents; `skipped` are (path, why)."""

    added: int
    unchanged: int
    removed: int
    passages: int
    skipped: tuple[tuple[str, str], ...]
    others: tuple[tuple[str, int], ...] = ()
    """How many files of which kinds are not read."""


def build(
    path: Path,
    folder: Path,
    *,
    embedder: Embedder | None = None,
    on_file: Callable[[Path], None] = lambda _: None,
) -> Indexed:
    """Make or refresh the index of a folder. Unchanged files are not read again; files that are gone are dropped.

    One transaction: an interrupted build leaves the index as it was.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: not a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path)
    try:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            database.executescript(SCHEMA)
        elif version != VERSION:
            raise ConfigError(f"{path}: there is another database in this file")
        with database, FileReader(seconds=_SECONDS) as reader:
            done = update(database, folder, on_file, reader.read)
            if embedder is not None:
                add_vectors(database, embedder, {})
            return done
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"{path}: {error}") from error
    finally:
        database.close()


def update(
    database: sqlite3.Connection,
    folder: Path,
    on_file: Callable[[Path], None] = lambda _: None,
    read: Callable[[bytes, str, str], parse.Document] = formats.read,
) -> Indexed:
    """Bring an index to what is in a folder. `read` is a stranger's files' own process, or this one."""
    links.ensure(database)
    rows = database.execute("SELECT id, location, digest FROM documents")
    known = {where: (row, digest) for row, where, digest in rows}
    taken = {key for (key,) in database.execute("SELECT key FROM documents")}
    added = unchanged = 0
    skipped: list[tuple[str, str]] = []
    others: Counter[str] = Counter()
    for file in _files(folder):
        if formats.kind(file.name) not in formats.KINDS:
            others[whole_text(file.suffix.lower()) or "without a suffix"] += 1
            continue
        # A name may be any bytes; the database takes text.
        where = file.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode()
        on_file(file)
        row, old = known.pop(where, (None, None))
        try:
            if file.stat().st_size > formats.MAX_BYTES:
                raise parse.Unreadable(f"larger than {formats.MAX_BYTES:,} bytes")
            data = file.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            if old == digest:
                unchanged += 1
                continue
            document = read(data, file.name, parse.title_of(file))
        except (parse.Unreadable, OSError) as error:
            skipped.append((where, str(error)))
            if row is not None:  # what it used to say is no longer there
                _remove(database, row)
            continue
        if row is not None:
            taken -= {key for (key,) in database.execute("SELECT key FROM documents WHERE id = ?", (row,))}
            _remove(database, row)
        _insert(database, _free_key(where, taken), where, digest, document)
        added += 1
    for row, _ in known.values():
        _remove(database, row)
    passages = database.execute("SELECT count(*) FROM passages").fetchone()[0]
    return Indexed(added, unchanged, len(known), passages, tuple(skipped), tuple(sorted(others.items())))


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if not hidden and not file.is_symlink() and file.is_file():
            yield file


def _insert(database: sqlite3.Connection, key: str, where: str, digest: str, document: parse.Document) -> None:
    title = whole_text(document.title)
    row = database.execute(
        "INSERT INTO documents (key, location, title, digest) VALUES (?, ?, ?, ?)", (key, where, title, digest)
    ).lastrowid
    for number, paragraph in enumerate(document.paragraphs, 1):
        heading, text = whole_text(paragraph.heading), whole_text(paragraph.text)
        passage = database.execute(
            "INSERT INTO passages (document, number, heading, text) VALUES (?, ?, ?, ?)",
            (row, number, heading, text),
        ).lastrowid
        database.execute(
            "INSERT INTO words (rowid, text, heading, title) VALUES (?, ?, ?, ?)",
            (passage, segment(text), segment(heading), segment(title)),
        )
    assert row is not None
    links.add_links(database, row, where, links.found_in(document.paragraphs, document.links))


def _remove(database: sqlite3.Connection, row: int) -> None:
    database.execute("DELETE FROM vectors WHERE passage IN (SELECT id FROM passages WHERE document = ?)", (row,))
    database.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM passages WHERE document = ?)", (row,))
    database.execute("DELETE FROM passages WHERE document = ?", (row,))
    database.execute("DELETE FROM links WHERE document = ?", (row,))
    database.execute("DELETE FROM documents WHERE id = ?", (row,))


def _free_key(where: str, taken: set[str]) -> str:
    """A short key that is safe inside \\cite{}: the path's words, numbered where two files would share it."""
    base = re.sub(r"[^\w]+", "-", where.rsplit(".", 1)[0].lower()).strip("-") or "document"
    key, number = base, 2
    while key in taken:
        key, number = f"{base}-{number}", number + 1
    taken.add(key)
    return key
