"""judger rejudge: a run's reports before another judge, or two runs beside each other: what changed, and which way."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from judger.cli.console import check_writable, line_writer, output, progress
from judger.cli.exits import INCOMPLETE, OK
from judger.cli.inputs import input_file
from judger.cli.options import check_judge, judge_flags, judging_flags, judging_options, output_flags
from judger.cli.runs import remapped, run_line
from judger.cli.session import in_order, judge_session
from judger.cli.table import clean, decimal, plural
from judger.errors import Fault, InvalidFile, InvalidRequest
from judger.evals.changes import Change, Changes, Kind, Pair, changes
from judger.evals.runfile import Judged, check_run, iter_run
from judger.types import Lane, Mapping, Score, Unscored

SHOWN = 10
LEGEND = (
    "How to read it: same = the same label of three; ↑ = now satisfied, of a flaw: now found; ↓ = no longer, by the "
    "strict bit; of the criteria with a verdict on both sides. A criterion without one on a side counts as new or lost."
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "rejudge",
        help="what another judge says of a run",
        description="Judges the cases of a run file anew and shows what changed, or with --with compares two runs. "
        "Exit code 1: something is unscored.",
        parents=[judge_flags(), judging_flags(mapping=None, lane=Lane.EVALUATION), output_flags()],
        allow_abbrev=False,
    )
    parser.add_argument("run_file", type=input_file, metavar="RUN.jsonl", help="cases with their judgement")
    parser.add_argument("--with", dest="other", type=Path, metavar="RUN2.jsonl", help="compare with this run; no judge")
    parser.add_argument("-o", "--output", type=Path, metavar="NEW.jsonl", help="write the new run here")
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    if args.other is not None:
        if args.output is not None or args.addr:
            raise InvalidRequest("--with", "compares what there is: leave out -o and --addr")
        check_run(args.run_file)
        check_run(args.other)
        pairs = list(_beside(args.run_file, args.other))
    else:
        check_judge(args)
        options = judging_options(args, mapping=Mapping.STRICT)
        if args.output is not None:
            check_writable(args.output, args.run_file)
        count = check_run(args.run_file)
        pairs = []
        async with judge_session(args, options) as session:
            with line_writer(args.output) as file, progress("judging", count, quiet=args.quiet) as advance:
                olds = iter_run(args.run_file)
                records = (judged.record for judged in iter_run(args.run_file))
                async with aclosing(in_order(session, records, options)) as answers:
                    async for answer in answers:
                        old, new = next(olds).judgement, answer.judgement
                        if old is not None and new is not None:  # rewards under one mapping can be compared
                            new = remapped(answer.case, new, old.reward.mapping)
                            answer = replace(answer, judgement=new)
                        pairs.append(Pair(answer.case, old, new))
                        if file is not None:
                            file.write(run_line(answer.record, answer.to_json()) + "\n")
                        advance()
    found = changes(pairs)
    judges = (_judges(pairs, "old"), _judges(pairs, "new"))
    if args.json:
        print(json.dumps({"old_judge_id": judges[0], "new_judge_id": judges[1], **found.to_json()}, allow_nan=False))
    else:
        show(found, judges)
    unscored = any(
        pair.new is None or any(isinstance(verdict.result, Unscored) for verdict in pair.new.verdicts) for pair in pairs
    )
    return INCOMPLETE if unscored else OK


def _judges(pairs: list[Pair], side: str) -> str:
    ids = {judgement.judge_id for pair in pairs if (judgement := getattr(pair, side)) is not None}
    return ", ".join(sorted(ids))


def _beside(old: Path, new: Path) -> Iterator[Pair]:
    """The lines of two runs of the same cases. Raises InvalidFile where they are of different ones."""
    for left, right in zip_longest(iter_run(old), iter_run(new)):
        if left is None or right is None:
            raise InvalidFile(
                [Fault(str(new), 1, "file", f"has {'more' if left is None else 'fewer'} cases than {old}")]
            )
        if _asked(left) != _asked(right):
            raise InvalidFile(
                [Fault(str(new), right.record.line, "case", f"is not that of line {left.record.line} of the old run")]
            )
        yield Pair(left.case, left.judgement, right.judgement)


def _asked(judged: Judged) -> object:
    case = judged.case
    return case.id, case.report, [(criterion.id, criterion.text, criterion.weight) for criterion in case.criteria]


def show(found: Changes, judges: tuple[str, str]) -> None:
    """The table, for people."""
    console = output()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("", min_width=14, overflow="fold")
    for head in ("criteria", "same label", "↑", "↓", "new", "lost"):
        table.add_column(head, justify="right", no_wrap=True)
    for name, kind in found.kinds.items():
        table.add_row(*_cells(name, kind), style="bold" if name == "all" else "")
    if len(found.axes) > 1:
        table.add_section()
        for name, kind in found.axes.items():
            table.add_row(*_cells(name or "(no axis)", kind))
    console.print(table)
    sums = found.to_json()["rewards"]
    text = Text(f"mean reward {decimal(sums['old_mean'])} → {decimal(sums['new_mean'])}", style="bold")
    text.append(f" over {plural(sums['compared'], 'case')} · {sums['up']} higher, {sums['down']} lower", "not bold")
    if sums["missing"]:
        text.append(f" · {plural(sums['missing'], 'case')} without a reward on a side", style="magenta not bold")
    console.print(text)
    if found.changed:
        console.print(Text(f"\nthe largest of {plural(len(found.changed), 'change')}:", style="bold"))
    for change in found.changed[:SHOWN]:
        where = (f"{clean(change.case_id)} {clean(change.criterion.id)}  ", "dim")
        console.print(Text.assemble("  ", where, _sides(change), "  ", clean(change.criterion.text)), soft_wrap=False)
    console.print(Text(f"\nold judge {judges[0] or '–'}\nnew judge {judges[1] or '–'}", style="dim"))
    console.print(Text(LEGEND, style="dim"))


def _cells(name: str, kind: Kind) -> list[str]:
    share = f" ({kind.same / kind.compared:.0%})" if kind.compared else ""
    counts = (kind.up, kind.down, kind.newly_scored, kind.newly_unscored)
    return [
        clean(name),
        f"{kind.criteria:,}",
        f"{kind.same:,} of {kind.compared:,}{share}",
        *(f"{n:,}" for n in counts),
    ]


def _sides(change: Change) -> str:
    def side(result: Score | Unscored) -> str:
        return result.label.value.split("_")[0] if isinstance(result, Score) else "unscored"

    return f"{side(change.old)} → {side(change.new)}"
