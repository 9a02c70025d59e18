"""Documents to paragraphs: Markdown, HTML (trafilatura), PDF (pypdf) and plain text."""

from __future__ import annotations

import io
import re
from pathlib import Path

from policy.errors import AgentError
from policy.index.encoding import decode, is_binary
from policy.index.markdown import Document, Paragraph, parse_markdown, split

__all__ = ["SUFFIXES", "Document", "Paragraph", "Unreadable", "parse_bytes", "parse_html", "parse_markdown", "text"]

SUFFIXES = frozenset({".md", ".markdown", ".html", ".htm", ".pdf", ".txt"})

_MAX_PDF_PAGES = 2000
_MAX_PDF_CONTENT = 32 * 2**20
"""Bytes of all pages' drawing instructions, unpacked: pages may share one stream, and a few bytes unfold into many."""


class Unreadable(AgentError):
    """The file is no document of its kind, or none that is read."""


def parse_bytes(data: bytes, suffix: str, fallback_title: str, charset: str = "") -> Document:
    """The document in a file's bytes, by the file's suffix; `charset` is what a header says. Raises Unreadable."""
    if suffix == ".pdf":
        return _pdf(data, fallback_title)
    words = text(data, charset)
    if suffix in (".html", ".htm"):
        return parse_html(words, fallback_title)
    return parse_markdown(words, fallback_title)


def text(data: bytes, charset: str = "") -> str:
    """The text in a file's bytes, whatever its encoding. Raises Unreadable where there is none."""
    if is_binary(data):
        raise Unreadable("binary, not text")
    return decode(data, charset)


def parse_html(words: str, fallback_title: str) -> Document:
    """The main content of a page, without its navigation and scripts."""
    import trafilatura

    page = trafilatura.load_html(words)
    if page is None:
        raise Unreadable("no HTML in it")
    titles = page.xpath("//title/text()")
    title = " ".join(titles[0].split()) if titles else fallback_title
    body = trafilatura.extract(
        words, output_format="markdown", include_tables=True, include_comments=False, favor_recall=True
    )
    if not body:
        body = trafilatura.html2txt(words)
    links = ((" ".join(link.text_content().split()), link.get("href")) for link in page.xpath("//a[@href]"))
    return Document(title, parse_markdown(body or "", title).paragraphs, tuple(links))


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
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # pypdf leaks whatever a broken file makes it meet
        raise Unreadable(f"broken PDF: {error}") from error
    paragraphs = [
        paragraph
        for number, page in enumerate(pages, 1)
        for block in re.split(r"\n\s*\n", page)
        for paragraph in split(f"page {number}", re.sub(r"-\n(?=[a-z])", "", block))
    ]
    if not paragraphs:
        raise Unreadable("no text in this PDF; scanned pages are not read")
    return Document(title or fallback_title, tuple(paragraphs))


def title_of(path: Path) -> str:
    """A title for a document without one."""
    return path.stem.replace("-", " ").replace("_", " ")
