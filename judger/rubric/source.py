"""Bytes in, JSON values out: a file, gzip-compressed or not, as JSON lines, one JSON document or one YAML document.

Nothing but a Fault comes of a bad file: a missing one, one that is no UTF-8, a truncated gzip, a line without end.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from judger.rubric import strict_yaml
from judger.rubric.looks import MOST, by_magic, is_document
from judger.rubric.place import Faults, Place
from judger.rubric.strict_json import REFUSED, Parser
from judger.rubric.tables import is_table, rows

#: More than the largest case allowed takes with every character escaped; a gzip bomb ends here.
MAX_LINE = 128 * 2**20
GZIP_MAGIC = b"\x1f\x8b"
UTF8_BOM = b"\xef\xbb\xbf"
WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")


def read_values(path: str | Path, faults: Faults, *, kind: str = "") -> Iterator[tuple[object, Place]]:
    """Every value of a file with its place: one per line of JSON lines, one for a `.json` or `.yaml` document.

    `kind` is "lines", "json", "yaml" or "table"; without it the name tells.

    A value that is no JSON is a fault and left out. A `.json` file of several documents is read as JSON lines.
    """
    kind = kind or _kind(path)
    parser = Parser(faults)
    before = len(faults.found)
    empty = True
    if kind == "table":
        for number, text in rows(path, faults):
            empty = False
            value, place = parser.parse(text, number)
            if value is not REFUSED:
                yield value, place
    elif kind == "lines":
        lines = read_lines(path, faults)
        start = list(islice(lines, 1))
        if start and _is_opened(start[0][1]):
            start += _up_to(lines, MOST)
            if is_document(text := "\n".join(line for _, line in start)):
                if Path(path).suffix:
                    faults.add(start[0][0], "json", "is one JSON document over several lines: name the file .json")
                else:  # a pipe has no name that could tell
                    yield parser.parse(text, start[0][0])
                return
        for number, line in chain(start, lines):
            empty = False
            value, place = parser.parse(line, number)
            if value is not REFUSED:
                yield value, place
    else:
        text = "\n".join(_bounded(read_lines(path, faults, keep_blank=True), faults))
        empty = not text.strip()
        if not empty and len(faults.found) == before:
            documents = [strict_yaml.parse(text, faults)] if kind == "yaml" else _json_documents(text, parser, faults)
            yield from ((value, place) for value, place in documents if value is not REFUSED)
    if empty and len(faults.found) == before:
        faults.add(1, "file", "is empty")


def read_lines(path: str | Path, faults: Faults, *, keep_blank: bool = False) -> Iterator[tuple[int, str]]:
    """Every line of a UTF-8 file with its number, without its end; blank lines are left out unless kept."""
    number = 0
    try:
        with open(path, "rb") as raw:
            is_gzip = raw.peek(2)[:2] == GZIP_MAGIC
            file: BinaryIO | gzip.GzipFile = gzip.GzipFile(fileobj=raw) if is_gzip else raw
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    faults.add(number, "line", f"is longer than {MAX_LINE:,} bytes")
                    return
                if number == 1 and (words := by_magic(line)):
                    faults.add(1, "file", words)
                    return
                if number == 1 and line.startswith((UTF8_BOM, *WIDE_BOMS)):
                    if not line.startswith(UTF8_BOM):
                        faults.add(1, "encoding", "is UTF-16: save the file as UTF-8")
                        return
                    faults.add(1, "encoding", "starts with a byte order mark: save the file as UTF-8 without one")
                    line = line[len(UTF8_BOM) :]
                try:
                    text = line.decode("utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    reason = f"is not UTF-8: byte 0x{line[error.start]:02X} at column {error.start + 1}"
                    faults.add(number, "encoding", reason)
                    continue
                if keep_blank or (text and not text.isspace()):
                    yield number, text
    except EOFError:
        faults.add(number + 1, "gzip", "is truncated")
    except (gzip.BadGzipFile, zlib.error) as error:
        faults.add(number + 1, "gzip", f"is damaged: {error}")
    except OSError as error:
        faults.add(number or 1, "file", f"can't be read: {error.strerror or error}")
    except ValueError as error:  # a path that the operating system can't even be asked about
        faults.add(1, "file", f"can't be read: {error}")


def _kind(path: str | Path) -> str:
    if is_table(path):
        return "table"
    name = Path(path).name.lower().removesuffix(".gz")
    if name.endswith((".yaml", ".yml")):
        return "yaml"
    return "json" if name.endswith(".json") else "lines"


def _up_to(lines: Iterator[tuple[int, str]], most: int) -> list[tuple[int, str]]:
    """The next lines, of about `most` characters together."""
    taken: list[tuple[int, str]] = []
    for number, line in lines:
        taken.append((number, line))
        most -= len(line)
        if most < 0:
            break
    return taken


def _bounded(lines: Iterator[tuple[int, str]], faults: Faults) -> Iterator[str]:
    """The lines of a document, which may not grow without end either."""
    size = 0
    for number, line in lines:
        size += len(line)
        if size > MAX_LINE:
            faults.add(number, "file", f"is longer than {MAX_LINE:,} characters")
            return
        yield line


def _json_documents(text: str, parser: Parser, faults: Faults) -> list[tuple[object, Place]]:
    before = len(faults.found)
    whole = parser.parse(text, 1)
    if whole[0] is not REFUSED or not _is_lines(text):
        return [whole]
    del faults.found[before:]
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    return [parser.parse(line, number) for number, line in lines]


def _is_lines(text: str) -> bool:
    """Whether the first line is an object by itself: JSON lines under the name of a document."""
    first = text.lstrip().split("\n", 1)[0].strip()
    return isinstance(_scratch(first), dict)


def _is_opened(line: str) -> bool:
    """Whether a line begins an object or a list and is none by itself."""
    return line.lstrip().startswith(("{", "[")) and _scratch(line) is REFUSED


def _scratch(text: str) -> object:
    return Parser(Faults("", lambda _: None)).parse(text, 1)[0]
