"""Markdown and plain text to paragraphs: headings, code, tables and front matter are told apart, nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Document", "Paragraph", "parse_markdown", "split"]

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")
_MOST = 1200
"""Characters of a paragraph; a longer one is cut at sentences, rows or lines."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A passage and the heading it stands under."""

    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A title and its paragraphs, in order."""

    title: str
    paragraphs: tuple[Paragraph, ...]
    links: tuple[tuple[str, str], ...] = ()
    """(words, target) of the links that its paragraphs don't spell out, as Markdown does."""


def parse_markdown(text: str, fallback_title: str) -> Document:
    """Paragraphs at blank lines, each under the last heading; the first top heading, or front matter, is the title."""
    title, body = _front_matter(text.replace("\r\n", "\n").replace("\r", "\n"))
    heading, paragraphs = "", list[Paragraph]()
    for kind, lines in _blocks(body):
        match kind:
            case 0:
                paragraphs.extend(split(heading, "\n".join(lines)))
            case -1:
                paragraphs.extend(_by_lines(heading, lines))
            case level:
                if not title and level == 1:
                    title = lines[0]
                heading = lines[0]
    return Document(title or fallback_title, tuple(paragraphs))


def _blocks(body: str) -> Iterator[tuple[int, list[str]]]:
    """(level, [words]) of a heading, (-1, lines) of code or a table, (0, lines) of a paragraph."""
    lines = [line.rstrip() for line in body.split("\n")]
    block: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        fence = _fence(line)
        if fence:
            end = next((n for n in range(at + 1, len(lines)) if _closes(lines[n], fence)), len(lines) - 1)
            yield 0, block
            yield -1, lines[at : end + 1]
            block, at = [], end + 1
            continue
        level, words = _heading(line)
        if (
            not level
            and len(block) == 1
            and (level := _underline(line))
            and not block[0].lstrip().startswith(("-", "|"))
        ):
            words, block = block[0].strip(), []
        if level:
            yield 0, block
            yield level, [words]
            block = []
        elif line.startswith("|"):
            end = next((n for n in range(at, len(lines)) if not lines[n].startswith("|")), len(lines))
            yield 0, block
            yield -1, lines[at:end]
            block, at = [], end
            continue
        elif line.strip():
            block.append(line)
        else:
            yield 0, block
            block = []
        at += 1
    yield 0, block


def _fence(line: str) -> str:
    """The fence that a line opens: three or more ` or ~; empty where it opens none."""
    inner = line.lstrip()
    for mark in ("`", "~"):
        length = len(inner) - len(inner.lstrip(mark))
        if length >= 3 and len(line) - len(inner) <= 3 and not (mark == "`" and "`" in inner[length:]):
            return mark * length
    return ""


def _closes(line: str, fence: str) -> bool:
    inner = line.strip()
    return len(inner) >= len(fence) and not inner.strip(fence[0])


def _underline(line: str) -> int:
    """1 or 2 of the line under a heading, 0 of another."""
    inner = line.strip()
    if len(inner) < 3:
        return 0
    return 1 if not inner.strip("=") else 2 if not inner.strip("-") else 0


def _heading(line: str) -> tuple[int, str]:
    """(level, words) of a Markdown heading; the level is 0 where the line is none. Linear in it, as no pattern was."""
    behind = line.lstrip("#")
    level = len(line) - len(behind)
    words = behind.strip()
    if not 1 <= level <= 6 or not words or not behind[0].isspace():
        return 0, ""
    return level, words.rstrip("#").rstrip() or words


def _front_matter(text: str) -> tuple[str, str]:
    """(title, the rest) of a text that may begin with YAML between two lines of `---`."""
    end = text.find("\n---\n", 3) if text.startswith("---\n") else -1
    if end < 0:
        return "", text
    values = [line.removeprefix("title:").strip() for line in text[4:end].split("\n") if line.startswith("title:")]
    title = next((value.strip("\"'") for value in values), "")
    return title, text[end + 5 :]


def _by_lines(heading: str, lines: list[str]) -> list[Paragraph]:
    """A table or code, cut between lines; each part of a table begins with its head."""
    has_head = len(lines) > 2 and lines[0].startswith("|") and not lines[1].strip("|-: ")
    head = lines[:2] if has_head and len("\n".join(lines[:2])) < _MOST // 3 else []
    parts: list[list[str]] = [[]]
    size = 0
    for line in lines:
        if parts[-1] and size + len(line) > _MOST:
            parts.append(list(head))
            size = sum(map(len, head))
        parts[-1].append(line)
        size += len(line) + 1
    return [paragraph for part in parts for paragraph in split(heading, "\n".join(part), keep=True)]


def split(heading: str, text: str, most: int = _MOST, *, keep: bool = False) -> list[Paragraph]:
    """The text as one paragraph, or as several of whole sentences where it is long; with `keep` its lines stay."""
    text = text.strip("\n") if keep else text.strip()
    if not text.strip():
        return []
    if len(text) <= most or (keep and "\n" in text):
        return [Paragraph(heading, text)]
    pieces: list[str] = []
    for sentence in _SENTENCE_END.split(text):
        for part in (sentence[i : i + most] for i in range(0, len(sentence), most)):
            if pieces and len(pieces[-1]) + len(part) < most:
                pieces[-1] = f"{pieces[-1]} {part}"
            else:
                pieces.append(part)
    # Of thousands of spaces some pieces have nothing else.
    return [Paragraph(heading, piece) for piece in pieces if piece.strip()]
