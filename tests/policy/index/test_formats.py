"""Files of many kinds, and what is wrong with them."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile

import pytest

from policy.cli import main
from policy.index import formats
from policy.index.parse import Unreadable
from tests.policy.index.made import book, sheets, slides, word


def _texts(data, name):
    return [(p.heading, p.text) for p in formats.read(data, name, "title").paragraphs]


def test_tables_and_json_are_read_by_what_their_values_are_called():
    assert _texts(b"place,range\nVoe,2.9\nSandwick,3.1\n", "a.csv") == [
        ("", "- place: Voe; range: 2.9\n- place: Sandwick; range: 3.1")
    ]
    assert _texts(b"a\tb\n1\t2\n", "a.tsv") == [("", "- a: 1; b: 2")]
    value = json.dumps({"tide": {"Voe": [2.9, None]}, "note": "high"}).encode()
    assert _texts(value, "a.json") == [("", "- tide.Voe[0]: 2.9\n- note: high")]
    assert _texts(b'"# of boats: 3"', "a.json") == [("", "# of boats: 3")]
    assert len(_texts(b'{"a": 1}\n{"a": 2}\n', "a.jsonl")) == 2


def test_tables_books_and_all_else_are_in_any_encoding_that_plain_text_may_be_in():
    table = "Ort,Höhe\nVoe,2.9\n"
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        assert _texts(table.encode(encoding), "a.csv") == [("", "- Ort: Voe; Höhe: 2.9")]
    with pytest.raises(Unreadable, match="binary"):
        formats.read(b"a,b\n\0,1\n", "a.csv", "")


def test_restructured_text_has_its_headings():
    text = b"Tides\n=====\n\nThey rise.\n\nNeap\n----\n\nThey rise less.\n"
    assert _texts(text, "a.rst") == [("Tides", "They rise."), ("Neap", "They rise less.")]


def test_books_word_documents_and_packed_files_are_read():
    assert ("One", "The first page of the mill's book says when it was built.") in _texts(book(), "a.epub")
    assert any("The mill grinds" in text for _, text in _texts(word("The mill grinds after high water."), "a.docx"))
    assert _texts(gzip.compress(b"# A\n\nText.") * 1, "a.md.GZ") == [("A", "Text.")]


def test_a_row_that_is_longer_than_its_head_is_read_to_its_end():
    assert _texts(b"place,range\nVoe,2.9,a,b,c\n", "a.csv") == [("", "- place: Voe; range: 2.9; a; b; c")]
    assert _texts(b"place,range\n", "a.csv") == [("", "- place; range")]


def test_presentations_are_read_by_slide_with_tables_figures_groups_and_notes():
    assert _texts(slides(), "a.pptx") == [
        ("slide 1: Tides at Voe", "High water\nLow water"),
        ("slide 1: Tides at Voe", "Notes: Say it slowly"),
        ("slide 2", "- place: Voe; range: 2.9"),
        ("slide 2", "- Catch: 2020: 3; 2021: 4.5"),
        ("slide 2", "in a group"),
    ]


def test_workbooks_are_read_by_sheet_and_an_empty_million_rows_take_no_minutes():
    assert _texts(sheets(), "a.xlsx") == [
        (
            "Catch",
            "- place: Voe; tons: 3; when: 2020-01-02; sum: =B2*2\n"
            "- place: Sandwick; when: 2020-01-03 04:05:00; sum: True",
        ),
        ("Far", "- in the last cell"),
    ]


@pytest.mark.parametrize(("name", "make"), [("a.pptx", slides), ("a.xlsx", sheets), ("a.docx", lambda: word("Mill."))])
def test_an_office_document_that_is_damaged_or_unpacks_to_too_much_is_refused(name, make, monkeypatch):
    data = make()
    for broken in (data[: len(data) // 2], book(), b"PK", b""):
        with pytest.raises(Unreadable):
            formats.read(broken, name, "")
    monkeypatch.setattr(formats, "MAX_BYTES", 300)
    with pytest.raises(Unreadable, match="unpacks to more than 300 bytes"):
        formats.read(data, name, "")


BOMB = '<!DOCTYPE b [<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)) + "]>"


@pytest.mark.parametrize(
    ("name", "make", "member", "word"),
    [
        ("a.xlsx", sheets, "xl/workbook.xml", "Catch"),
        ("a.xlsx", sheets, "xl/worksheets/sheet1.xml", "place"),
        ("a.pptx", slides, "ppt/slides/slide1.xml", "Voe"),
    ],
)
def test_entities_of_a_document_neither_unfold_without_end_nor_read_files(name, make, member, word, tmp_path):
    (tmp_path / "secret").write_text("told")
    outside = f'<!DOCTYPE b [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>'
    for head, entity in ((BOMB, "&a11;"), (outside, "&x;")):
        packed = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(make())) as old, zipfile.ZipFile(packed, "w") as new:
            for each in old.namelist():
                text = old.read(each).decode("utf-8", "surrogateescape")
                if each == member:
                    assert word in text
                    text = head + text[text.find("?>") + 2 if text.startswith("<?") else 0 :].replace(word, entity)
                new.writestr(each, text.encode("utf-8", "surrogateescape"))
        try:
            assert not any("told" in p.heading + p.text for p in formats.read(packed.getvalue(), name, "").paragraphs)
        except Unreadable:
            continue
        assert head is outside


def test_what_unpacks_to_more_than_a_file_may_have_is_refused(monkeypatch):
    monkeypatch.setattr(formats, "MAX_BYTES", 10_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.html", b" " * 20_000)
    for name, data in (("a.txt.gz", gzip.compress(b" " * 20_000)), ("a.epub", packed.getvalue())):
        with pytest.raises(Unreadable, match="unpacks to more than 10,000 bytes"):
            formats.read(data, name, "")


def test_one_file_that_cannot_be_read_costs_itself_alone_and_is_named(tmp_path, capsys):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "good.md").write_text("# Good\n\nText.")
    for name in ("a.pdf", "b.docx", "c.epub", "d.json", "e.md.gz", "f.csv"):
        (folder / name).write_bytes(b"\x00\xff%PDF-1.4 broken")
    (folder / "g.png").write_bytes(b"x")
    with open(os.path.join(os.fsencode(folder), b"caf\xe9.md"), "w") as file:
        file.write("# Caf\n\nIts name is Latin-1.")
    assert main(["index", str(folder), "--no-dense", "-o", str(tmp_path / "i.sqlite")]) == 0
    shown = capsys.readouterr()
    assert "2 passages (2 read" in shown.out
    assert [line.split(":")[0] for line in shown.err.splitlines()] == [
        *(f"skipped {name}" for name in ("a.pdf", "b.docx", "c.epub", "d.json", "e.md.gz", "f.csv")),
        "left out, of kinds that are not read",
    ]
    assert shown.err.endswith("1 .png\n")
