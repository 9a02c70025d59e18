"""The report as a reader gets it: citations as numbers, its sources, and Markdown. The page is `policy.page`'s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policy.citations import MARK, marked, replaced
from policy.sources import Source, Sources

__all__ = ["Checked", "Checklist", "Resolved", "place_of", "resolve", "reward_line", "to_markdown"]


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

    def mark(keys: Sequence[str]) -> str:
        marks: list[str] = []
        for key in keys:
            if (found := sources.find(key)) is None:
                unknown.append(key)
                marks.append(marked("?"))
            else:
                marks.append(marked(str(numbers.setdefault(found.key, len(numbers) + 1))))
        return " " + "".join(dict.fromkeys(marks))

    text = replaced(report, mark, lambda key: sources.find(key) is not None)
    cited = [source for key in numbers if (source := sources.find(key)) is not None]
    return Resolved(text, tuple(cited), tuple(dict.fromkeys(unknown)))


def to_markdown(resolved: Resolved, checklist: Checklist | None = None) -> str:
    """The report, its sources, what could not be resolved, and the checklist."""
    parts = [MARK.sub(r"[\1]", resolved.text).strip()]
    if resolved.cited:
        lines = [
            f"{number}. {source.title}, {place_of(source)}. {source.location}"
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
        head = ["## Checklist", "", reward_line(checklist), "", "| verdict | weight | criterion |", "|---|---|---|"]
        parts.append("\n".join([*head, *rows]))
    return "\n\n".join(parts) + "\n"


def reward_line(checklist: Checklist) -> str:
    """The reward in words."""
    value = "none, since not every criterion could be scored" if checklist.value is None else f"{checklist.value:.3f}"
    return f"Reward: {value}. Judge: {checklist.judge_id}."


def place_of(source: Source) -> str:
    """Which part of its document a passage is."""
    document, mark, number = source.key.rpartition("#")
    if not mark or not document:
        return "what was read of it"
    if number == "0":
        return "as the search showed it"
    return f"paragraphs {number}" if "-" in number else f"paragraph {number}"
