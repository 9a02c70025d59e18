"""The report as one HTML page that needs nothing else: sources beside it, pictures and mathematics in it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from policy import bundled, signatures
from policy.citations import MARK, marked, outside_code
from policy.report import Checked, Checklist, Resolved, place_of, reward_line
from policy.sources import Source

__all__ = ["Facts", "to_html"]

_MOST_CHARS = 400_000
"""Of a report that is rendered; a longer one is shown as it is. markdown-it has no limit of time."""
_MOST_IMAGES = 16 * 2**20
_MOST_TEX = 2_000
_MONEY = re.compile(r"(?<!\\)\$(?=\d[\d.,]*+(?:[)\]*_]|[ \u2013\u2014-]*(?:[A-Za-z]{2,}|$|[(`]| \$)))", re.MULTILINE)
# latex2mathml makes links and styles of these.
_ACTIVE = re.compile(r"\\(?:href|url|style|class|cssId|require|unicode|html)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a reader wants to know of a report: asked what, when, of whom, and how it ended."""

    question: str = ""
    date: str = ""
    model: str = ""
    status: str = ""


def to_html(
    resolved: Resolved,
    title: str,
    checklist: Checklist | None = None,
    *,
    facts: Facts | None = None,
    image: Callable[[str], bytes | None] = lambda _: None,
) -> str:
    """One page: every citation leads to the passage it rests on, and back. `image` reads a picture of the workspace."""
    seen: dict[str, int] = {}

    def link(match: re.Match[str]) -> str:
        number = match.group(1)
        if number == "?":
            return '<span class="unknown" title="a source that was never read">[?]</span>'
        seen[number] = seen.get(number, 0) + 1
        return f'<a class="cite" id="c{number}-{seen[number]}" href="#p{number}">[{number}]</a>'

    body = MARK.sub(link, _rendered(resolved.text, image))
    passages = [_passage(number, source, seen.get(str(number), 0)) for number, source in enumerate(resolved.cited, 1)]
    style = bundled.prompt("report.css")
    # Nothing in the page may load or run anything, whatever a source managed to put there.
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return "\n".join(
        [
            '<!doctype html><html><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{html.escape(title)}</title><style>{style}</style></head><body>",
            f"<main>{_facts(facts)}<article>{body}</article>{_unknown(resolved.unknown)}{_checklist(checklist)}</main>",
            f"<aside><h2>Sources</h2>{''.join(passages)}</aside>" if passages else "",
            "</body></html>\n",
        ]
    )


def _rendered(report: str, image: Callable[[str], bytes | None]) -> str:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    if len(report) > _MOST_CHARS:
        return f"<p>Too long to be laid out; it is shown as it was written.</p><pre>{html.escape(report)}</pre>"
    # Raw HTML in the report is shown as text, and links with odd schemes are left as words.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.use(dollarmath_plugin, allow_space=False, allow_digits=False, renderer=_mathematics)
    left = [_MOST_IMAGES]

    def picture(_: Any, tokens: Sequence[Any], at: int, *__: Any) -> str:
        path = unquote(str(tokens[at].attrGet("src") or ""))
        data = image(path) if "://" not in path else None
        kind = signatures.picture(data) if data is not None and len(data) <= left[0] else ""
        words = html.escape(tokens[at].content)
        if not data or not kind:
            return f'<span class="unknown">[picture {html.escape(path)} is not in the workspace: {words}]</span>'
        left[0] -= len(data)
        return f'<img alt="{words}" src="{signatures.data_url(data, kind)}">'

    markdown.add_render_rule("image", picture)
    text = report.replace(f" {marked('')[0]}", f"\u00a0{marked('')[0]}")  # a mark does not begin a line
    return str(markdown.render(_dollars(text)))


def _dollars(text: str) -> str:
    r"""\(...\) and \[...\] as dollars, which the plugin reads; money escaped, which it would take for them."""
    return "".join(part if is_code else _MONEY.sub(r"\\$", _delimited(part)) for is_code, part in outside_code(text))


def _delimited(part: str) -> str:
    """No formula goes on in another paragraph."""
    return "\n\n".join(map(_paragraph, part.split("\n\n")))


def _paragraph(text: str) -> str:
    for left, right, mark in (("\\(", "\\)", "$"), ("\\[", "\\]", "$$")):
        done: list[str] = []
        at = 0
        while (start := text.find(left, at)) >= 0 and (end := text.find(right, start + 2)) >= 0:
            done += [text[at:start], mark, text[start + 2 : end].strip(), mark]
            at = end + 2
        text = "".join([*done, text[at:]])
    return text


def _mathematics(tex: str, options: dict[str, Any]) -> str:
    """MathML, which browsers show by themselves; the TeX as it is where it cannot be read."""
    from latex2mathml.converter import convert

    display = "block" if options.get("display_mode") else "inline"
    if len(tex) <= _MOST_TEX and not _ACTIVE.search(tex):
        try:
            return str(convert(tex, display=display))
        except Exception:  # noqa: BLE001  the library has no root for what it raises
            return f"<code>{html.escape(tex)}</code>"
    return f"<code>{html.escape(tex)}</code>"


def _facts(facts: Facts | None) -> str:
    if facts is None:
        return ""
    rows = [("Date", facts.date), ("Model", facts.model), ("Status", facts.status)]
    shown = "".join(f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in rows if value)
    return f'<header><p class="question">{html.escape(facts.question)}</p><dl>{shown}</dl></header>'


def _unknown(keys: Sequence[str]) -> str:
    if not keys:
        return ""
    names = ", ".join(f"<code>{html.escape(key)}</code>" for key in keys)
    return f'<p class="unknown">Cited but never read, shown as [?]: {names}.</p>'


def _passage(number: int, source: Source, uses: int) -> str:
    back = "".join(
        f'<a class="back" href="#c{number}-{use}" title="where it is cited">↑</a>' for use in range(1, uses + 1)
    )
    location = html.escape(source.location)
    if re.match(r"https?://", source.location):
        location = f'<a href="{location}" rel="noreferrer">{location}</a>'
    return (
        f'<section id="p{number}"><h3>[{number}] {html.escape(source.title)} {back}</h3>'
        f'<p class="where">{location}, {html.escape(place_of(source))}</p>'
        f'<p class="passage">{html.escape(source.text)}</p></section>'
    )


def _checklist(checklist: Checklist | None) -> str:
    if checklist is None:
        return ""
    rows = "".join(
        f'<tr class="{_tone(row)}"><td>{html.escape(row.verdict.replace("_", " "))}</td>'
        f"<td>{row.weight:g}</td><td>{html.escape(row.text)}</td></tr>"
        for row in checklist.rows
    )
    head = "<tr><th>verdict</th><th>weight</th><th>criterion</th></tr>"
    return (
        f"<section><h2>Checklist</h2><p>{html.escape(reward_line(checklist))}</p><table>{head}{rows}</table></section>"
    )


def _tone(row: Checked) -> str:
    """Good, bad or between: of a flaw, to be satisfied is bad."""
    match row.verdict:
        case "fully_satisfied":
            return "good" if row.weight > 0 else "bad"
        case "not_satisfied":
            return "bad" if row.weight > 0 else "good"
        case "partially_satisfied":
            return "between" if row.weight > 0 else "bad"
    return "none"
