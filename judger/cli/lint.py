"""judger lint: faults of a rubric, and advice on it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.text import Text

from judger.cli.console import output
from judger.cli.exits import INCOMPLETE, OK
from judger.cli.inputs import input_file
from judger.cli.table import clean, plural
from judger.errors import Fault
from judger.rubric import Advice, Rubric, lint, read_rubrics


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "lint",
        help="check a rubric",
        description="Checks a rubric: faults (exit code 2), and advice on criteria that are hard to judge or to earn.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "rubric", type=input_file, metavar="RUBRIC", help="JSON, YAML or JSON lines; ResearchRubrics' too"
    )
    parser.add_argument("--strict", action="store_true", help="exit code 1 where there is any advice")
    parser.add_argument("--json", action="store_true", help="for machines: one JSON object for each piece of advice")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    warnings: list[Fault] = []
    rubrics = read_rubrics(args.rubric, on_warning=warnings.append)
    found = [(rubric, advice) for rubric in rubrics for advice in lint(rubric.criteria)]
    if args.json:
        for warning in warnings:
            print(
                json.dumps({"code": "warning", "line": warning.line, "field": warning.field, "message": warning.reason})
            )
        for rubric, advice in found:
            print(json.dumps(as_json(rubric, advice)))
    else:
        show(args.rubric, rubrics, warnings, found)
    return INCOMPLETE if args.strict and (found or warnings) else OK


def as_json(rubric: Rubric, advice: Advice) -> dict[str, object]:
    """One piece of advice."""
    criterion = None if advice.index is None else rubric.criteria[advice.index]
    return {
        "code": advice.code,
        "rubric": rubric.id,
        "criterion": None if criterion is None else criterion.id,
        "text": None if criterion is None else criterion.text,
        "message": advice.message,
    }


def show(path: Path, rubrics: list[Rubric], warnings: list[Fault], found: list[tuple[Rubric, Advice]]) -> None:
    """The advice, for people."""
    console = output()
    for warning in warnings:
        console.print(Text(clean(str(warning)), style="yellow"), soft_wrap=True)
    for rubric, advice in found:
        where = Text(f"{clean(rubric.id)} " if len(rubrics) > 1 else "", style="dim")
        if advice.index is not None:
            where.append(clean(rubric.criteria[advice.index].id), style="bold")
        console.print(Text.assemble(where, "  ", (advice.code, "yellow"), "  ", clean(advice.message)), soft_wrap=True)
        if advice.index is not None:
            line = Text(f"    {clean(rubric.criteria[advice.index].text)}", style="dim", no_wrap=True)
            line.truncate(console.width, overflow="ellipsis")
            console.print(line)
    criteria = sum(len(rubric.criteria) for rubric in rubrics)
    positive = sum(c.weight for rubric in rubrics for c in rubric.criteria if c.weight > 0)
    flaws = sum(c.is_negative for rubric in rubrics for c in rubric.criteria)
    size = f"{len(rubrics):,} rubrics, " if len(rubrics) > 1 else f"positive weight {positive:g}, "
    console.print(
        Text.assemble(
            (f"{path}: no faults", "green"),
            f"; {size}{plural(criteria, 'criterion')}, {plural(flaws, 'flaw')} among them; ",
            (plural(len(found), "piece of advice"), "yellow" if found else "green"),
        ),
        soft_wrap=True,
    )
