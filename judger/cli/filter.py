"""judger filter: keep the cases of a file by their reward. Killed at any moment, it goes on where it was."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from judger.cli import pairwise
from judger.cli.console import check_writable, count_lines, output, progress
from judger.cli.exits import INCOMPLETE, OK
from judger.cli.inputs import input_file
from judger.cli.journal import Fate, Journal, journal_path
from judger.cli.options import (
    add_evidence_text,
    add_monitors,
    check_judge,
    connection,
    judge_flags,
    judging_flags,
    judging_options,
    output_flags,
    share,
)
from judger.cli.runs import run_line
from judger.cli.session import Answer, in_order, judge_session
from judger.cli.table import plural
from judger.cli.tables import ENDINGS, lines_path, write_table
from judger.cli.topk import check_groups, judged_path, write_best
from judger.errors import InvalidRequest
from judger.rubric import iter_records, read_rubric
from judger.types import Criterion, Options

if TYPE_CHECKING:
    from judger.cli.on_ray import OnRay

KEPT = (Fate.KEPT, Fate.UNSCORED_KEPT)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "filter",
        help="keep cases by their reward",
        description="Writes the cases whose reward lies within the bounds, with a `judgement` beside their own keys. "
        "A run that was ended is continued by the same command: OUT.jsonl.journal says how far it came.",
        parents=[judge_flags(), judging_flags(), output_flags()],
        allow_abbrev=False,
    )
    parser.add_argument("cases", type=input_file, metavar="IN.jsonl", help="one case a line; may be gzip-compressed")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.jsonl", required=True)
    parser.add_argument("--min-reward", type=float, metavar="X", help="keep rewards of at least X")
    parser.add_argument("--max-reward", type=float, metavar="X", help="keep rewards of at most X")
    parser.add_argument("--rubric", type=Path, metavar="FILE", help="judge every case by this rubric, not by its own")
    parser.add_argument("--keep-unscored", action="store_true", help="keep cases without a reward, too")
    parser.add_argument("--restart", action="store_true", help="begin anew: what OUT.jsonl holds is lost")
    parser.add_argument("--top-k", type=int, metavar="K", help="of each group, the K best by reward")
    parser.add_argument(
        "--group-by", default="query", metavar="KEY", help="with --top-k: what tells the groups apart; default: query"
    )
    parser.add_argument(
        "--pairwise",
        action="store_true",
        help="instead of rewards: lines with `report`, a rewrite, and `original`; keep those that are deeper and cover "
        "no less, asked in both orders",
    )
    parser.add_argument("--tie-margin", type=share, default=0.1, metavar="M", help="of --pairwise; default: 0.1")
    add_evidence_text(parser)
    add_monitors(parser)
    parser.add_argument("--ray", action="store_true", help="judge on Ray Data's workers, by the server of --addr")
    parser.add_argument(
        "--ray-address", metavar="ADDRESS", help="with --ray: a running cluster; default: a new one here"
    )
    parser.add_argument(
        "--ray-memory-mb",
        type=int,
        metavar="N",
        help="what that new one may hold between judge and output; default: 512",
    )
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    check_judge(args)
    check_ray(args)
    if args.pairwise:
        return await pairwise.run(alone(args))
    options = judging_options(args)
    low, high = bounds(args)
    if args.output.suffix == ".gz":
        raise InvalidRequest(str(args.output), "can't be gzip-compressed: a run could not be continued in it")
    check_writable(args.output, args.cases, *([args.rubric] if args.rubric else []))
    check_writable(journal_path(args.output), args.cases)
    if args.top_k is not None and args.top_k < 1:
        raise InvalidRequest("--top-k", f"must be at least 1, not {args.top_k}")
    if args.top_k is not None and args.keep_unscored:
        raise InvalidRequest("--keep-unscored", "has no place beside --top-k: without a reward there is no rank")
    rubric = None if args.rubric is None else read_rubric(args.rubric, monitors=args.monitors)
    records = iter_records(args.cases, rubric=rubric, monitors=args.monitors)
    lines = lines_path(args.output) if args.output.suffix in ENDINGS else args.output
    journalled = lines
    if args.top_k is not None:
        check_groups(args.cases, iter_records(args.cases, rubric=rubric, monitors=args.monitors), args.group_by)
        journalled = judged_path(args.output)
    settings = asdict(options) | {
        "min_reward": args.min_reward,
        "max_reward": args.max_reward,
        "keep_unscored": args.keep_unscored,
        "evidence_text": args.evidence_text,
        "monitors": args.monitors,
    }
    async with judge_session(args, options) as session:
        key = {
            "input": digest(args.cases),
            "rubric": digest(args.rubric) if args.rubric else None,
            "judge_id": session.judge_id,
            **settings,
        }
        with (
            Journal(journalled, key, restart=args.restart) as journal,
            progress("judging", count_lines(args.cases), quiet=args.quiet) as advance,
        ):
            resumed = journal.num_done
            advance(resumed)
            answering: AsyncGenerator[Answer, None]
            if args.ray:
                answering = on_ray(args, rubric, options).answers(records, resumed)
            else:
                answering = in_order(session, islice(records, resumed, None), options)
            async with aclosing(answering) as answers:
                async for answer in answers:
                    if args.top_k is not None:
                        outcome = Fate.REFUSED if answer.judgement is None else ranked(answer)
                    else:
                        outcome = decide(answer, low, high, keep_unscored=args.keep_unscored)
                    response = answer.to_json(with_text=args.evidence_text)
                    journal.add(outcome, run_line(answer.record, response) if outcome in KEPT or args.top_k else None)
                    advance()
    counts = {outcome.value: journal.counts[outcome] for outcome in Fate}
    if args.top_k is not None:
        chosen = write_best(journalled, lines, k=args.top_k, key=args.group_by, low=low, high=high)
        counts["dropped"], counts["kept"] = counts["kept"] - chosen.kept, chosen.kept
        if chosen.short and not args.quiet:
            words = f"{chosen.short:,} of {plural(chosen.groups, 'group')} have fewer than {args.top_k} to keep"
            print(f"judger: {words}", file=sys.stderr)
    if lines != args.output:
        write_table(lines, args.output)
    tell(counts, resumed, args, session.judge_id)
    is_complete = not (journal.counts[Fate.REFUSED] or counts["unscored"] or counts["unscored_kept"])
    return OK if is_complete else INCOMPLETE


def check_ray(args: argparse.Namespace) -> None:
    """Raises InvalidRequest for what --ray can't do, and for --ray-address without it."""
    if not args.ray:
        for flag, value in (("--ray-address", args.ray_address), ("--ray-memory-mb", args.ray_memory_mb)):
            if value is not None:
                raise InvalidRequest(flag, "is for --ray")
        return
    from judger.cli.on_ray import check_input

    if args.pairwise:
        raise InvalidRequest("--ray", "has no place beside --pairwise")
    if not args.addr:
        raise InvalidRequest("--ray", "needs --addr: the judge's server, as Ray's workers reach it")
    if args.ray_memory_mb is not None and args.ray_address is not None:
        raise InvalidRequest("--ray-memory-mb", "is for a cluster that starts here, not for that of --ray-address")
    if args.ray_memory_mb is not None and args.ray_memory_mb < 75:
        raise InvalidRequest("--ray-memory-mb", f"must be at least 75, Ray's own least, not {args.ray_memory_mb}")
    check_input(args.cases)


