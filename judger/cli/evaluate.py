"""judger eval: a benchmark's own rubrics over systems' reports, scored as the benchmark does."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from judger.cli import versus
from judger.cli.console import output
from judger.cli.exits import INCOMPLETE, OK
from judger.cli.options import check_judge, judge_flags, judging_flags, judging_options, output_flags
from judger.cli.page import add_html, check_html, write_html
from judger.cli.session import judge_session
from judger.cli.systems import (
    add_reports,
    check_output,
    judge_all,
    read_systems,
    read_tasks,
    records_of,
    with_trials,
)
from judger.cli.table import clean, decimal, plural
from judger.errors import InvalidRequest
from judger.types import LIMITS, Lane, Mapping

if TYPE_CHECKING:
    from judger.agreement.figures import Figure
    from judger.evals.scores import Part, Scores


@dataclass(frozen=True, slots=True)
class Benchmark:
    """How a benchmark scores."""

    name: str
    help: str
    how: str
    """Its score, for the legend."""
    mapping: Mapping = Mapping.TERNARY
    floor: bool = False
    """A fatal error makes zero, and nothing is worth less."""


RESEARCH_RUBRICS = Benchmark(
    "researchrubrics",
    "ResearchRubrics: ternary, by axis and domain",
    "earned weight / positive weight, half a weight for partially; 1 is every requirement and no flaw, and flaws can "
    "take it below 0",
)
BENCH_TWO = Benchmark(
    "deepresearchbench2",
    "DeepResearch Bench II: the share of its criteria that are fully satisfied, by dimension and theme",
    "the share of the criteria that are fully satisfied. Use of blocked sources is not looked at",
    mapping=Mapping.STRICT,
)
PROFESSIONAL = Benchmark(
    "professional",
    "ADR-Bench's professional track: expert rubrics, a fatal error makes zero",
    "earned weight / positive weight, half a weight for partially; 0 where a fatal error is found, and never less",
    floor=True,
)
LEGEND = (
    "How to read it: score = {how}. Behind it the 95% interval, from {resamples:,} resamples of whole tasks. All and "
    "the domains are means over tasks; an axis is one sum over all tasks."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one system."""

    system: str
    scores: Scores
    missing: list[str]
    """Tasks without a report."""
    refused: dict[str, str]
    """Why, by task."""
    behind: tuple[int, Figure] | None
    """Tasks in common with the first system, and how far this one is behind it on them; None for the first."""

    def to_json(self, judge_id: str) -> dict[str, object]:
        scores = self.scores
        return {
            "judge_id": judge_id,
            "system": self.system,
            "overall": scores.overall.to_json(),
            "axes": {name: part.to_json() for name, part in scores.axes.items()},
            "domains": {name: part.to_json() for name, part in scores.domains.items()},
            "tasks": scores.values,
            "missing": self.missing,
            "unscored": scores.unscored,
            "refused": list(self.refused),
            "refusals": self.refused,
            "behind_first": self.behind and {"tasks": self.behind[0], **self.behind[1].to_json()},
        }


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser("eval", help="run a benchmark over reports", allow_abbrev=False)
    benchmarks = parser.add_subparsers(title="benchmarks", required=True, metavar="BENCHMARK")
    for benchmark in (RESEARCH_RUBRICS, BENCH_TWO):
        _add_rubrics(benchmarks, benchmark)
    adr = benchmarks.add_parser("adr", help="ADR-Bench: professional and general track", allow_abbrev=False)
    tracks = adr.add_subparsers(title="tracks", required=True, metavar="TRACK")
    _add_rubrics(tracks, PROFESSIONAL)
    versus.add_parser(tracks)


def _add_rubrics(parsers: argparse._SubParsersAction[argparse.ArgumentParser], benchmark: Benchmark) -> None:
    parser = parsers.add_parser(
        benchmark.name,
        help=benchmark.help,
        description="Scores the reports of one or more systems, one for each task of the file. Tasks without a report "
        "are named and left out.",
        parents=[
            judge_flags(),
            judging_flags(mapping=None, lane=Lane.EVALUATION, trials="judges that reason: verdicts, averaged"),
            output_flags(),
        ],
        allow_abbrev=False,
    )
    parser.add_argument("--rubrics", type=Path, required=True, metavar="FILE", help="the benchmark's own file")
    add_reports(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="RUN.jsonl", help="keep the verdicts: a run file; the same command goes on"
    )
    parser.add_argument("--restart", action="store_true", help="begin anew: what RUN.jsonl holds is lost")
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the bootstrap; default: 1000")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the bootstrap; default: 0")
    add_html(parser)
    parser.set_defaults(run=run, benchmark=benchmark)


