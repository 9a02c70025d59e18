"""judger score: judge cases; a table to read, or a line of JSON for each."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import IO

from rich.text import Text

from judger.cli.console import check_writable, count_lines, line_writer, output, progress
from judger.cli.exits import INCOMPLETE, OK
from judger.cli.inputs import CASES_HELP, input_file, read_all
from judger.cli.options import (
    add_evidence_text,
    add_monitors,
    check_judge,
    judge_flags,
    judging_flags,
    judging_options,
    output_flags,
)
from judger.cli.page import add_against, add_html, check_html, entry_of, write_html
from judger.cli.runs import completed, open_criteria, run_line
from judger.cli.session import Answer, Session, in_order, judge_session
from judger.cli.table import case_table, decimal, legend, plural, refused_case
from judger.errors import InvalidRequest
from judger.evals.runfile import check_run, iter_run
from judger.reward import no_spread
from judger.rubric import Record, read_rubric
from judger.types import Mapping, Options


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "score",
        help="judge cases from a file",
        description="Judges every case of the files, shows verdicts and rewards. Exit code 1: something is unscored.",
        parents=[judge_flags(), judging_flags(), output_flags()],
        allow_abbrev=False,
    )
    parser.add_argument("cases", nargs="*", type=input_file, metavar="CASES.jsonl", help=CASES_HELP)
    parser.add_argument("--rubric", type=Path, metavar="FILE", help="judge every case by this rubric, not by its own")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.jsonl", help="write the lines of --json here")
    parser.add_argument(
        "--keep-cases", action="store_true", help="with -o: a run file, each line the case with its `judgement`"
    )
    parser.add_argument(
        "--only-unscored",
        type=Path,
        metavar="RUN.jsonl",
        help="instead of CASES: judge again what has no verdict in a run file, and write the run whole to -o",
    )
    parser.add_argument(
        "--mixed",
        action="store_true",
        help="with --only-unscored: another judge may fill the gaps; judge_id names both",
    )
    add_evidence_text(parser)
    add_monitors(parser)
    add_html(parser)
    add_against(parser)
    parser.set_defaults(run=run, fail=parser.error)


@dataclass
class Tally:
    """What the last line says."""

    cases: int = 0
    refused: int = 0
    without_reward: int = 0
    unscored: int = 0
    criteria: int = 0
    total: float = 0.0
    groups: dict[int, list[float]] = field(default_factory=dict)
    """Rewards of the reports of one query and rubric, by a hash of both."""

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
            asked = hash((answer.case.query, tuple(criterion.text for criterion in answer.case.criteria)))
            self.groups.setdefault(asked, []).append(answer.judgement.reward.value)

    def flat(self, mapping: Mapping) -> list[str]:
        """What is said of each group of reports that all have one reward."""
        return [told for rewards in self.groups.values() if (told := no_spread(rewards, mapping))]

    @property
    def is_complete(self) -> bool:
        return not self.refused and not self.unscored


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    check_judge(args)
    options = judging_options(args)
    if args.evidence_text and not args.json and args.output is None:
        raise InvalidRequest("--evidence-text", "is of JSON; give --json or -o, too: the table has the text anyway")
    check_combination(args)
    inputs = [args.only_unscored] if args.only_unscored else args.cases
    if args.output is not None:
        check_writable(args.output, *inputs)
    against = check_html(args, *inputs)
    keeps = args.keep_cases or args.only_unscored is not None
    if args.only_unscored is not None:
        check_run(args.only_unscored)
        known_judge(args)
    else:
        rubric = None if args.rubric is None else read_rubric(args.rubric, monitors=args.monitors)
        records = chain.from_iterable(read_all(args.cases, rubric=rubric, monitors=args.monitors))
    tally = Tally()
    entries = []
    async with judge_session(args, options) as session:
        if args.only_unscored is not None:
            given = filled(session, args.only_unscored, options)
        else:
            given = in_order(session, records, options)
        with (
            line_writer(args.output) as file,
            progress("judging", count_lines(*inputs), quiet=args.quiet) as advance,
        ):
            async with aclosing(given) as answers:
                async for answer in answers:
                    emit(answer, as_json=args.json, file=file, with_text=args.evidence_text, keeps=keeps)
                    tally.add(answer)
                    if args.html is not None:
                        entries.append(entry_of(answer))
                    advance()
        if args.html is not None:
            write_html(args.html, session, entries, name=inputs[0].name, against=against)
    if not args.json:
        console = output()
        if args.output is None:
            console.print(legend(options.mapping))
        if args.output is not None or tally.cases > 1:
            console.print(summary(tally, args.output))
        if flat := tally.flat(options.mapping):
            more = f" (and {plural(len(flat) - 1, 'group')} more like it)" if len(flat) > 1 else ""
            console.print(Text(flat[0] + more, style="yellow"))
    return OK if tally.is_complete else INCOMPLETE


def check_combination(args: argparse.Namespace) -> None:
    """Raises InvalidRequest for flags that don't go together."""
    if args.only_unscored is None:
        if not args.cases:
            args.fail("the following arguments are required: CASES.jsonl, or --only-unscored RUN.jsonl")
        if args.mixed:
            raise InvalidRequest("--mixed", "is for --only-unscored")
        if args.keep_cases and args.output is None:
            raise InvalidRequest("--keep-cases", "is of the file that -o names: give that, too")
        return
    for given, flag in ((args.cases, "CASES.jsonl"), (args.rubric, "--rubric")):
        if given:
            raise InvalidRequest(flag, "has no place beside --only-unscored: the run has its own cases and rubrics")
    if args.output is None:
        raise InvalidRequest("-o", "is missing: where --only-unscored writes the run")


def known_judge(args: argparse.Namespace) -> None:
    """Pins the run's own judge unless the gaps may be another's. Raises InvalidRequest where the run has several."""
    if args.mixed or args.judge_id:
        return
    ids = {judged.judgement.judge_id for judged in iter_run(args.only_unscored) if judged.judgement is not None}
    if len(ids) > 1:
        raise InvalidRequest(str(args.only_unscored), "is of several judges: give --mixed to let another fill its gaps")
    args.judge_id = next(iter(ids), "")


async def filled(session: Session, path: Path, options: Options) -> AsyncGenerator[Answer, None]:
    """The run in its order, each case with the verdicts that it has and new ones for what has none."""

    def gaps() -> Iterator[Record]:
        for judged in iter_run(path):
            if (case := open_criteria(judged)) is not None:
                yield replace(judged.record, case=case)

    async with aclosing(in_order(session, gaps(), options)) as answers:
        for index, judged in enumerate(iter_run(path)):
            if open_criteria(judged) is None:
                yield Answer(index, judged.record, judgement=judged.judgement)
                continue
            new = await anext(answers)
            if new.judgement is not None:
                mapping = options.mapping if judged.judgement is None else judged.judgement.reward.mapping
                whole = completed(judged, new.judgement, replace(options, mapping=mapping))
                yield Answer(index, judged.record, judgement=whole)
            elif judged.judgement is not None:  # refused now: what was known stays
                yield Answer(index, judged.record, judgement=judged.judgement)
            else:
                yield Answer(index, judged.record, error=new.error)


def emit(answer: Answer, *, as_json: bool, file: IO[str] | None, with_text: bool = False, keeps: bool = False) -> None:
    """Writes one case to where it is wanted."""
    line = answer.to_json(with_text=with_text) if as_json or file is not None else ""
    if as_json:
        print(line, flush=True)  # whoever reads a pipe gets each case as it is ready
    if file is not None:
        file.write((run_line(answer.record, line) if keeps else line) + "\n")
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
