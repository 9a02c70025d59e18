"""What search services answer, read as sources. Pure: bytes of a stranger in, sources out, or BadReply.

A row that is none is left out; a reply that has no rows because it is something else is a fault, and never
"nothing found".
"""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from policy.sources import Source
from policy.web.fetch import page_key
from policy.whole import loads, whole_text

__all__ = ["BadReply", "pubmed_ids", "read"]

_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,400}>")
_MOST_CHARS = 4_000
"""Of a snippet or an abstract."""


class BadReply(ValueError):
    """The reply is not what the service sends."""


def read(provider: str, data: bytes) -> list[Source]:
    """The results in a reply, best first. Raises BadReply."""
    match provider:
        case "duckduckgo":
            return _duckduckgo(data)
        case "arxiv":
            return _arxiv(data)
        case "pubmed":
            return _pubmed(data) if data else []
        case _:
            return _json(provider, data)


def pubmed_ids(data: bytes) -> list[str]:
    """The ids that PubMed's esearch has found."""
    reply = _loads(data)
    found = reply.get("esearchresult") if isinstance(reply, dict) else None
    ids = found.get("idlist") if isinstance(found, dict) else None
    if not isinstance(ids, list):
        raise BadReply("its answer has no list of results")
    return [one for one in ids if isinstance(one, str) and one.isdecimal()][:100]


def _json(provider: str, data: bytes) -> list[Source]:
    reply = _loads(data)
    if provider == "brave" and isinstance(reply, dict):
        # Brave leaves `web` out where it has found nothing.
        reply = reply.get("web", {"results": []} if reply.get("type") == "search" else None)
    rows = reply.get("results") if isinstance(reply, dict) else None
    if not isinstance(rows, list):
        raise BadReply("its answer has no list of results")
    found = []
    for row in rows:
        if isinstance(row, dict):
            text = next((row[name] for name in ("description", "content") if isinstance(row.get(name), str)), "")
            title = row.get("title")
            found.append(_source(row.get("url"), title if isinstance(title, str) else "", text))
    return [source for source in found if source is not None]


def _loads(data: bytes) -> Any:
    try:
        return loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadReply("its answer is no JSON") from error
    except ValueError as error:
        raise BadReply(f"its answer is {error}") from error


def _duckduckgo(data: bytes) -> list[Source]:
    from lxml import etree
    from lxml import html as pages

    try:
        page = pages.document_fromstring(data, parser=pages.HTMLParser(encoding="utf-8"))
    except (ValueError, etree.LxmlError) as error:
        raise BadReply("its answer is no page") from error
    results = page.xpath('//div[contains(concat(" ", @class, " "), " result ")]')
    if not results and not page.xpath('//*[contains(@class, "no-results")]'):
        raise BadReply("its page has no results on it; it may take us for a robot")
    found = []
    for result in results:
        links = result.xpath('.//a[contains(concat(" ", @class, " "), " result__a ")]')
        if not links or "result--ad" in (result.get("class") or ""):
            continue
        words = result.xpath('.//*[contains(concat(" ", @class, " "), " result__snippet ")]')
        text = words[0].text_content() if words else ""
        found.append(_source(_target(links[0].get("href") or ""), links[0].text_content(), text, is_html=False))
    return [source for source in found if source is not None]


def _target(link: str) -> str:
    """Where DuckDuckGo's redirect leads."""
    try:
        address = urljoin("https://duckduckgo.com/", link)
        parts = urlsplit(address)
        wrapped = parse_qs(parts.query).get("uddg") if parts.path == "/l/" else None
    except ValueError:
        return ""
    return wrapped[0] if wrapped else address


def _arxiv(data: bytes) -> list[Source]:
    name = "{http://www.w3.org/2005/Atom}"
    root = _xml(data)
    if root.tag != f"{name}feed":
        raise BadReply("its answer is no feed")
    found = [
        _source(
            _words(entry.find(f"{name}id")), _words(entry.find(f"{name}title")), _words(entry.find(f"{name}summary"))
        )
        for entry in root.iter(f"{name}entry")
    ]
    return [source for source in found if source is not None]


def _pubmed(data: bytes) -> list[Source]:
    root = _xml(data)
    if root.tag != "PubmedArticleSet":
        raise BadReply("its answer is no list of articles")
    found = []
    for article in root.iter("PubmedArticle"):
        number = _words(article.find(".//PMID"))
        parts = []
        for part in article.iter("AbstractText"):
            label = part.get("Label")
            parts.append(f"{label}: {_words(part)}" if label else _words(part))
        if number.isdecimal():
            address = f"https://pubmed.ncbi.nlm.nih.gov/{number}/"
            found.append(_source(address, _words(article.find(".//ArticleTitle")), " ".join(parts), is_html=False))
    return [source for source in found if source is not None]


def _xml(data: bytes) -> Any:
    from lxml import etree

    # No entities, no DTD, no network: a reply unfolds into nothing but itself.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser=parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadReply("its answer is no XML") from error
    if root is None:
        raise BadReply("its answer is empty")
    return root


def _words(element: Any) -> str:
    return "" if element is None else " ".join(str(element.xpath("string()")).split())


def _source(address: Any, title: str, text: str, *, is_html: bool = True) -> Source | None:
    """A result; None without an address that can be opened."""
    if not isinstance(address, str) or not address.startswith(("http://", "https://")):
        return None
    try:
        key = page_key(address)
    except ValueError:
        return None
    shown = _plain(text, is_html)
    if len(shown) > _MOST_CHARS:
        shown = f"{shown[:_MOST_CHARS].rstrip()} ... [cut here: {len(shown):,} characters]"
    return Source(f"{key}#0", _plain(title, is_html) or address, whole_text(address), shown)


def _plain(text: str, is_html: bool) -> str:
    """Words without tags and entities."""
    return " ".join(whole_text(html.unescape(_TAG.sub("", text)) if is_html else text).split())
