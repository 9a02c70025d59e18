"""judger eval: a benchmark's own rubrics over a folder of reports, scored as the benchmark does."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from judger.cli.console import output, progress
from judger.cli.exits import INCOMPLETE, OK
from judger.cli.options import check_judge, judge_flags, judging_flags, judging_options, output_flags
from judger.cli.page import add_html, check_html, entry_of, write_html
from judger.cli.session import Answer, in_order, judge_session
from judger.cli.table import decimal, plural
from judger.errors import Fault, InvalidFile, InvalidRequest
from judger.rubric import Record, Rubric, read_report, read_reports, read_rubrics
from judger.types import Case, Lane, Mapping

if TYPE_CHECKING:
    from judger.cli.researchrubrics import Part, Scores, Task

ENDINGS = (".md", ".txt")
LEGEND = (
    "How to read it: score = earned weight / positive weight, half a weight for partially; 1 is every requirement and "
    "no flaw, and flaws can take it below 0. Behind it the 95% interval, from {resamples:,} resamples of whole tasks. "
    "All and the domains are means over tasks; an axis is one sum over all tasks."
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser("eval", help="run a benchmark's rubrics over reports", allow_abbrev=False)
    benchmarks = parser.add_subparsers(title="benchmarks", required=True, metavar="BENCHMARK")
    research = benchmarks.add_parser(
        "researchrubrics",
        help="ResearchRubrics: ternary, by axis and domain",
        description="Scores one report for each task of a ResearchRubrics file. Tasks without a report are named and "
        "left out.",
        parents=[judge_flags(), judging_flags(mapping=None, lane=Lane.EVALUATION), output_flags()],
        allow_abbrev=False,
    )
    research.add_argument("--rubrics", type=Path, required=True, metavar="FILE", help="the benchmark's own file")
    research.add_argument(
        "--reports",
        type=Path,
        required=True,
        metavar="DIR",
        help="SAMPLE_ID.md or SAMPLE_ID.txt, one a task; or a JSONL file with id and report",
    )
    research.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the bootstrap; default: 1000")
    research.add_argument("--seed", type=int, default=0, metavar="N", help="of the bootstrap; default: 0")
    add_html(research)
    research.set_defaults(run=run)


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    check_judge(args)
    options = judging_options(args, mapping=Mapping.TERNARY)
    if args.resamples < 1 or args.seed < 0:
        raise InvalidRequest("--resamples, --seed", "must be positive")
    check_html(args, args.rubrics)
    rubrics = {rubric.id: rubric for rubric in read_rubrics(args.rubrics)}
    if "" in rubrics:
        raise InvalidFile([Fault(str(args.rubrics), 1, "sample_id", "is missing: reports are found by it")])
    reports = find_reports(args.reports, rubrics)
    missing = [name for name in rubrics if name not in reports]
    records = [record_of(rubrics[name], reports[name]) for name in rubrics if name in reports]
    judged: list[Answer] = []
    async with judge_session(args, options) as session:
        with progress("judging", len(records), quiet=args.quiet) as advance:
            async with aclosing(in_order(session, records, options)) as answers:
                async for answer in answers:
                    judged.append(answer)
                    advance()
    from judger.cli.researchrubrics import Task, evaluate

    refused = [answer.case.id for answer in judged if answer.judgement is None]
    tasks = [
        Task(case=answer.case, domain=rubrics[answer.case.id].domain, judgement=answer.judgement)
        for answer in judged
        if answer.judgement is not None
    ]
    if args.html is not None:
        entries = [entry_of(answer, rubrics[answer.case.id].domain) for answer in judged]
        note = f"{plural(len(missing), 'task')} without a report left out: {', '.join(missing)}" if missing else ""
        write_html(args.html, session, entries, name=args.reports.name, notes=[note])
    scores = evaluate(tasks, resamples=args.resamples, seed=args.seed)
    if args.json:
        print(json.dumps(as_json(scores, session.judge_id, tasks, missing, refused), allow_nan=False))
    else:
        show(scores, session.judge_id, missing, refused, args.resamples)
    return INCOMPLETE if scores.unscored or refused else OK


def find_reports(path: Path, rubrics: dict[str, Rubric]) -> dict[str, str]:
    """Report texts by task. Reports that belong to no task are named on standard error.

    Raises InvalidFile with every fault of every file, InvalidRequest where no report belongs to a task.
    """
    found: dict[str, str] = {}
    faults: list[Fault] = []
    strangers = []
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in ENDINGS and file.is_file())
        for file in files:
            if file.stem not in rubrics:
                strangers.append(file.name)
            elif file.stem in found:
                faults.append(Fault(str(file), 1, "file", f"task {file.stem} has another report beside it"))
            else:
                try:
                    found[file.stem] = read_report(file)
                except InvalidFile as error:
                    faults += error.faults
    else:
        for case in read_reports(path):
            if case.id in rubrics:
                found[case.id] = case.report
            else:
                strangers.append(case.id)
    if faults:
        raise InvalidFile(faults)
    if not found:
        names = f", such as {next(iter(rubrics))}{ENDINGS[0]}" if path.is_dir() else ""
        raise InvalidRequest(str(path), f"holds no report of these tasks{names}")
    if strangers:
        some = ", ".join(strangers[:5]) + (" ..." if len(strangers) > 5 else "")
        print(f"judger: {plural(len(strangers), 'report')} of no task left out: {some}", file=sys.stderr)
    return found


def record_of(rubric: Rubric, report: str) -> Record:
    """A task with its report as a case."""
    case = Case(id=rubric.id, query=rubric.query, report=report, criteria=rubric.criteria)
    return Record(case, 0, {})


def as_json(
    scores: Scores, judge_id: str, tasks: list[Task], missing: list[str], refused: list[str]
) -> dict[str, object]:
    """The object of `--json`."""
    return {
        "judge_id": judge_id,
        "overall": scores.overall.to_json(),
        "axes": {name: part.to_json() for name, part in scores.axes.items()},
        "domains": {name: part.to_json() for name, part in scores.domains.items()},
        "tasks": {task.case.id: task.judgement.reward.normalized for task in tasks},
        "missing": missing,
        "unscored": scores.unscored,
        "refused": refused,
    }


def show(scores: Scores, judge_id: str, missing: list[str], refused: list[str], resamples: int) -> None:
    """The table, for people."""
    console = output()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("", min_width=20, overflow="fold")
    for head in ("score", "95% interval", "tasks", "criteria", "✔ / ◐ / ✘"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_row(*_cells("all", scores.overall), style="bold")
    for title, parts in (("by axis", scores.axes), ("by domain", scores.domains)):
        table.add_section()
        table.add_row(Text(title, style="dim"))
        for name, part in parts.items():
            table.add_row(*_cells(f"  {name or '(none)'}", part))
    console.print(table)
    for words, names in (("no report", missing), ("unscored", scores.unscored), ("refused", refused)):
        if names:
            some = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
            console.print(Text(f"{plural(len(names), 'task')} left out, {words}: {some}", style="magenta"))
    console.print(Text(f"judge {judge_id}", style="dim"))
    console.print(Text(LEGEND.format(resamples=resamples), style="dim"))


def _cells(name: str, part: Part) -> list[str]:
    figure = part.score
    interval = "–" if figure.low is None else f"{decimal(figure.low)} to {decimal(figure.high)}"
    labels = " / ".join(
        f"{part.labels[name]:,}" for name in ("fully_satisfied", "partially_satisfied", "not_satisfied")
    )
    return [name, decimal(figure.value), interval, f"{part.tasks:,}", f"{part.criteria:,}", labels]
