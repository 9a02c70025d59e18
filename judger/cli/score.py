"""judger score: judge cases; a table to read, or a line of JSON for each."""

from __future__ import annotations

import argparse
from contextlib import aclosing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

from rich.text import Text

from judger.cli.console import check_writable, count_lines, line_writer, output, progress
from judger.cli.exits import INCOMPLETE, OK
from judger.cli.inputs import CASES_HELP, input_file, read_all
from judger.cli.options import add_evidence_text, check_judge, judge_flags, judging_flags, judging_options, output_flags
from judger.cli.page import add_against, add_html, check_html, entry_of, write_html
from judger.cli.session import Answer, in_order, judge_session
from judger.cli.table import case_table, decimal, legend, plural, refused_case
from judger.errors import InvalidRequest
from judger.rubric import read_rubric


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "score",
        help="judge cases from a file",
        description="Judges every case of the files, shows verdicts and rewards. Exit code 1: something is unscored.",
        parents=[judge_flags(), judging_flags(), output_flags()],
        allow_abbrev=False,
    )
    parser.add_argument("cases", nargs="+", type=input_file, metavar="CASES.jsonl", help=CASES_HELP)
    parser.add_argument("--rubric", type=Path, metavar="FILE", help="judge every case by this rubric, not by its own")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.jsonl", help="write the lines of --json here")
    add_evidence_text(parser)
    add_html(parser)
    add_against(parser)
    parser.set_defaults(run=run)


@dataclass
class Tally:
    """What the last line says."""

    cases: int = 0
    refused: int = 0
    without_reward: int = 0
    unscored: int = 0
    criteria: int = 0
    total: float = 0.0

    def add(self, answer: Answer) -> None:
        """Counts one case."""
        self.cases += 1
        self.criteria += len(answer.case.criteria)
        if answer.judgement is None:
            self.refused += 1
            return
        self.unscored += answer.num_unscored
        if answer.judgement.reward.value is None:
            self.without_reward += 1
        else:
            self.total += answer.judgement.reward.value

    @property
    def is_complete(self) -> bool:
        return not self.refused and not self.unscored


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    check_judge(args)
    options = judging_options(args)
    if args.evidence_text and not args.json and args.output is None:
        raise InvalidRequest("--evidence-text", "is of JSON; give --json or -o, too: the table has the text anyway")
    if args.output is not None:
        check_writable(args.output, *args.cases)
    against = check_html(args, *args.cases)
    rubric = None if args.rubric is None else read_rubric(args.rubric)
    records = chain.from_iterable(read_all(args.cases, rubric=rubric))
    tally = Tally()
    entries = []
    async with judge_session(args, options) as session:
        with (
            line_writer(args.output) as file,
            progress("judging", count_lines(*args.cases), quiet=args.quiet) as advance,
        ):
            async with aclosing(in_order(session, records, options)) as answers:
                async for answer in answers:
                    emit(answer, as_json=args.json, file=file, with_text=args.evidence_text)
                    tally.add(answer)
                    if args.html is not None:
                        entries.append(entry_of(answer))
                    advance()
        if args.html is not None:
            write_html(args.html, session, entries, name=args.cases[0].name, against=against)
    if not args.json:
        console = output()
        if args.output is None:
            console.print(legend(options.mapping))
        if args.output is not None or tally.cases > 1:
            console.print(summary(tally, args.output))
    return OK if tally.is_complete else INCOMPLETE


def emit(answer: Answer, *, as_json: bool, file: IO[str] | None, with_text: bool = False) -> None:
    """Writes one case to where it is wanted."""
    line = answer.to_json(with_text=with_text) if as_json or file is not None else ""
    if as_json:
        print(line, flush=True)  # whoever reads a pipe gets each case as it is ready
    if file is not None:
        file.write(line + "\n")
    elif not as_json:
        console = output()
        if answer.judgement is None:
            console.print(refused_case(answer.case, str(answer.error), width=console.width))
        else:
            console.print(case_table(answer.case, answer.judgement, width=console.width))


def summary(tally: Tally, path: Path | None) -> Text:
    """The last line."""
    rewarded = tally.cases - tally.refused - tally.without_reward
    text = Text(f"{plural(tally.cases, 'case')}, {plural(tally.criteria, 'criterion')}")
    if rewarded:
        text.append(f" · mean reward {decimal(tally.total / rewarded)}", style="bold")
    if tally.unscored:
        text.append(f" · {plural(tally.unscored, 'criterion')} unscored", style="magenta")
    if tally.without_reward:
        text.append(f" · {plural(tally.without_reward, 'case')} without a reward", style="magenta")
    if tally.refused:
        text.append(f" · {tally.refused:,} refused", style="red")
    if path is not None:
        text.append(f" → {path}")
    return text
