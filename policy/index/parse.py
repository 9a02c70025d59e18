"""Documents to paragraphs: Markdown, HTML (trafilatura), PDF (pypdf) and plain text."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

from policy.errors import AgentError

__all__ = ["SUFFIXES", "Document", "Paragraph", "Unreadable", "parse_bytes", "parse_html", "parse_markdown"]

SUFFIXES = frozenset({".md", ".markdown", ".html", ".htm", ".pdf", ".txt"})

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")
_MAX_PDF_PAGES = 2000
_MAX_PDF_CONTENT = 32 * 2**20
"""Bytes of all pages' drawing instructions, unpacked: pages may share one stream, and a few bytes unfold into many."""


class Unreadable(AgentError):
    """The file is no document of its kind, or none that is read."""


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


def parse_bytes(data: bytes, suffix: str, fallback_title: str) -> Document:
    """The document in a file's bytes, by the file's suffix. Raises Unreadable."""
    if suffix == ".pdf":
        return _pdf(data, fallback_title)
    if b"\0" in data[:8192]:
        raise Unreadable("binary, not text")
    text = _decode(data)
    if suffix in (".html", ".htm"):
        return parse_html(text, fallback_title)
    return parse_markdown(text, fallback_title)


def parse_markdown(text: str, fallback_title: str) -> Document:
    """Paragraphs at blank lines, each under the last heading; the first top heading, or front matter, is the title."""
    title, body = _front_matter(text)
    heading, paragraphs = "", list[Paragraph]()
    for block in re.split(r"\n\s*\n", body.replace("\r\n", "\n")):
        lines: list[str] = []
        for line in block.strip("\n").splitlines():
            level, words = _heading(line)
            if not level:
                lines.append(line.rstrip())
                continue
            paragraphs.extend(_split(heading, "\n".join(lines)))
            lines = []
            if not title and level == 1:
                title = words
            heading = words
        paragraphs.extend(_split(heading, "\n".join(lines)))
    return Document(title or fallback_title, tuple(paragraphs))


def parse_html(text: str, fallback_title: str) -> Document:
    """The main content of a page, without its navigation and scripts."""
    import trafilatura

    page = trafilatura.load_html(text)
    if page is None:
        raise Unreadable("no HTML in it")
    titles = page.xpath("//title/text()")
    title = " ".join(titles[0].split()) if titles else fallback_title
    body = trafilatura.extract(
        text, output_format="markdown", include_tables=True, include_comments=False, favor_recall=True
    )
    if not body:
        body = trafilatura.html2txt(text)
    return Document(title, parse_markdown(body or "", title).paragraphs)


def _pdf(data: bytes, fallback_title: str) -> Document:
    import pypdf

    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if len(reader.pages) > _MAX_PDF_PAGES:
            raise Unreadable(f"more than {_MAX_PDF_PAGES} pages")
        title = (reader.metadata.title or "").strip() if reader.metadata else ""
        pages, size = [], 0
        for page in reader.pages:
            content = page.get_contents()
            size += 0 if content is None else len(content.get_data())
            if size > _MAX_PDF_CONTENT:
                raise Unreadable(f"its pages unpack to more than {_MAX_PDF_CONTENT:,} bytes")
            pages.append(page.extract_text())
    except Unreadable:
        raise
    except Exception as error:  # pypdf leaks whatever a broken file makes it meet
        raise Unreadable(f"broken PDF: {error}") from error
    paragraphs = [
        paragraph
        for number, page in enumerate(pages, 1)
        for block in re.split(r"\n\s*\n", page)
        for paragraph in _split(f"page {number}", re.sub(r"-\n(?=[a-z])", "", block))
    ]
    if not paragraphs:
        raise Unreadable("no text in this PDF; scanned pages are not read")
    return Document(title or fallback_title, tuple(paragraphs))


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
    end = text.find("\n---\n", 4) if text.startswith("---\n") else -1
    if end < 0:
        return "", text
    values = [line.removeprefix("title:").strip() for line in text[4:end].split("\n") if line.startswith("title:")]
    title = next((value.strip("\"'") for value in values), "")
    return title, text[end + 5 :]


def _split(heading: str, text: str, most: int = 1200) -> list[Paragraph]:
    """The text as one paragraph, or as several of whole sentences where it is long."""
    text = text.strip()
    if not text:
        return []
    if len(text) <= most:
        return [Paragraph(heading, text)]
    pieces: list[str] = []
    for sentence in _SENTENCE_END.split(text):
        for part in (sentence[i : i + most] for i in range(0, len(sentence), most)):
            if pieces and len(pieces[-1]) + len(part) < most:
                pieces[-1] = f"{pieces[-1]} {part}"
            else:
                pieces.append(part)
    return [Paragraph(heading, piece) for piece in pieces]


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        best = from_bytes(data[:200_000]).best()
        return data.decode(best.encoding if best else "latin-1", errors="replace")


def title_of(path: Path) -> str:
    """A title for a document without one."""
    return path.stem.replace("-", " ").replace("_", " ")
