"""A judged case as a person likes to read it: the criteria, what decided each, and how the reward comes about.

Text from reports and rubrics is shown as text: control characters are taken out (a report could move the cursor or
recolour the terminal), and nothing in it is read as markup.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from judger.types import Case, Criterion, Judgement, Label, Mapping, Unscored, Verdict
from judger.verdict import confidence, percent, why_unlikely

HEADS = ("weight", "verdict", "confidence", "points")
MARKERS = re.compile(r"^[#>*|\-+\s]+|\*\*|__|`")
ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
CLOSE = 0.1
"""A margin under which a verdict is shown as a close call."""

REQUIREMENT = {
    Label.NOT_SATISFIED: ("✘ not", "red"),
    Label.PARTIALLY_SATISFIED: ("◐ partially", "yellow"),
    Label.FULLY_SATISFIED: ("✔ fully", "green"),
}
FLAW = {
    Label.NOT_SATISFIED: ("✔ flaw absent", "green"),
    Label.PARTIALLY_SATISFIED: ("✘ flaw in part", "red"),
    Label.FULLY_SATISFIED: ("✘ flaw present", "red"),
}


def clean(text: str) -> str:
    """A text on one line, without control and direction characters."""
    kept = (
        " " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs", "Co") else c for c in ESCAPE.sub(" ", text)
    )
    return " ".join("".join(kept).split())


def deciding(report: str, verdict: Verdict) -> str:
    """The passage that decided a verdict, without Markdown's markers; empty where the engine gave none."""
    passages = (clean(report[span.start : span.end]) for span in verdict.evidence)
    return " … ".join(MARKERS.sub("", passage) for passage in passages if passage)


def number(value: float, *, sign: bool = False) -> str:
    """A weight or reward: at most two decimals, no trailing zeros, a true minus sign."""
    text = f"{round(value, 2) + 0.0:{'+' if sign and value else ''}.2f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def decimal(value: float | None) -> str:
    """A figure: two decimals, a dash where there is none."""
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def plural(count: int, noun: str) -> str:
    """A count with its noun."""
    irregular = {"criterion": "criteria", "piece of advice": "pieces of advice"}
    return f"{count:,} {noun if count == 1 else irregular.get(noun, noun + 's')}"


def case_table(case: Case, judgement: Judgement, *, width: int) -> RenderableType:
    """The whole block of one case, for a terminal of `width` columns."""
    verdicts = _verdicts(case, judgement, width)
    return Group(_head(case, width), *verdicts, Padding(reward_lines(case, judgement), (1, 0, 1, 1)))


def refused_case(case: Case, reason: str, *, width: int) -> RenderableType:
    """The block of a case that was not judged at all."""
    return Group(_head(case, width), Padding(Text(f"not judged: {clean(reason)}", style="bold red"), (0, 0, 1, 1)))


def legend(mapping: Mapping = Mapping.STRICT) -> Text:
    """How to read the blocks; printed once, at the end."""
    rule = {
        Mapping.STRICT: "A requirement earns its weight when fully satisfied, a flaw costs its weight on any trace.",
        Mapping.TERNARY: "A criterion counts with its weight when fully satisfied, with half of it when partially.",
        Mapping.EXPECTED: "A criterion counts with its weight times the probability that it is satisfied.",
    }[mapping]
    text = Text(style="dim")
    text.append("How to read it  ", style="bold")
    text.append(
        f"{rule} reward = points / sum of the positive weights: 1 is all requirements and no flaw, below 0 the flaws "
        "outweigh. confidence = calibrated probability of the verdict shown; ~ marks a close call. » is the passage of "
        "the report that weighed most, for a ✘ the nearest there is. unscored = no verdict, which is not a zero."
    )
    return text


def reward_lines(case: Case, judgement: Judgement) -> Text:
    """The reward, and the sum it comes from."""
    reward = judgement.reward
    text = Text()
    unscored = Counter(v.result.reason.value for v in judgement.verdicts if isinstance(v.result, Unscored))
    missing = ", ".join(f"{count} {reason}" for reason, count in sorted(unscored.items()))
    if reward.value is None or reward.raw is None or reward.normalized is None or reward.clamped is None:
        text.append("no reward", style="bold magenta")
        if all(criterion.is_monitor for criterion in case.criteria):
            text.append("  every criterion is a monitor")
            return text
        count = unscored.total()
        text.append(f"  {count} of {len(case.criteria)} criteria unscored ({missing})")
        if count < len(case.criteria):
            text.append("; --allow-unscored takes the others alone")
        return text
    gained = lost = 0.0
    for criterion, verdict in zip(case.criteria, judgement.verdicts, strict=True):
        if not isinstance(verdict.result, Unscored):
            points = criterion.weight * verdict.result.credit(reward.mapping, negative=criterion.is_negative)
            gained, lost = gained + max(points, 0), lost + min(points, 0)
    text.append(f"reward {decimal(reward.value)}", style=f"bold {_colour(reward.value)}")
    divisor = reward.positive_weight or -reward.negative_weight
    kind = "positive" if reward.positive_weight else "negative"
    text.append(f"  = {number(reward.raw)} points / {number(divisor)} {kind} weight")
    if reward.fatal:
        held = f"; {decimal(reward.normalized)} but for it" if reward.normalized > 0 else ""
        text.append(f"  a fatal flaw keeps it at 0 or below{held}", style="bold red")
    flaws = f", lost {number(lost)} of {number(reward.negative_weight)}" if reward.negative_weight else ""
    text.append(
        f"\n  earned {number(gained, sign=True)}{flaws}"
        f" · clamped to [0, 1]: {decimal(reward.clamped)} · {reward.mapping.value} mapping",
        style="dim",
    )
    if unscored:
        text.append(f"\n  {unscored.total()} of {len(case.criteria)} criteria left out, unscored: {missing}")
    if judgement.flags:
        text.append(f"\n  flags: {clean(', '.join(judgement.flags))}", style="bold magenta")
    return text


