"""The links between documents: where a passage refers to another document, and in which words.

source document, passage number -> target (an address, or a path from the folder), words of the link
"""

from __future__ import annotations

import posixpath
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from policy.index.markdown import Paragraph
from policy.whole import whole_text

__all__ = ["Link", "add_links", "ensure", "found_in"]

SCHEMA = """
CREATE TABLE links (document INTEGER REFERENCES documents, number INTEGER, target TEXT, text TEXT);
CREATE INDEX links_of ON links (document);
CREATE INDEX links_to ON links (target);
"""
_LINK = re.compile(r"(?<!!)\[([^\[\]\n]{1,200})\]\(([^()\s]{1,500})\)")
"""Markdown's inline link; not an image."""
MAX_APART = 1000
"""Of a page's links that no passage spells out, how many different ones are looked for: each costs a look at it all."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link between two documents of an index, by their keys."""

    source: str
    number: int
    """Of the passage that holds it, counted from 1."""
    target: str
    text: str


def ensure(database: sqlite3.Connection) -> None:
    """Have the table, also in an index that was made before there was one: its files are then read again."""
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'links'").fetchone():
        for statement in SCHEMA.strip().split("\n"):
            database.execute(statement)
        database.execute("UPDATE documents SET digest = ''")


def found_in(paragraphs: Sequence[Paragraph], others: Sequence[tuple[str, str]] = ()) -> list[tuple[int, str, str]]:
    """(number, target, words) of the links in Markdown, and of `others`, (words, target), whose words a paragraph has.

    A page's navigation is in no paragraph, and so its links are none.
    """
    links = [
        (number, target, text)
        for number, paragraph in enumerate(paragraphs, 1)
        for text, target in _LINK.findall(paragraph.text)
    ]
    for words, target in list(dict.fromkeys((" ".join(text.split()), target) for text, target in others))[:MAX_APART]:
        number = next((n for n, paragraph in enumerate(paragraphs, 1) if words and words in paragraph.text), 0)
        if number:
            links.append((number, target, words))
    return links


def add_links(database: sqlite3.Connection, row: int, where: str, links: Sequence[tuple[int, str, str]]) -> None:
    """Keep those of one document, whose own place in the folder is `where`."""
    database.executemany(
        "INSERT INTO links (document, number, target, text) VALUES (?, ?, ?, ?)",
        [(row, number, whole_text(_resolved(where, target)), whole_text(text)) for number, target, text in links],
    )


def _resolved(where: str, target: str) -> str:
    """The target's place in the folder; an address as it is."""
    try:
        parts = urlsplit(target)
    except ValueError:  # such as a bracket that is no address's
        return target
    if parts.scheme or parts.netloc:
        return target
    path = unquote(parts.path)
    joined = path.lstrip("/") if path.startswith("/") else posixpath.join(posixpath.dirname(where), path)
    return posixpath.normpath(joined) if path else where
