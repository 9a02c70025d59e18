"""Files of many kinds to documents: what `policy.index.parse` reads, tables, JSON, reStructuredText, e-books, office
documents, and each of them packed by gzip.

One file is read by whatever library knows it, and what that library raises is a reason to leave out this file alone.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import Any

from policy.index import office, parse
from policy.index.markdown import split
from policy.index.parse import Document, Unreadable
from policy.index.tables import grouped, said
from policy.whole import loads

__all__ = ["KINDS", "MAX_BYTES", "kind", "read"]

MAX_BYTES = 64 * 2**20
"""Of a file, and of what is packed in it."""


def kind(name: str) -> str:
    """The suffix that says how a file is read, without the `.gz` it may be packed by."""
    lower = name.lower()
    return PurePath(lower.removesuffix(".gz")).suffix


def read(data: bytes, name: str, title: str, charset: str = "") -> Document:
    """The document in a file's bytes, by the file's name; `charset` is what a header says.

    Raises Unreadable, whatever is wrong with them, and MemoryError.
    """
    try:
        if name.lower().endswith(".gz"):
            data, title = _unpack(data), PurePath(title).stem
        reader = _READERS.get(kind(name))
        document = reader(data, title) if reader else parse.parse_bytes(data, kind(name), title, charset)
    except (Unreadable, MemoryError):
        raise
    except Exception as error:
        raise Unreadable(f"broken {kind(name)}: {type(error).__name__}: {str(error)[:200]}") from error
    if not document.paragraphs:
        raise Unreadable("no text in it")
    return document


def _unpack(data: bytes) -> bytes:
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    out = b""
    while data:
        out += inflater.decompress(data, MAX_BYTES - len(out) + 1)
        if len(out) > MAX_BYTES:
            raise Unreadable(f"it unpacks to more than {MAX_BYTES:,} bytes")
        data = inflater.unused_data
        if not inflater.eof:
            raise Unreadable("its gzip is cut off")
        inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    return out


def _table(data: bytes, title: str, delimiter: str = ",") -> Document:
    rows = csv.reader(io.StringIO(parse.text(data), newline=""), delimiter=delimiter)
    return _of_lines([said(rows)], title)


def _json(data: bytes, title: str) -> Document:
    text = parse.text(data)
    try:
        values = [loads(text)]
    except ValueError:  # lines of JSON
        values = [loads(line) for line in text.split("\n") if line.strip()]
    return _of_lines((_leaves(value, "") for value in values), title)


def _of_lines(values: Iterable[Iterable[str]], title: str) -> Document:
    """A document of values' lines; no paragraph has lines of two values."""
    texts = (text for lines in values for text in grouped(lines))
    return Document(title, tuple(one for text in texts for one in split("", text)))


def _leaves(value: Any, where: str) -> Iterator[str]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from _leaves(inner, f"{where}.{key}" if where else key)
        case list():
            for number, inner in enumerate(value):
                yield from _leaves(inner, f"{where}[{number}]")
        case None:
            return
        case _:
            yield f"- {where}: {' '.join(str(value).split())}" if where else " ".join(str(value).split())


def _rst(data: bytes, title: str) -> Document:
    """Its headings as Markdown's; their levels are the order in which their underlines first appear."""
    lines = parse.text(data).splitlines()
    levels: list[str] = []
    out: list[str] = []
    for line in lines:
        mark = line.strip()[:1]
        is_rule = bool(mark) and not mark.isalnum() and set(line.strip()) == {mark} and len(line.strip()) > 2
        over = out[-1].strip() if out else ""
        if is_rule and over and not over.startswith("#") and len(line.strip()) >= len(over) - 1:
            if mark not in levels:
                levels.append(mark)
            out[-1] = f"{'#' * min(6, levels.index(mark) + 1)} {over}"
            out.append("")
        elif not is_rule:  # the line above a heading, or a table's rule
            out.append(line)
    return parse.parse_markdown("\n".join(out), title)


def _packed(reader: Callable[[bytes, str], Document]) -> Callable[[bytes, str], Document]:
    """The same of an archive that does not unpack to more than is read."""

    def read(data: bytes, title: str) -> Document:
        with _archive(data):
            return reader(data, title)

    return read


def _book(data: bytes, title: str) -> Document:
    """An EPUB: its pages, as they stand in the archive."""
    paragraphs: list[parse.Paragraph] = []
    with _archive(data) as book:
        for name in book.namelist():
            if name.lower().endswith((".xhtml", ".html", ".htm")):
                page = parse.parse_html(parse.text(book.read(name)), title)
                paragraphs += [
                    parse.Paragraph(paragraph.heading or page.title, paragraph.text) for paragraph in page.paragraphs
                ]
    return Document(title, tuple(paragraphs))


def _archive(data: bytes) -> zipfile.ZipFile:
    """The archive, which unpacks to no more than is read. No member has more bytes than it says."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
        raise Unreadable(f"it unpacks to more than {MAX_BYTES:,} bytes")
    return archive


_READERS: dict[str, Callable[[bytes, str], Document]] = {
    ".csv": _table,
    ".tsv": lambda data, title: _table(data, title, "\t"),
    ".json": _json,
    ".jsonl": _json,
    ".rst": _rst,
    ".docx": _packed(office.word),
    ".pptx": _packed(office.presentation),
    ".xlsx": _packed(office.workbook),
    ".epub": _book,
}

KINDS = parse.SUFFIXES | frozenset(_READERS)
"""The suffixes of what is read; each may have `.gz` behind it."""
