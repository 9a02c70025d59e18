"""Bytes to text: which encoding a file or page is in.

In this order: a byte order mark; what the header says; what the page itself says; UTF-8, also with a bad byte or two; a
western European one (Windows-1252) where few bytes are not ASCII and stand alone; else what charset-normalizer finds in
the part where such bytes are.
"""

from __future__ import annotations

import codecs
import re

__all__ = ["decode", "is_binary"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META = re.compile(
    rb"<(?:meta|\?xml)\b[^<>]{0,400}?(?:charset|encoding)\s{0,9}=\s{0,9}[\"']?([\w:.-]{1,40})", re.IGNORECASE
)
_HIGH = re.compile(rb"[\x80-\xff]")
_HIGH_RUN = re.compile(rb"[\x80-\xff]{4,}")
_SAMPLE = 100_000


def is_binary(data: bytes) -> bool:
    """Whether the bytes are no text in any encoding that is read."""
    return b"\0" in data[:8192] and not any(data.startswith(mark) for mark, _ in _MARKS[1:])


def decode(data: bytes, charset: str = "") -> str:
    """The text; what no encoding explains is shown as replacement characters."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, errors="replace")
    declared = _META.search(data[:4096])
    for name in (charset, declared.group(1).decode("ascii", "replace") if declared else ""):
        if name and (text := _strictly(data, name)) is not None:
            return text
    text = _strictly(data, "utf-8")
    if text is not None:
        return text
    loose = data.decode("utf-8", errors="replace")
    broken, other = loose.count("\ufffd"), sum(1 for character in loose if character > "\x7f")
    if broken * 3 <= other:  # what is not UTF-8 has hardly a whole character of it
        return loose
    high = sum(1 for _ in _HIGH.finditer(data))
    if high * 6 < len(data) and not _HIGH_RUN.search(data):
        return _western(data)
    from charset_normalizer import from_bytes

    first = _HIGH.search(data)
    start = max(0, (first.start() if first else 0) - 1000)
    best = from_bytes(data[start : start + _SAMPLE]).best()
    return data.decode(best.encoding, errors="replace") if best else _western(data)


def _strictly(data: bytes, name: str) -> str | None:
    """The text in the encoding that is said to be its own; None where it is not."""
    try:
        codec = codecs.lookup(name).name
        if codec in ("iso8859-1", "ascii"):  # as browsers do: what is called Latin-1 is Windows-1252
            return _western(data) if codec == "iso8859-1" or data.isascii() else None
        if codec == "gb2312":
            codec = "gb18030"
        text = data.decode(codec)
        return text if isinstance(text, str) else None
    except (LookupError, UnicodeError, ValueError, AssertionError):
        return None


def _western(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")
