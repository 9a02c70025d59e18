"""judger calibrate: fit a judge's probabilities to people's labels."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from judger.cli import cascade
from judger.cli.console import check_writable, output
from judger.cli.exits import INCOMPLETE, OK
from judger.cli.inputs import input_file
from judger.cli.labelled import judge_labelled
from judger.cli.options import check_judge, judge_flags, judging_flags, output_flags
from judger.cli.table import decimal
from judger.errors import InvalidRequest, Unsupported
from judger.types import Unscored

if TYPE_CHECKING:
    from judger.agreement.figures import Row
    from judger.calibration.calibrate import Report

SHOWN = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1", "ternary_macro_f1": "macro-F1, three labels"}
SHOWN |= {"kappa": "kappa", "ece": "ECE", "positive_rate": "passed", "human_positive_rate": "passed by people"}
LEGEND = (
    "How to read it: means over the files, every file with the same weight. after: on reports that the calibration was "
    "not fitted on, in five folds; the one that is written is fitted on all of them."
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "calibrate",
        help="fit a calibration to human labels",
        description="Fits temperature, biases and thresholds to labelled cases and writes them for "
        "`judger serve --calibration`. Exit code 1: something was unscored, or the fit is no help on unseen reports.",
        parents=[judge_flags(), judging_flags(mapping=None), output_flags()],
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="*", type=input_file, metavar="LABELLED.jsonl", help="each file is one source")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="CALIBRATION.json")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the folds and resamples; default: 0")
    cascade.add_arguments(parser)
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    if cascade.is_wanted(args):
        return await cascade.run(args)
    if not args.files:
        raise InvalidRequest("LABELLED.jsonl", "labelled cases are needed")
    if unused := [name for name in ("record", "plot") if getattr(args, name) is not None]:
        raise InvalidRequest(f"--{unused[0]}", "is for a cascade: give --cascade, too")
    check_judge(args)
    check_writable(args.output, *args.files)
    session, observations = await judge_labelled(args)
    if not session.info.model_id:
        raise Unsupported("--addr: the server doesn't say which model it is, and a calibration names it: update it")
    from judger.calibration.calibrate import fit_report, labelled, save_calibration

    current = session.info.calibration
    report = fit_report(
        labelled(observations, current),
        current=current,
        fitted_on=", ".join(observations),
        fitted_for=session.info.model_id,
        seed=args.seed,
    )
    save_calibration(report.calibration, args.output)
    if args.json:
        print(json.dumps({"judge_id": session.judge_id, **report.to_json()}, allow_nan=False))
    else:
        show(report, args.output)
    unscored = any(isinstance(row.result, Unscored) for rows in observations.values() for row in rows)
    return OK if report.improves and not unscored else INCOMPLETE


def show(report: Report, path: Path) -> None:
    """The table, for people."""
    console = output()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("")
    for head in ("before", "after"):
        table.add_column(head, justify="right")
    for name, words in SHOWN.items():
        table.add_row(words, *(cell(mean, name) for _, mean in (report.before, report.after)))
    table.add_row("negative log-likelihood", f"{report.nll_before:.3f}", f"{report.nll_after:.3f}")
    console.print(table)
    c = report.calibration
    bias = ", ".join(f"{value:+.2f}" for value in c.bias)
    console.print(
        f"temperature {c.temperature:.2f}, biases {bias}; thresholds: requirements {c.positive_threshold:.2f}, "
        f"flaws {c.negative_threshold:.2f}, partially {c.partial_threshold:.2f}"
    )
    for note in report.notes:
        console.print(Text(note, style="yellow"))
    if not report.improves:
        console.print(Text("It does not make the labels of unseen reports any likelier.", style="bold red"))
    console.print(Text(f"{report.num_labels:,} labels, {report.num_reports:,} reports → {path}", style="bold"))
    console.print(Text(LEGEND, style="dim"))


def cell(mean: Row, name: str) -> str:
    """A figure with its interval."""
    figure = mean.figures[name]
    interval = "" if figure.low is None else f"  {decimal(figure.low)}–{decimal(figure.high)}"
    return f"{decimal(figure.value)}{interval}"
