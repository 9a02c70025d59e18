"""Words and meaning put together: one score for a passage.

    score = (1 - c) * cosine + (LEXICAL + c) * bm25 / best bm25        c: share of the query's letters that are CJK

bm25 alone misses a paraphrase, the encoder alone a rare name; a small share of the first repairs most of the second.
The encoder reads no Chinese, so there words decide.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from policy.index.dense import Embedder, embed_all
from policy.scripts import CJK

__all__ = ["LEXICAL", "Dense", "add_vectors", "text_of"]

LEXICAL = 0.1

_CJK = re.compile(f"[{CJK}]")


class Dense:
    """The vectors of an index in memory, and the encoder for queries."""

    def __init__(self, keys: list[str], matrix: Any, embedder: Embedder) -> None:
        self._keys, self._matrix, self._embedder = keys, matrix, embedder

    @classmethod
    def load(cls, database: sqlite3.Connection, embedder: Embedder) -> Dense | None:
        """None where the index has no vectors of this encoder."""
        import numpy as np

        if database.execute("SELECT name FROM encoder").fetchone() != (embedder.name,):
            return None
        rows = database.execute(
            "SELECT d.key, p.number, v.vector FROM vectors v JOIN passages p ON p.id = v.passage "
            "JOIN documents d ON d.id = p.document ORDER BY p.id"
        ).fetchall()
        joined = b"".join(vector for _, _, vector in rows)
        matrix = np.frombuffer(joined, dtype=np.float16).reshape(len(rows), embedder.width).astype(np.float32)
        return cls([f"{key}#{number}" for key, number, _ in rows], matrix, embedder)

    def scores(self, query: str, lexical: Mapping[str, float]) -> dict[str, float]:
        """The score of every passage, by its key."""
        share = cjk_share(query)
        best = max(lexical.values(), default=0.0) or 1.0
        similarity = self._matrix @ self._embedder([query])[0] if share < 1 else [0.0] * len(self._keys)
        scores = {
            key: (1 - share) * float(cosine) + (LEXICAL + share) * lexical.get(key, 0.0) / best
            for key, cosine in zip(self._keys, similarity, strict=True)
        }
        # A passage without a vector was added without the encoder: it is taken to mean as much as its words say.
        nearest = max(map(float, similarity), default=1.0) if share < 1 else 0.0
        for key, words in lexical.items():
            scores.setdefault(key, ((1 - share) * nearest + LEXICAL + share) * words / best)
        return scores


def cjk_share(query: str) -> float:
    """Which share of the letters of a query is Chinese or Japanese; a character counts as four letters."""
    cjk = 4 * len(_CJK.findall(query))
    others = len(re.findall(r"[^\W\d_]", query)) - cjk // 4
    return cjk / (cjk + others) if cjk else 0.0


def text_of(title: str, heading: str, text: str) -> str:
    """What the encoder reads of a passage: a paragraph alone often does not say what it is about."""
    return f"{title}. {'' if heading in ('', title) else f'{heading}. '}{text}"


def add_vectors(database: sqlite3.Connection, embedder: Embedder, known: Mapping[str, Any]) -> None:
    """Give every passage that has none its vector; all of them anew where another encoder made the old ones."""
    if database.execute("SELECT name FROM encoder").fetchone() != (embedder.name,):
        database.execute("DELETE FROM vectors")
        database.execute("DELETE FROM encoder")
        database.execute("INSERT INTO encoder VALUES (?)", (embedder.name,))
    rows = database.execute(
        "SELECT p.id, d.title, p.heading, p.text FROM passages p JOIN documents d ON d.id = p.document "
        "LEFT JOIN vectors v ON v.passage = p.id WHERE v.passage IS NULL ORDER BY p.id"
    ).fetchall()
    vectors = embed_all([text_of(title, heading, text) for _, title, heading, text in rows], embedder, known)
    database.executemany(
        "INSERT INTO vectors VALUES (?, ?)",
        [(row[0], vector.tobytes()) for row, vector in zip(rows, vectors, strict=True)],
    )
