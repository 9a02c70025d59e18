"""The report as a reader gets it: \\cite{} resolved to a numbered source list, in Markdown and as one HTML page."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from importlib.resources import files

from policy.sources import Source, Sources

__all__ = ["Checked", "Checklist", "Resolved", "resolve", "to_html", "to_markdown"]

_CITE = re.compile(r"(?:(?<![ \t])[ \t]++)?\\cite\{([^{}]*)\}")
# Private-use characters mark a citation while Markdown is rendered; whoever writes them in a report loses them.
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{_OPEN}([^{_OPEN}{_CLOSE}]*){_CLOSE}")


@dataclass(frozen=True, slots=True)
class Checked:
    """One criterion beside the report."""

    text: str
    weight: float
    verdict: str
    """not_satisfied, partially_satisfied, fully_satisfied, or unscored with its reason."""
    satisfied: bool | None = None


@dataclass(frozen=True, slots=True)
class Checklist:
    """The judged rubric. Without a value, some criterion could not be scored."""

    value: float | None
    judge_id: str
    rows: tuple[Checked, ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """The report with every citation as a marker, its sources in order of appearance, and keys that nothing has."""

    text: str
    cited: tuple[Source, ...]
    unknown: tuple[str, ...]


def resolve(report: str, sources: Sources) -> Resolved:
    """Number the cited passages. A key that the episode has not seen is no citation, and is reported."""
    numbers: dict[str, int] = {}
    unknown: list[str] = []

    def number(match: re.Match[str]) -> str:
        marks: list[str] = []
        for key in (key.strip() for key in match.group(1).split(",")):
            if sources.get(key) is None:
                unknown.append(key)
                marks.append(f"{_OPEN}?{_CLOSE}")
            else:
                marks.append(f"{_OPEN}{numbers.setdefault(key, len(numbers) + 1)}{_CLOSE}")
        return " " + "".join(dict.fromkeys(marks))

    text = _CITE.sub(number, report.replace(_OPEN, "").replace(_CLOSE, ""))
    cited = [source for key in numbers if (source := sources.get(key)) is not None]
    return Resolved(text, tuple(cited), tuple(dict.fromkeys(unknown)))


def to_markdown(resolved: Resolved, checklist: Checklist | None = None) -> str:
    """The report, its sources, what could not be resolved, and the checklist."""
    parts = [_MARK.sub(r"[\1]", resolved.text).strip()]
    if resolved.cited:
        lines = [
            f"{number}. {source.title}, {_place(source)}. {source.location}"
            for number, source in enumerate(resolved.cited, 1)
        ]
        parts.append("## Sources\n\n" + "\n".join(lines))
    if resolved.unknown:
        names = ", ".join(f"`{key}`" for key in resolved.unknown)
        parts.append(f"Cited but never read, shown as [?]: {names}.")
    if checklist is not None:
        rows = [
            f"| {row.verdict.replace('_', ' ')} | {row.weight:g} | {row.text.replace('|', '/')} |"
            for row in checklist.rows
        ]
        head = ["## Checklist", "", _reward(checklist), "", "| verdict | weight | criterion |", "|---|---|---|"]
        parts.append("\n".join([*head, *rows]))
    return "\n\n".join(parts) + "\n"


def to_html(resolved: Resolved, title: str, checklist: Checklist | None = None) -> str:
    """One page that needs nothing else: every citation leads to the passage it rests on, and back."""
    from markdown_it import MarkdownIt

    seen: dict[str, int] = {}

    def link(match: re.Match[str]) -> str:
        number = match.group(1)
        if number == "?":
            return '<span class="unknown" title="a source that was never read">[?]</span>'
        seen[number] = seen.get(number, 0) + 1
        return f'<a class="cite" id="c{number}-{seen[number]}" href="#p{number}">[{number}]</a>'

    # Raw HTML in the report is shown as text, and links with odd schemes are left as words.
    text = resolved.text.replace(f" {_OPEN}", f"\u00a0{_OPEN}")  # a mark does not begin a line
    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    body = _MARK.sub(link, rendered)
    passages = [_passage(number, source, seen.get(str(number), 0)) for number, source in enumerate(resolved.cited, 1)]
    style = files("policy").joinpath("prompts/report.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            '<!doctype html><html><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            # Nothing in the page may load or run anything, whatever a source managed to put there.
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{html.escape(title)}</title><style>{style}</style></head><body>",
            f"<main><article>{body}</article>{_checklist(checklist)}</main>",
            f"<aside><h2>Sources</h2>{''.join(passages)}</aside>" if passages else "",
            "</body></html>\n",
        ]
    )


def _passage(number: int, source: Source, uses: int) -> str:
    back = "".join(
        f'<a class="back" href="#c{number}-{use}" title="where it is cited">↑</a>' for use in range(1, uses + 1)
    )
    location = html.escape(source.location)
    if re.match(r"https?://", source.location):
        location = f'<a href="{location}" rel="noreferrer">{location}</a>'
    return (
        f'<section id="p{number}"><h3>[{number}] {html.escape(source.title)} {back}</h3>'
        f'<p class="where">{location}, {html.escape(_place(source))}</p><p>{html.escape(source.text)}</p></section>'
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
    return f"<section><h2>Checklist</h2><p>{html.escape(_reward(checklist))}</p><table>{head}{rows}</table></section>"


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


def _reward(checklist: Checklist) -> str:
    value = "none, since not every criterion could be scored" if checklist.value is None else f"{checklist.value:.3f}"
    return f"Reward: {value}. Judge: {checklist.judge_id}."


def _place(source: Source) -> str:
    return f"paragraph {source.key.rpartition('#')[2]}" if "#" in source.key else source.key
