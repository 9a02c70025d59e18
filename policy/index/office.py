"""Office documents to paragraphs: Word (mammoth), presentations (python-pptx), workbooks (openpyxl).

The libraries come with the extra `[office]`. None of them bounds its time or memory: what reads a stranger's file is a
process of its own (`policy.index.apart`), and what an archive unpacks to is looked at first.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from policy.index import parse
from policy.index.markdown import split
from policy.index.parse import Document, Paragraph, Unreadable
from policy.index.tables import grouped, said

__all__ = ["presentation", "word", "workbook"]


def word(data: bytes, title: str) -> Document:
    """A .docx: its text, lists and tables."""
    try:
        import mammoth
    except ImportError as error:
        raise _missing("Word documents") from error
    page = mammoth.convert_to_html(io.BytesIO(data)).value
    return parse.parse_html(f"<html><head></head><body><article>{page}</article></body></html>", title)


def presentation(data: bytes, title: str) -> Document:
    """A .pptx: each slide's text, tables, charts' figures and notes, under its number and title."""
    try:
        import pptx
        from pptx.exc import PackageNotFoundError
    except ImportError as error:
        raise _missing("presentations") from error
    try:
        deck = pptx.Presentation(io.BytesIO(data))
    except PackageNotFoundError as error:
        raise Unreadable("no presentation in it") from error
    paragraphs: list[Paragraph] = []
    for number, slide in enumerate(deck.slides, 1):
        title_shape = slide.shapes.title
        name = title_shape.text_frame.text if title_shape is not None else ""
        heading = f"slide {number}" + (f": {' '.join(name.split())}" if name.strip() else "")
        notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        texts = [
            *_shapes(slide.shapes, title_shape),
            f"Notes: {notes.text}" if notes is not None and notes.text.strip() else "",
        ]
        paragraphs += [one for text in texts if text.strip() for one in split(heading, text)]
    return Document((deck.core_properties.title or "").strip() or title, tuple(paragraphs))


def _shapes(shapes: Any, title: Any) -> Iterator[str]:
    for shape in shapes:
        if title is not None and shape.shape_id == title.shape_id:
            continue  # it is the heading
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes, title)
        elif shape.has_text_frame:
            yield "\n".join(line.text for line in shape.text_frame.paragraphs if line.text.strip())
        elif getattr(shape, "has_table", False):
            yield from grouped(said([[cell.text for cell in row.cells] for row in shape.table.rows]))
        elif getattr(shape, "has_chart", False):
            yield from grouped(_chart(shape.chart))


def _chart(chart: Any) -> Iterator[str]:
    if chart.has_title and chart.chart_title.has_text_frame:
        yield chart.chart_title.text_frame.text
    for plot in chart.plots:
        names = [str(name) for name in plot.categories]
        for series in plot.series:
            values = itertools.zip_longest(names, series.values, fillvalue="")
            yield f"- {series.name}: " + "; ".join(f"{name}: {_value(value)}" for name, value in values)


def workbook(data: bytes, title: str) -> Document:
    """An .xlsx: the rows of each sheet, each value by what its column is called. A formula that was never computed is
    shown as it stands."""
    try:
        import openpyxl
    except ImportError as error:
        raise _missing("workbooks") from error
    computed, written = (
        openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=is_computed, keep_links=False)
        for is_computed in (True, False)
    )
    paragraphs: list[Paragraph] = []
    for sheet in computed.worksheets:  # a chart's sheet has no cells
        pairs = zip(sheet.iter_rows(values_only=True), written[sheet.title].iter_rows(values_only=True), strict=False)
        paragraphs += [one for text in grouped(said(_cells(pairs))) for one in split(sheet.title, text)]
    return Document((computed.properties.title or "").strip() or title, tuple(paragraphs))


def _cells(pairs: Iterable[tuple[Sequence[Any], Sequence[Any]]]) -> Iterator[list[str]]:
    nothing: Sequence[Any] = ()
    for values, formulas in pairs:
        if values is nothing:  # a cell in the last row has a million of these before it, all of them one object
            continue
        if not any(value is not None for value in itertools.chain(values, formulas)):
            nothing = values
            continue
        yield [
            _value(formula if value is None else value)
            for value, formula in itertools.zip_longest(values, formulas[: len(values)])
        ]


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    # A day is a datetime here.
    return str(value).removesuffix(" 00:00:00") if isinstance(value, datetime) else str(value)


def _missing(what: str) -> Unreadable:
    return Unreadable(f"{what} need `pip install 'checklist-judger[office]'`")
