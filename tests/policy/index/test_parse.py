"""Markdown and its front matter, by hand."""

from __future__ import annotations

import io
import zlib

import pytest

from policy.index.parse import Unreadable, parse_bytes, parse_markdown


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("# Mill", "Mill"),
        ("###### \tThe  mill  ##  ", "The  mill"),
        ("# C#", "C"),
        ("# #", "#"),
        ("####### seven", ""),
        ("#mill", ""),
        ("#  ", ""),
    ],
)
def test_a_heading_is_marks_a_space_and_words(line, heading):
    (paragraph,) = parse_markdown(f"{line}\ntext", "title").paragraphs
    assert paragraph.heading == heading


@pytest.mark.parametrize(
    ("matter", "title"),
    [
        ("title: Tidal mills", "Tidal mills"),
        ("title: 'Tidal mills' ", "Tidal mills"),
        ('date: 1\ntitle:"Tidal mills"\nx: y', "Tidal mills"),
        ("title:\nauthor: nobody", "given"),
        ("subtitle: x", "given"),
        (f"title: a{' ' * 50_000}b", f"a{' ' * 50_000}b"),
    ],
)
def test_the_title_is_that_of_the_front_matter(matter, title):
    document = parse_markdown(f"---\n{matter}\n---\ntext", "given")
    assert document.title == title
    assert [p.text for p in document.paragraphs] == ["text"]


def test_front_matter_that_does_not_end_is_text():
    assert parse_markdown("---\ntitle: x", "given").title == "given"


def test_pages_that_share_one_stream_of_many_bytes_are_not_unpacked_one_after_the_other():
    import pypdf
    from pypdf.generic import NameObject, StreamObject

    writer = pypdf.PdfWriter()
    stream = StreamObject()
    stream.set_data(zlib.compress(b" " * (4 * 2**20)))
    stream[NameObject("/Filter")] = NameObject("/FlateDecode")
    shared = writer._add_object(stream)
    for _ in range(100):
        writer.add_blank_page(100, 100)[NameObject("/Contents")] = shared
    file = io.BytesIO()
    writer.write(file)
    assert len(file.getvalue()) < 100_000
    with pytest.raises(Unreadable, match="unpack to more than"):
        parse_bytes(file.getvalue(), ".pdf", "title")