def on_ray(args: argparse.Namespace, rubric: tuple[Criterion, ...] | None, options: Options) -> OnRay:
    """How Ray judges these cases."""
    from judger.cli.on_ray import OnRay

    return OnRay(
        path=args.cases.absolute(),
        rubric=rubric,
        monitors=args.monitors,
        options=options,
        ray_address=args.ray_address,
        ray_memory_mb=512 if args.ray_memory_mb is None else args.ray_memory_mb,
        address=args.addr,
        settings=connection(args),
        timeout=args.timeout,
    )


def ranked(answer: Answer) -> Fate:
    """Of a case that is still to be ranked: it may be kept, or has no reward to rank it by."""
    assert answer.judgement is not None
    return Fate.KEPT if answer.judgement.reward.value is not None else Fate.UNSCORED


def alone(args: argparse.Namespace) -> argparse.Namespace:
    """Raises InvalidRequest for flags that --pairwise would not look at."""
    given = {
        "--min-reward": args.min_reward is not None,
        "--max-reward": args.max_reward is not None,
        "--top-k": args.top_k is not None,
        "--rubric": args.rubric is not None,
        "--keep-unscored": args.keep_unscored,
        "--monitors": args.monitors,
        "--explain": args.explain != "never",
    }
    for flag, is_given in given.items():
        if is_given:
            raise InvalidRequest(flag, "is for rewards, and --pairwise asks for none")
    if args.output.suffix == ".gz":
        raise InvalidRequest(str(args.output), "can't be gzip-compressed: a run could not be continued in it")
    return args


def bounds(args: argparse.Namespace) -> tuple[float, float]:
    """The lowest and the highest reward that is kept. Raises InvalidRequest."""
    if args.min_reward is None and args.max_reward is None and args.top_k is None:
        raise InvalidRequest("--min-reward", "give it, --max-reward or --top-k: without any everything would be kept")
    low = -math.inf if args.min_reward is None else args.min_reward
    high = math.inf if args.max_reward is None else args.max_reward
    if math.isnan(low) or math.isnan(high) or low > high:
        raise InvalidRequest("--min-reward", f"no reward lies between {low:g} and {high:g}")
    return low, high


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises InvalidRequest for what is no file: it could not be read again."""
    if path.is_dir():  # a data set
        sums = [(file.name, digest(file)) for file in sorted(path.iterdir()) if file.is_file()]
        return hashlib.sha256(json.dumps(sums).encode()).hexdigest()
    if not path.is_file():
        raise InvalidRequest(str(path), "must be a file: a run on anything else could not be continued")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def decide(answer: Answer, low: float, high: float, *, keep_unscored: bool) -> Fate:
    """What becomes of a case."""
    if answer.judgement is None:
        return Fate.REFUSED
    value = answer.judgement.reward.value
    if value is None:
        return Fate.UNSCORED_KEPT if keep_unscored else Fate.UNSCORED
    return Fate.KEPT if low <= value <= high else Fate.DROPPED


def tell(counts: dict[str, int], resumed: int, args: argparse.Namespace, judge_id: str) -> None:
    """The last line: what became of all cases, those of earlier runs too."""
    if args.json:
        print(json.dumps({"judge_id": judge_id, **counts, "resumed_from": resumed, "output": str(args.output)}))
        return
    unscored = counts["unscored"] + counts["unscored_kept"]
    text = Text(f"kept {counts['kept'] + counts['unscored_kept']:,}", style="bold")
    text.append(f" of {sum(counts.values()):,} cases, dropped {counts['dropped']:,}", style="not bold")
    if unscored:
        kept = "kept" if args.keep_unscored else "dropped"
        text.append(f" · {unscored:,} unscored and {kept}", style="magenta not bold")
    if counts["refused"]:
        text.append(f" · {counts['refused']:,} refused", style="red not bold")
    if resumed:
        text.append(f" · continued behind {resumed:,}", style="dim not bold")
    text.append(f" → {args.output}", style="not bold")
    output().print(text)