async def run(args: argparse.Namespace) -> int:
    """Runs a benchmark of rubrics."""
    check_judge(args)
    benchmark: Benchmark = args.benchmark
    trials, args.trials = args.trials, 1 if args.explain == "never" else args.trials
    if not 1 <= trials <= LIMITS.trials:
        raise InvalidRequest("--trials", f"must lie between 1 and {LIMITS.trials}, not {trials}")
    options = judging_options(args, mapping=benchmark.mapping)
    if args.resamples < 1 or args.seed < 0:
        raise InvalidRequest("--resamples, --seed", "must be positive")
    check_output(args.output)
    check_html(args, args.rubrics)
    tasks = read_tasks(args.rubrics)
    systems = read_systems(args.reports, tasks)
    records = records_of(systems, tasks)
    async with judge_session(args, options) as session:
        options = with_trials(session, options, trials)
        judgements = await judge_all(
            session,
            [record for _, _, record in records],
            options,
            args.output,
            restart=args.restart,
            quiet=args.quiet,
        )
    from judger.evals.scores import Task, difference, evaluate

    results: list[Result] = []
    for system in systems:
        own = [
            (name, record, found)
            for (who, name, record), found in zip(records, judgements, strict=True)
            if who == system.system
        ]
        judged = [
            Task(
                name=name,
                case=record.case,
                domain=tasks[name].domain,
                judgement=found,
                trials=options.trials,
                floor=benchmark.floor,
            )
            for name, record, (found, _) in own
            if found is not None
        ]
        scores = evaluate(judged, resamples=args.resamples, seed=args.seed)
        behind = None
        if results:
            behind = difference(results[0].scores, scores, resamples=args.resamples, seed=args.seed)
        results.append(
            Result(
                system=system.system,
                scores=scores,
                missing=[name for name in tasks if name not in system.texts],
                refused={name: why for name, _, (found, why) in own if found is None},
                behind=behind,
            )
        )
    if args.html is not None:
        from judger.pages import Entry

        entries = [
            Entry(
                case=record.case,
                judgement=found,
                error=why,
                system=who,
                domain=tasks[name].domain,
            )
            for (who, name, record), (found, why) in zip(records, judgements, strict=True)
        ]
        notes = [
            f"{result.system}: {plural(len(result.missing), 'task')} without a report left out: "
            f"{', '.join(result.missing)}"
            for result in results
            if result.missing
        ]
        write_html(args.html, session, entries, name=args.rubrics.name, notes=notes)
    if args.json:
        for result in results:
            print(json.dumps(result.to_json(session.judge_id), allow_nan=False))
    else:
        show(results, session.judge_id, benchmark, args.resamples)
    return INCOMPLETE if any(result.scores.unscored or result.refused for result in results) else OK


def show(results: list[Result], judge_id: str, benchmark: Benchmark, resamples: int) -> None:
    """The tables, for people."""
    console = output()
    if len(results) > 1:
        console.print(_leaderboard(results))
    for result in results:
        scores = result.scores
        if len(results) > 1:
            console.print(Text(clean(result.system), style="bold underline"))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        table.add_column("", min_width=20, overflow="fold")
        for head in ("score", "95% interval", "tasks", "criteria", "✔ / ◐ / ✘"):
            table.add_column(head, justify="right", no_wrap=True)
        table.add_row(*_cells("all", scores.overall), style="bold")
        for title, parts in (("by axis", scores.axes), ("by domain", scores.domains)):
            table.add_section()
            table.add_row(Text(title, style="dim"))
            for name, part in parts.items():
                table.add_row(*_cells(f"  {clean(name) or '(none)'}", part))
        console.print(table)
        for words, names in (
            ("no report", result.missing),
            ("unscored", scores.unscored),
            ("refused", [f"{name} ({clean(why)})" for name, why in result.refused.items()]),
        ):
            if names:
                some = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
                console.print(Text(f"{plural(len(names), 'task')} left out, {words}: {some}", style="magenta"))
    console.print(Text(f"judge {judge_id}", style="dim"))
    console.print(Text(LEGEND.format(how=benchmark.how, resamples=resamples), style="dim"))


def _leaderboard(results: list[Result]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("system", min_width=20, overflow="fold")
    for head in ("score", "95% interval", "tasks", "missing", f"behind {clean(results[0].system)}", "on"):
        table.add_column(head, justify="right", no_wrap=True)
    for result in sorted(results, key=lambda result: -(result.scores.overall.score.value or -9e9)):
        overall = result.scores.overall
        missing = len(result.missing) + len(result.scores.unscored) + len(result.refused)
        gap, on = "", ""
        if result.behind is not None:
            count, figure = result.behind
            gap, on = f"{decimal(figure.value)}  ({_interval(figure)})", f"{count:,} tasks"
        cells = (decimal(overall.score.value), _interval(overall.score), f"{overall.tasks:,}", f"{missing:,}", gap, on)
        table.add_row(Text(clean(result.system)), *cells)
    return table


def _interval(figure: Figure) -> str:
    return "–" if figure.low is None else f"{decimal(figure.low)} to {decimal(figure.high)}"


def _cells(name: str, part: Part) -> list[str | Text]:
    labels = " / ".join(
        f"{part.labels[name]:,}" for name in ("fully_satisfied", "partially_satisfied", "not_satisfied")
    )
    return [
        Text(name),
        decimal(part.score.value),
        _interval(part.score),
        f"{part.tasks:,}",
        f"{part.criteria:,}",
        labels,
    ]
