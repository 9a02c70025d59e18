"""Files of many kinds to documents: what `policy.index.parse` reads, tables, JSON, reStructuredText, e-books, Word, and
each of them packed by gzip.

One file is read by whatever library knows it, and what that library raises is a reason to leave out this file alone.
"""

from __future__ import annotations

import csv
import io
import itertools
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any

from policy.index import parse
from policy.index.parse import Document, Unreadable
from policy.whole import loads

__all__ = ["KINDS", "MAX_BYTES", "kind", "read"]

MAX_BYTES = 64 * 2**20
"""Of a file, and of what is packed in it."""
_GROUP = 800
"""Characters of a table's rows, or of a value's lines, that make a paragraph."""


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


def _grouped(lines: Iterator[str]) -> str:
    """The lines as Markdown, some of them to the paragraph."""
    parts: list[str] = []
    size = _GROUP
    for line in lines:
        if size + len(line) > _GROUP:
            parts.append("")
            size = 0
        parts.append(line)
        size += len(line)
    return "\n".join(parts)


def _table(data: bytes, title: str, delimiter: str = ",") -> Document:
    rows = csv.reader(io.StringIO(parse.text(data), newline=""), delimiter=delimiter)
    head = next(rows, [])

    def lines() -> Iterator[str]:
        for row in rows:
            cells = itertools.zip_longest(head, row[: len(head) + 1], fillvalue="")
            said = ((" ".join(name.split()), " ".join(cell.split())) for name, cell in cells)
            line = "; ".join(f"{name}: {cell}" if name else cell for name, cell in said if cell)
            if line:
                yield f"- {line}"

    return parse.parse_markdown(_grouped(lines()), title)


def _json(data: bytes, title: str) -> Document:
    text = parse.text(data)
    try:
        values = [loads(text)]
    except ValueError:  # lines of JSON
        values = [loads(line) for line in text.split("\n") if line.strip()]
    return parse.parse_markdown("\n".join(_grouped(_leaves(value, "")) for value in values), title)


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


def _word(data: bytes, title: str) -> Document:
    try:
        import mammoth
    except ImportError as error:
        raise Unreadable("Word documents need `pip install checklist-judger[office]`") from error
    with _archive(data):
        page = mammoth.convert_to_html(io.BytesIO(data)).value
    return parse.parse_html(f"<html><head></head><body><article>{page}</article></body></html>", title)


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
    ".docx": _word,
    ".epub": _book,
}

KINDS = parse.SUFFIXES | frozenset(_READERS)
"""The suffixes of what is read; each may have `.gz` behind it."""
