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


def test_thousands_of_spaces_are_no_paragraph():
    texts = [p.text for p in parse_markdown(f"The mill{' ' * 5000}grinds.", "t").paragraphs]
    assert [text.strip() for text in texts] == ["The mill", "grinds."]


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


def _read(text):
    document = parse_markdown(text, "given")
    return document.title, [(one.heading, one.text) for one in document.paragraphs]


def test_marks_in_code_are_no_headings():
    code = "```sh\n# not a heading\n\nls\n===\n```"
    assert _read(f"# Mill\n\n{code}\n\nAfter.") == ("Mill", [("Mill", code), ("Mill", "After.")])
    assert _read("~~~\n# a\n```\n# b\n~~~\n# C\nd")[1][1] == ("C", "d")
    assert _read("```\n# never closed")[1] == [("", "```\n# never closed")]


def test_underlined_headings_are_headings():
    assert _read("Mill\n====\n\nOak.\n\nWheel\n-----\nTurns.\n") == ("Mill", [("Mill", "Oak."), ("Wheel", "Turns.")])
    assert _read("- a list\n---\n\n| a |\n|---|\n")[1][0][1].startswith("- a list")


def test_front_matter_with_carriage_returns_is_front_matter():
    assert _read("---\r\ntitle: Mill\r\n---\r\n\r\nOak.\r\n") == ("Mill", [("", "Oak.")])


def test_a_long_table_is_cut_between_rows_and_each_part_has_its_head():
    rows = [f"| {n} | {'value ' * 10}|" for n in range(200)]
    paragraphs = [text for _, text in _read("\n".join(["| n | v |", "|---|---|", *rows]))[1]]
    assert len(paragraphs) > 5
    assert all(text.startswith("| n | v |\n|---|---|\n| ") for text in paragraphs)
    assert [line for text in paragraphs for line in text.split("\n")[2:]] == rows


def test_no_word_of_a_text_is_lost():
    text = "# A\n\nb c\n===\nd\n\n```\ne\n\nf\n```\n| g |\n| h |\ni\n\n    j\n-----\n" + "k " * 2000
    title, paragraphs = _read(text)
    told = " ".join([title, *(f"{heading} {words}" for heading, words in paragraphs)]).split()
    assert set("A b c d e f g h i j k".split()) <= set(told)
    assert told.count("k") == 2000
