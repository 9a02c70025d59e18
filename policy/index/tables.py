"""Rows and values as lines of text, some of them to the paragraph. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["grouped", "said"]

_GROUP = 800
"""Characters of a table's rows, or of a value's lines, that make a paragraph."""


def said(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A line for each row behind the first, which names the columns; the first itself where it is alone."""
    remaining = iter(rows)
    head = next(remaining, [])
    is_alone = True
    for row in remaining:
        cells = itertools.zip_longest(head, row, fillvalue="")
        pairs = ((" ".join(name.split()), " ".join(cell.split())) for name, cell in cells)
        line = "; ".join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)
        if line:
            is_alone = False
            yield f"- {line}"
    if is_alone and any(head):
        yield "- " + "; ".join(" ".join(cell.split()) for cell in head if cell.strip())


def grouped(lines: Iterable[str]) -> Iterator[str]:
    """Paragraphs, each of some of the lines."""
    part: list[str] = []
    size = 0
    for line in lines:
        if part and size + len(line) > _GROUP:
            yield "\n".join(part)
            part, size = [], 0
        part.append(line)
        size += len(line)
    if part:
        yield "\n".join(part)
