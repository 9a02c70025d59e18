"""judger calibrate --cascade: which margin a cascade should have, by cost and accuracy on labelled cases."""

from __future__ import annotations

import argparse
import json
import time
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from judger.cli.console import check_writable, output
from judger.cli.exits import OK
from judger.cli.labelled import judge_labelled
from judger.cli.options import check_judge
from judger.errors import InvalidRequest

if TYPE_CHECKING:
    from judger.agreement import Observation
    from judger.calibration.cascade import Curve

SHOWN = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that only a cascade's calibration has."""
    group = parser.add_argument_group("with --cascade: the margin that is worth its cost")
    group.add_argument("--record", type=Path, metavar="FILE.jsonl", help="keep what both levels said of each criterion")
    group.add_argument(
        "--replay", type=Path, metavar="FILE.jsonl", help="find the margin on what was kept; nothing is judged"
    )
    group.add_argument(
        "--plot", type=Path, metavar="FILE", help="the cost-accuracy curve as a picture: .png, .svg or .pdf"
    )


def is_wanted(args: argparse.Namespace) -> bool:
    """Whether a cascade's margin is asked for, and not a calibration."""
    return args.cascade is not None or args.replay is not None


async def run(args: argparse.Namespace) -> int:
    """Runs the command. Writes the curve and the chosen margin to `args.output`."""
    from judger.calibration.cascade import curve, plot, read_rows, rows_of, write_curve, write_rows
    from judger.engines.cascade.settings import read_settings
    from judger.load.plot import check_can_plot

    if args.addr:
        raise InvalidRequest("--addr", "a cascade's levels are asked in this process: leave it out")
    if args.plot is not None:
        check_can_plot(args.plot)
    if args.engine is None and args.cascade is not None:
        args.engine = "cascade"
    check_judge(args)
    targets = [args.output, *(path for path in (args.record, args.plot) if path is not None)]
    for target in targets:
        check_writable(target, *args.files)
    on_failure = read_settings(args.cascade).on_failure if args.cascade is not None else "unscored"
    seconds: dict[str, float] = {}
    if args.replay is not None:
        rows = read_rows(args.replay)
    else:
        if not args.files:
            raise InvalidRequest("LABELLED.jsonl", "labelled cases are needed, or --replay")
        first, second = [await _level(args, level, seconds) for level in ("first", "second")]
        rows = rows_of(first, second)
    if args.record is not None:
        write_rows(rows, args.record)
    found = curve(rows, on_failure=on_failure)
    told = found.to_json() | {"seconds": seconds}
    write_curve(told, args.output)
    if args.plot is not None:
        plot(found, args.plot)
    if args.json:
        print(json.dumps(told))
    else:
        show(found, seconds)
    return OK


async def _level(args: argparse.Namespace, level: str, seconds: dict[str, float]) -> list[Observation]:
    """What one level says of every criterion."""
    alone = copy(args)
    alone.cascade_level = level
    began = time.monotonic()
    _, observations = await judge_labelled(alone)
    seconds[level] = round(time.monotonic() - began, 2)
    return [row for rows in observations.values() for row in rows]


def show(found: Curve, seconds: dict[str, float]) -> None:
    """The table, for people."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for head in ("margin", "asked of the second", "balanced accuracy", "unscored"):
        table.add_column(head, justify="right")
    for point in found.points:
        is_chosen = point == found.chosen
        if is_chosen or point.margin in SHOWN:
            cells = f"{point.margin:.2f}", f"{point.second_share:.0%}", f"{point.balanced_accuracy:.3f}"
            table.add_row(*cells, f"{point.unscored:.1%}", style="bold" if is_chosen else "")
    console = output()
    console.print(table)
    console.print(f"the second level alone: {found.second_alone:.3f}; {found.num_criteria:,} labelled criteria")
    if seconds:
        console.print("seconds, loading included: " + ", ".join(f"{k} level {v:.0f}" for k, v in seconds.items()))
    console.print(f"margin = {found.chosen.margin:.2f}  # for the settings file", style="bold")
