"""An index of paragraphs in one SQLite file, full-text searched by FTS5."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy.errors import ConfigError
from policy.index import parse
from policy.index.dense import Embedder, load_known
from policy.index.fusion import Dense, add_vectors
from policy.index.tokens import query_terms, segment, to_match

__all__ = ["Hit", "Indexed", "LocalIndex", "Passage"]

_SCHEMA = """
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
_VERSION = 2
_VECTORS = "vectors.npz"
_LEXICAL = 200
"""How many passages found by words are weighed against those found by meaning."""
_MAX_FILE_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Passage:
    """One paragraph. Its key, `document#number`, is what a report cites."""

    key: str
    title: str
    location: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage and how well it answers, higher is better."""

    passage: Passage
    score: float


@dataclass(frozen=True, slots=True)
class Indexed:
    """What a build did, in documents; `skipped` are (path, why)."""

    added: int
    unchanged: int
    removed: int
    passages: int
    skipped: tuple[tuple[str, str], ...]


class LocalIndex:
    """Search and reading; `build` makes one. Safe to share between the episodes of one event loop."""

    def __init__(self, database: sqlite3.Connection, dense: Dense | None = None) -> None:
        self._database = database
        self._dense = dense
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, embedder: Embedder | None = None) -> LocalIndex:
        """The index in a file, read-only; with the encoder it was built with, also searched by meaning.

        Raises ConfigError where there is none.
        """
        if not path.is_file():
            raise ConfigError(f"{path}: no index; make one with `judger-agent index DIR -o {path}`")
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        try:
            version = database.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{path}: not an index: {error}") from error
        if version != _VERSION:
            raise ConfigError(f"{path}: not an index of this version; make it again")
        return cls(database, Dense.load(database, embedder) if embedder is not None else None)

    @classmethod
    def in_memory(cls, folder: Path, embedder: Embedder | None = None) -> LocalIndex:
        """An index of a small folder, kept nowhere. Vectors come from `vectors.npz` in it as far as they are there."""
        database = sqlite3.connect(":memory:", check_same_thread=False)
        database.executescript(_SCHEMA)
        _update(database, folder)
        if embedder is not None:
            add_vectors(database, embedder, load_known(folder / _VECTORS, embedder))
        return cls(database, Dense.load(database, embedder) if embedder is not None else None)

    @property
    def num_passages(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM passages").fetchone()[0])

    def candidates(self, query: str, limit: int) -> list[Hit]:
        """What plain FTS5 finds for any of the query's words, by bm25."""
        match = to_match(query_terms(query))
        if not match:
            return []
        rows = self._rows(
            "SELECT d.key, p.number, d.title, d.location, p.heading, p.text, -bm25(words, 1.0, 0.6, 0.6) AS score "
            "FROM words JOIN passages p ON p.id = words.rowid JOIN documents d ON d.id = p.document "
            "WHERE words MATCH ? ORDER BY score DESC LIMIT ?",
            (match, limit),
        )
        return [
            Hit(Passage(f"{key}#{number}", title, location, heading, text), score)
            for key, number, title, location, heading, text, score in rows
        ]

    @property
    def is_dense(self) -> bool:
        """Whether `search` runs the encoder, and so belongs in a thread."""
        return self._dense is not None

    def search(self, query: str, limit: int = 5) -> list[Hit]:
        """The passages that answer a query best, best first: by words, and by meaning where there are vectors."""
        if self._dense is None:
            return self.candidates(query, limit)
        lexical = self.candidates(query, _LEXICAL)
        scores = self._dense.scores(query, {hit.passage.key: hit.score for hit in lexical})
        known = {hit.passage.key: hit.passage for hit in lexical}
        best = sorted(scores, key=lambda key: -scores[key])[:limit]
        return [Hit(known.get(key) or self.read(key)[0], scores[key]) for key in best]

    def read(self, key: str) -> list[Passage]:
        """The passages of a document, or the one that `document#number` names; none where there is no such."""
        document, _, number = key.partition("#")
        rows = self._rows(
            "SELECT p.number, d.title, d.location, p.heading, p.text "
            "FROM passages p JOIN documents d ON d.id = p.document "
            "WHERE d.key = ? AND (? = '' OR p.number = CAST(? AS INTEGER)) ORDER BY p.number",
            (document, number, number),
        )
        return [Passage(f"{document}#{n}", title, where, heading, text) for n, title, where, heading, text in rows]

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        with self._lock:  # searches by meaning come from threads
            return self._database.execute(statement, values).fetchall()

    def close(self) -> None:
        self._database.close()


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
            database.executescript(_SCHEMA)
        elif version != _VERSION:
            raise ConfigError(f"{path}: there is another database in this file")
        with database:
            done = _update(database, folder, on_file)
            if embedder is not None:
                add_vectors(database, embedder, {})
            return done
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"{path}: {error}") from error
    finally:
        database.close()