def _head(case: Case, width: int) -> RenderableType:
    title = Text(no_wrap=True)
    title.append(clean(case.id), style="bold")
    if case.query.strip():
        title.append(f"  {clean(case.query)}")
    size = f"  {plural(len(case.report.split()), 'word')}"
    title.truncate(max(10, width - len(size) - 6), overflow="ellipsis")
    title.append(size, style="dim")
    return Rule(title, align="left", style="dim")


def _verdicts(case: Case, judgement: Judgement, width: int) -> list[RenderableType]:
    """A row for every criterion and, below it over the whole width, what decided it; fixed widths line columns up."""
    rows = [
        _cells(criterion, verdict, judgement.reward.mapping)
        for criterion, verdict in zip(case.criteria, judgement.verdicts, strict=True)
    ]
    widths = [max(len(head), *(row[i].cell_len for row in rows)) for i, head in enumerate(HEADS)]

    def line(statement: Text, cells: Sequence[Text]) -> Table:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=max(20, width - sum(widths) - 2 * len(widths) - 2), overflow="fold")
        for size, head in zip(widths, HEADS, strict=True):
            grid.add_column(width=size, justify="left" if head == "verdict" else "right", no_wrap=True)
        grid.add_row(statement, *cells)
        return grid

    blocks: list[RenderableType] = [
        Padding(line(Text("criterion", style="dim"), [Text(head, style="dim") for head in HEADS]), (0, 0, 0, 1))
    ]
    for criterion, verdict, cells in zip(case.criteria, judgement.verdicts, rows, strict=True):
        blocks.append(Padding(line(Text(clean(criterion.text)), cells), (0, 0, 0, 1)))
        if isinstance(verdict.result, Unscored):
            blocks.append(_below(f"unscored: {verdict.result.detail or verdict.result.reason.value}", width))
        elif why := why_unlikely(verdict.result, negative=criterion.is_negative):
            blocks.append(Padding(Text(f"less than half: {why}", style="italic dim"), (0, 0, 0, 3)))
        if passage := deciding(case.report, verdict):
            blocks.append(_below(f"» {passage}", width))
        if verdict.rationale:
            blocks.append(Padding(Text(f"because {clean(verdict.rationale)}", style="dim"), (0, 0, 0, 3)))
    return blocks


def _below(text: str, width: int) -> Text:
    """One line under a criterion, cut to the width."""
    line = Text(f"   {clean(text)}", style="italic dim", no_wrap=True)
    line.truncate(width - 1, overflow="ellipsis")
    return line


def _cells(criterion: Criterion, verdict: Verdict, mapping: Mapping) -> tuple[Text, Text, Text, Text]:
    """Weight, verdict, confidence and points."""
    weight = Text(number(criterion.weight, sign=True), style="red" if criterion.is_negative else "")
    if criterion.is_monitor:
        weight = Text("monitor", style="dim")
    if criterion.fatal:
        weight = Text.assemble(("fatal ", "bold red"), weight)
    if isinstance(verdict.result, Unscored):
        return weight, Text("? unscored", style="magenta"), Text("–"), Text("–")
    score = verdict.result
    words, colour = (FLAW if criterion.is_negative else REQUIREMENT)[score.label]
    close = "~" if score.margin < CLOSE else ""
    points = criterion.weight * score.credit(mapping, negative=criterion.is_negative)
    return (
        weight,
        Text(words, style=colour),
        Text(f"{close}{percent(confidence(score))}", style="yellow" if close else ""),
        Text("–", style="dim")
        if criterion.is_monitor
        else Text(number(points, sign=True), style=_colour(points) if points else "dim"),
    )


def _colour(value: float) -> str:
    return "green" if value > 0 else "red" if value < 0 else "yellow"


__all__ = [
    "case_table",
    "clean",
    "confidence",
    "deciding",
    "legend",
    "number",
    "plural",
    "refused_case",
    "reward_lines",
]
