"""judger agree: how far the judge agrees with people, on labelled cases."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from judger.cli.console import output
from judger.cli.exits import INCOMPLETE, OK
from judger.cli.inputs import input_file
from judger.cli.labelled import judge_labelled
from judger.cli.options import check_judge, judge_flags, judging_flags, output_flags
from judger.cli.page import add_html, check_html, write_html
from judger.cli.table import decimal, plural
from judger.errors import InvalidRequest
from judger.types import Lane

if TYPE_CHECKING:
    from judger.agreement import Agreement
    from judger.agreement.figures import Figure, Row
    from judger.pages import Entry

WIDE = 98
"""Terminal columns from which the table has all of `HEADS`; below, it leaves out those of `SPARED`."""
HEADS = ("criteria", "balanced\naccuracy", "word\noverlap", "macro-F1\n(ternary)", "kappa", "ECE", "passed\n(people)")
SPARED = (0, 2)
LEGEND = (
    "How to read it: each figure has its 95% interval below it, from {resamples:,} resamples of whole reports. "
    "balanced accuracy: mean share of met and of unmet criteria that the judge gets right, 0.5 is chance; "
    "word overlap: the same of that baseline; macro-F1: mean of both classes' F1, in brackets of the three labels'; "
    "kappa: agreement beyond chance; ECE: how far P(satisfied) is from the share that is satisfied, 0 is best; "
    "passed: share that the judge, and in brackets that people, call satisfied. A dash is undefined. "
    "Unscored criteria count in no figure."
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "agree",
        help="agreement with human labels",
        description="Judges labelled cases and compares with people, per file and in the mean over files, beside two "
        "baselines: the majority class and word overlap (fitted by cross-validation over reports).",
        parents=[judge_flags(), judging_flags(mapping=None, lane=Lane.EVALUATION), output_flags()],
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", type=input_file, metavar="LABELLED.jsonl", help="each file is one source")
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the bootstrap; default: 1000")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the bootstrap; default: 0")
    add_html(parser)
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    check_judge(args)
    if args.resamples < 1 or args.seed < 0:
        raise InvalidRequest("--resamples, --seed", "must be positive")
    check_html(args, *args.files)
    entries: list[Entry] | None = [] if args.html is not None else None
    session, observations = await judge_labelled(args, entries)
    if entries is not None:
        write_html(args.html, session, entries, name=", ".join(observations))
    from judger.agreement import agreement

    result = agreement(session.judge_id, observations, resamples=args.resamples, seed=args.seed)
    if args.json:
        print(json.dumps(result.to_json(), allow_nan=False))
    else:
        show(result)
    return INCOMPLETE if any(result.unscored.values()) else OK


def show(result: Agreement) -> None:
    """The table, for people."""
    console = output()
    columns = [i for i in range(len(HEADS)) if console.width >= WIDE or i not in SPARED]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1), header_style="bold")
    table.add_column("source", overflow="fold")
    for i in columns:
        table.add_column(HEADS[i], justify="right", no_wrap=True)
    overlap_rows, overlap_mean = result.baselines["word_overlap"]

    def add(name: str, note: str, row: Row, overlap: Row | None, style: str = "") -> None:
        cells = _cells(row, overlap)
        table.add_row(Text.assemble(name, "\n", (note, "dim")), *(cells[i] for i in columns), style=style)

    for name, row in result.sources.items():
        add(name, plural(result.reports[name], "report"), row, overlap_rows.get(name))
    table.add_section()
    add("mean", plural(len(result.sources), "source"), result.mean, overlap_mean, "bold")
    for name, (_, mean) in result.baselines.items():
        add(name.replace("_", " "), "baseline", mean, None, "dim")
    console.print(table)
    if result.mean.figures["positive_rate_of_flaws"].value is not None:
        console.print(_by_sign(result.mean))
    for name, reasons in result.unscored.items():
        if reasons:
            share = result.sources[name].figures["unscored"].value or 0.0
            parts = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
            console.print(Text(f"{name}: {share:.1%} unscored ({parts})", style="magenta"))
    console.print(Text(f"judge {result.judge_id}", style="dim"))
    console.print(Text(LEGEND.format(resamples=result.resamples), style="dim"))


def _cells(row: Row, overlap: Row | None) -> list[Text]:
    """Under `HEADS`."""
    figures = row.figures
    f1, ternary = figures["macro_f1"], figures["ternary_macro_f1"]
    return [
        Text(f"{row.n:,}"),
        _figure(figures["balanced_accuracy"]),
        Text("") if overlap is None else _figure(overlap.figures["balanced_accuracy"]),
        _figure(f1, f" ({decimal(ternary.value)})"),
        _figure(figures["kappa"]),
        _figure(figures["ece"]),
        _figure(figures["positive_rate"], f" ({decimal(figures['human_positive_rate'].value)})"),
    ]


def _figure(figure: Figure, beside: str = "") -> Text:
    text = Text(decimal(figure.value) + beside)
    if figure.low is not None:
        text.append(f"\n{decimal(figure.low)}–{decimal(figure.high)}", style="dim not bold")
    return text


def _by_sign(mean: Row) -> Text:
    text = Text("called satisfied, by sign of weight:")
    for kind in ("requirements", "flaws"):
        judge = mean.figures[f"positive_rate_of_{kind}"].value
        people = mean.figures[f"human_positive_rate_of_{kind}"].value
        text.append(f"  {kind} {decimal(judge)} (people {decimal(people)})")
    return text