def _update(database: sqlite3.Connection, folder: Path, on_file: Callable[[Path], None] = lambda _: None) -> Indexed:
    rows = database.execute("SELECT id, location, digest FROM documents")
    known = {where: (row, digest) for row, where, digest in rows}
    taken = {key for (key,) in database.execute("SELECT key FROM documents")}
    added = unchanged = 0
    skipped: list[tuple[str, str]] = []
    for file in _files(folder):
        where = file.relative_to(folder).as_posix()
        on_file(file)
        try:
            if file.stat().st_size > _MAX_FILE_BYTES:
                raise parse.Unreadable(f"larger than {_MAX_FILE_BYTES:,} bytes")
            data = file.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            row, old = known.pop(where, (None, None))
            if old == digest:
                unchanged += 1
                continue
            document = parse.parse_bytes(data, file.suffix.lower(), parse.title_of(file))
        except (parse.Unreadable, OSError) as error:
            skipped.append((where, str(error)))
            continue
        if row is not None:
            taken -= {key for (key,) in database.execute("SELECT key FROM documents WHERE id = ?", (row,))}
            _remove(database, row)
        _insert(database, _free_key(where, taken), where, digest, document)
        added += 1
    for row, _ in known.values():
        _remove(database, row)
    passages = database.execute("SELECT count(*) FROM passages").fetchone()[0]
    return Indexed(added, unchanged, len(known), passages, tuple(skipped))


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.suffix.lower() in parse.SUFFIXES and not hidden and not file.is_symlink() and file.is_file():
            yield file


def _insert(database: sqlite3.Connection, key: str, where: str, digest: str, document: parse.Document) -> None:
    row = database.execute(
        "INSERT INTO documents (key, location, title, digest) VALUES (?, ?, ?, ?)", (key, where, document.title, digest)
    ).lastrowid
    for number, paragraph in enumerate(document.paragraphs, 1):
        passage = database.execute(
            "INSERT INTO passages (document, number, heading, text) VALUES (?, ?, ?, ?)",
            (row, number, paragraph.heading, paragraph.text),
        ).lastrowid
        database.execute(
            "INSERT INTO words (rowid, text, heading, title) VALUES (?, ?, ?, ?)",
            (passage, segment(paragraph.text), segment(paragraph.heading), segment(document.title)),
        )


def _remove(database: sqlite3.Connection, row: int) -> None:
    database.execute("DELETE FROM vectors WHERE passage IN (SELECT id FROM passages WHERE document = ?)", (row,))
    database.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM passages WHERE document = ?)", (row,))
    database.execute("DELETE FROM passages WHERE document = ?", (row,))
    database.execute("DELETE FROM documents WHERE id = ?", (row,))


def _free_key(where: str, taken: set[str]) -> str:
    """A short key that is safe inside \\cite{}: the path's words, numbered where two files would share it."""
    base = re.sub(r"[^\w]+", "-", where.rsplit(".", 1)[0].lower()).strip("-") or "document"
    key, number = base, 2
    while key in taken:
        key, number = f"{base}-{number}", number + 1
    taken.add(key)
    return key
