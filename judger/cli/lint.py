"""judger lint: faults of a rubric, and what is found in it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, get_args

from rich.text import Text

from judger.cli.console import output
from judger.cli.exits import INCOMPLETE, OK
from judger.cli.inputs import input_file
from judger.cli.table import clean, plural
from judger.config import BUILT_IN, EngineConfig
from judger.errors import Fault
from judger.rubric import Rubric, read_rubrics
from judger.rubric.linting import CODES, Finding, Severity

if TYPE_CHECKING:
    from judger.rubric.linting.lint import Reader

NONE = "none"
COLOURS = {Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
ENGINES = (*get_args(EngineConfig.model_fields["engine"].annotation), NONE)

Found = list[tuple[Rubric, Finding]]


class Explain(argparse.Action):
    """Prints every code, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> NoReturn:
        for name, code in CODES.items():
            print(f"{name:34}{code.severity:9}{code.principle:13}{code.about}")
        parser.exit()


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "lint",
        help="check a rubric",
        description="Checks a rubric: faults (exit code 2), and what is hard to judge or to earn in it (1: it warns).",
        allow_abbrev=False,
    )
    parser.add_argument(
        "rubric", type=input_file, metavar="RUBRIC", help="JSON, YAML or JSON lines; ResearchRubrics' too"
    )
    about = "who is going to judge: what it can't judge is said; none: look at words alone, quickly; default: mini"
    parser.add_argument("--engine", choices=ENGINES, default="mini", metavar="ENGINE", help=about)
    parser.add_argument("--model", metavar="FOLDER", help="mini: other weights than the shipped ones")
    which = "of the codes that --codes lists, separated by commas"
    parser.add_argument("--select", type=codes, metavar="CODES", help=f"these alone; {which}")
    parser.add_argument("--ignore", type=codes, default=(), metavar="CODES", help=f"all but these; {which}")
    parser.add_argument("--strict", action="store_true", help="exit code 1 for notes, too")
    parser.add_argument("--exit-zero", action="store_true", help="exit code 0 whatever is found")
    parser.add_argument("--json", action="store_true", help="for machines: one JSON object for each finding")
    parser.add_argument("--codes", action=Explain, nargs=0, help="show what is looked for and exit")
    parser.set_defaults(run=run)


def codes(text: str) -> tuple[str, ...]:
    """Codes separated by commas."""
    names = tuple(name.strip() for name in text.split(","))
    if unknown := [name for name in names if name not in CODES]:
        raise argparse.ArgumentTypeError(f"no such code: {', '.join(map(repr, unknown))}; --codes lists them")
    return names


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from judger.rubric.linting.lint import lint

    warnings: list[Fault] = []
    rubrics = read_rubrics(args.rubric, on_warning=warnings.append)
    reader = open_reader(args.engine, args.model)
    judge = args.engine if args.engine in BUILT_IN else ""
    selected = set(CODES if args.select is None else args.select) - set(args.ignore)
    found = [
        (rubric, finding)
        for rubric in rubrics
        for finding in lint(rubric.criteria, query=rubric.query, reader=reader, judge=judge)
        if finding.code in selected
    ]
    if args.json:
        for warning in warnings:
            print(json.dumps(dropped_as_json(warning)))
        for rubric, finding in found:
            print(json.dumps(as_json(rubric, finding)))
    else:
        show(args.rubric, rubrics, warnings, found)
    counted = any(args.strict or finding.severity is Severity.WARNING for _, finding in found)
    failed = counted or (args.strict and bool(warnings))
    return INCOMPLETE if failed and not args.exit_zero else OK


def open_reader(engine: str, model: str | None) -> Reader | None:
    """The built-in judge, which reads for all of them; None where words alone are looked at."""
    if engine == NONE:
        return None
    from judger.engines.preview import Preview

    # Texts this short keep one thread busy; several only wait for each other.
    return Preview(model if engine == "mini" else None, threads=1)


def dropped_as_json(warning: Fault) -> dict[str, object]:
    """A criterion that the file itself drops."""
    where = {"line": warning.line, "field": warning.field}
    return {"code": "warning", "severity": Severity.NOTE, **where, "message": warning.reason}


def as_json(rubric: Rubric, finding: Finding) -> dict[str, object]:
    """One finding. `span` is of characters of `text`, `quote` what stands there; both null where it is all of it."""
    criterion = None if finding.index is None else rubric.criteria[finding.index]
    span = finding.span
    return {
        "code": finding.code,
        "severity": finding.severity,
        "principle": CODES[finding.code].principle,
        "rubric": rubric.id,
        "criterion": None if criterion is None else criterion.id,
        "text": None if criterion is None else criterion.text,
        "span": None if span is None else {"start": span[0], "end": span[1]},
        "quote": None if span is None or criterion is None else criterion.text[slice(*span)],
        "message": finding.message,
    }


def show(path: Path, rubrics: Sequence[Rubric], warnings: Sequence[Fault], found: Found) -> None:
    """What was found, for people."""
    console = output()
    for warning in warnings:
        console.print(Text(clean(str(warning)), style="yellow"), soft_wrap=True)
    for rubric, finding in found:
        where = Text(f"{clean(rubric.id)} " if len(rubrics) > 1 else "", style="dim")
        if finding.index is not None:
            where.append(clean(rubric.criteria[finding.index].id), style="bold")
        name = (f"{finding.severity} {finding.code}", COLOURS[finding.severity])
        console.print(Text.assemble(where, "  ", name, "  ", clean(finding.message)), soft_wrap=True)
        if finding.index is not None:
            console.print(marked(rubric.criteria[finding.index].text, finding.span, console.width))
    criteria = sum(len(rubric.criteria) for rubric in rubrics)
    positive = sum(c.weight for rubric in rubrics for c in rubric.criteria if c.weight > 0)
    flaws = sum(c.is_negative for rubric in rubrics for c in rubric.criteria)
    size = f"{len(rubrics):,} rubrics, " if len(rubrics) > 1 else f"positive weight {positive:g}, "
    count = sum(finding.severity is Severity.WARNING for _, finding in found)
    console.print(
        Text.assemble(
            (f"{path}: no faults", "green"),
            f"; {size}{plural(criteria, 'criterion')}, {plural(flaws, 'flaw')} among them; ",
            (f"{plural(count, 'warning')}, {plural(len(found) - count, 'note')}", "yellow" if count else "green"),
        ),
        soft_wrap=True,
    )


def marked(text: str, span: tuple[int, int] | None, width: int) -> Text:
    """One line of a criterion, the span of a finding in sight and underlined."""
    start, end = span or (0, 0)
    first = 0 if end <= width - 8 else max(0, start - width // 3)
    shown = "".join(character if character.isprintable() else " " for character in text)
    line = Text("    " + ("… " if first else "") + shown[first:], style="dim", no_wrap=True)
    before = len(line) - len(shown)
    line.stylize("underline", start + before, end + before)
    line.truncate(width, overflow="ellipsis")
    return line
