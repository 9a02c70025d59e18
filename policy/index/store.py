"""An index of paragraphs in one SQLite file, full-text searched by FTS5."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy.errors import ConfigError
from policy.index.build import SCHEMA, VERSION, update
from policy.index.dense import Embedder, load_known
from policy.index.fusion import Dense, add_vectors
from policy.index.links import Link
from policy.index.tokens import query_terms, to_match

__all__ = ["Hit", "LocalIndex", "Passage"]

_VECTORS = "vectors.npz"
_LEXICAL = 200
"""How many passages found by words are weighed against those found by meaning."""


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


class LocalIndex:
    """Search and reading; `build` makes one. Safe to share between the episodes of one event loop."""

    def __init__(self, database: sqlite3.Connection, dense: Dense | None = None) -> None:
        self._database = database
        self._dense = dense
        self._lock = threading.Lock()
        weakref.finalize(self, database.close)  # newer Pythons warn of a connection that nobody closed

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
        if version != VERSION:
            raise ConfigError(f"{path}: not an index of this version; make it again")
        return cls(database, Dense.load(database, embedder) if embedder is not None else None)

    @classmethod
    def in_memory(cls, folder: Path, embedder: Embedder | None = None) -> LocalIndex:
        """An index of a small folder, kept nowhere. Vectors come from `vectors.npz` in it as far as they are there."""
        database = sqlite3.connect(":memory:", check_same_thread=False)
        database.executescript(SCHEMA)
        update(database, folder)
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

    def documents(self) -> list[tuple[str, str, str]]:
        """(key, title, location) of every document, in the order in which they were read."""
        return [tuple(row) for row in self._rows("SELECT key, title, location FROM documents ORDER BY id", ())]

    def digest(self) -> str:
        """Sixteen hex digits that stand for the files it was made of."""
        rows = self._rows("SELECT location, digest FROM documents ORDER BY location", ())
        return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]

    def links(self) -> list[Link]:
        """The links between its documents, in their order; those that lead out of it are left out.

        Raises ConfigError for an index made before links were kept.
        """
        if not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'links'", ()):
            raise ConfigError("this index was made before links were kept; refresh it with `judger-agent index`")
        rows = self._rows(
            "SELECT d.key, l.number, t.key, l.text FROM links l JOIN documents d ON d.id = l.document "
            "JOIN documents t ON t.location = l.target WHERE t.id != d.id ORDER BY l.rowid",
            (),
        )
        return [Link(*row) for row in rows]

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        with self._lock:  # searches by meaning come from threads
            return self._database.execute(statement, values).fetchall()

    def close(self) -> None:
        self._database.close()
