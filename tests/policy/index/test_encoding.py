"""Bytes of pages and files as text."""

from __future__ import annotations

import codecs

import pytest

from policy.index.encoding import decode
from policy.index.parse import parse_bytes

CHINESE = "都江堰是中国古代的水利工程，至今仍在使用。" * 8
WEST = "The café “Zum Löwen” – naïve, 5 €, and the rest of it is plain. "


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        (WEST.encode("cp1252"), "", WEST),
        (WEST.encode("cp1252"), "iso-8859-1", WEST),
        (b"a" * 250_000 + " Dvořák".encode("iso-8859-2"), "iso-8859-2", "a" * 250_000 + " Dvořák"),
        (b"a " * 110_000 + "é à ü".encode("latin-1"), "", "a " * 110_000 + "é à ü"),
        (CHINESE.encode("gb18030"), "gb2312", CHINESE),
        (CHINESE.encode("gb18030"), "", CHINESE),
        (CHINESE.encode("utf-8"), "iso-8859-9000", CHINESE),
        (CHINESE.encode("utf-8"), "us-ascii", CHINESE),
        (CHINESE.encode("utf-8"), "hex", CHINESE),
        (codecs.BOM_UTF16_LE + CHINESE.encode("utf-16-le"), "", CHINESE),
        (codecs.BOM_UTF16_BE + WEST.encode("utf-16-be"), "utf-8", WEST),
        (codecs.BOM_UTF8 + WEST.encode(), "latin-1", WEST),
        (
            b'<meta charset="windows-1251">' + "Привет, мир".encode("cp1251"),
            "",
            '<meta charset="windows-1251">Привет, мир',
        ),
        (b"", "", ""),
    ],
)
def test_text_is_read_in_the_encoding_it_is_in(data, charset, text):
    assert decode(data, charset) == text


def test_one_bad_byte_costs_one_character():
    data = bytearray((WEST + CHINESE).encode())
    data[WEST.encode().find("é".encode())] = 0xFF
    assert decode(bytes(data)).count("\ufffd") <= 2
    assert CHINESE in decode(bytes(data))
    assert decode("日本".encode() + b"\xff" + "語".encode()) == "日本\ufffd語"  # of a few characters, too


def test_utf_16_with_its_mark_is_no_binary_file():
    document = parse_bytes(codecs.BOM_UTF16_LE + "# Mill\n\nOak.".encode("utf-16-le"), ".md", "x")
    assert (document.title, document.paragraphs[0].text) == ("Mill", "Oak.")
