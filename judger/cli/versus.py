"""judger eval adr general: systems side by side, blind; judged in both orders, voted on by people, or both."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from contextlib import aclosing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from judger.cli.console import check_writable, output, progress
from judger.cli.duels import Duel, check_compares, compared, in_order, quality
from judger.cli.exits import INCOMPLETE, OK
from judger.cli.inputs import input_file
from judger.cli.journal import Fate, Journal
from judger.cli.options import check_judge, judge_flags, output_flags, seconds, share
from judger.cli.session import Session, judge_session
from judger.cli.systems import add_reports, check_output, read_systems, read_tasks
from judger.cli.table import clean, decimal, plural
from judger.errors import InvalidRequest, JudgerError
from judger.evals.votes import (
    DIMENSIONS,
    OVERALL,
    QUALITY,
    Answer,
    BlindPair,
    Vote,
    blind_pairs,
    no_pairs,
    question,
    read_votes,
)
from judger.pairwise import Comparison
from judger.rubric import Rubric
from judger.types import Lane, Mapping, Options

if TYPE_CHECKING:
    from judger.agreement.figures import Figure
    from judger.evals.concord import Concord
    from judger.evals.ranking import Ranking

TIES = {"both_good": "both good", "both_fair": "both fair", "both_poor": "both poor", "tie": "of no kind"}
LEGEND = (
    "How to read it: rating = Bradley-Terry on Elo's scale, the mean is 1000 and 400 points are odds of ten to one; "
    "score = (wins + ties / 2) / votes. In brackets the 95% interval, from {resamples:,} resamples of whole tasks. A "
    "judge is asked in both orders; where P(better) is within {margin:g} of a half it is a tie: good, fair or poor by "
    "what the judge says of each report alone."
)


def add_parser(tracks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the track."""
    parser = tracks.add_parser(
        "general",
        help="ADR-Bench's general track: side by side, blind, four dimensions",
        description="Compares every two systems on every task, all in all and on four dimensions: by a judge that has "
        "a pairwise prompt, by people's votes, or both. Exit code 1: a pair has no answer.",
        parents=[judge_flags(), output_flags()],
        allow_abbrev=False,
    )
    parser.add_argument(
        "--tasks", type=Path, required=True, metavar="FILE", help="the tasks: id and query, any rubric file"
    )
    add_reports(parser)
    parser.add_argument("--page", type=Path, metavar="OUT.html", help="write the blind voting page, and nothing else")
    parser.add_argument(
        "--votes",
        action="append",
        default=[],
        type=input_file,
        metavar="VOTES.jsonl",
        help="people's votes; may be repeated",
    )
    parser.add_argument("--no-judge", action="store_true", help="people's votes alone")
    parser.add_argument("--tie-margin", type=share, default=0.1, metavar="M", help="of a judge; default: 0.1")
    parser.add_argument("-o", "--output", type=Path, metavar="RUN.jsonl", help="keep the judge's votes; continues")
    parser.add_argument("--restart", action="store_true", help="begin anew: what RUN.jsonl holds is lost")
    parser.add_argument("--lane", choices=[m.value for m in Lane], default="evaluation", help="default: evaluation")
    parser.add_argument("--timeout", type=seconds, default=600.0, metavar="SECONDS", help="of one pair; default: 600")
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the bootstrap; default: 1000")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of sides and bootstrap; default: 0")
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace) -> int:
    """Runs the track."""
    if args.resamples < 1 or args.seed < 0:
        raise InvalidRequest("--resamples, --seed", "must be positive")
    if args.page is None and not args.no_judge:
        check_judge(args)
    if args.no_judge and not args.votes:
        raise InvalidRequest("--no-judge", "leaves nobody to ask: give --votes")
    check_output(args.output)
    tasks = read_tasks(args.tasks)
    systems = read_systems(args.reports, tasks)
    if len(systems) < 2:
        raise InvalidRequest("--reports", "side by side takes two systems: give it again for the second")
    queries = {name: rubric.query for name, rubric in tasks.items()}
    pairs = list(blind_pairs(queries, {system.system: system.texts for system in systems}, seed=args.seed))
    if not pairs:
        raise no_pairs(str(args.tasks))
    names = [system.system for system in systems]
    if args.page is not None:
        return write_page(args.page, pairs)
    people = [vote for path in args.votes for vote in read_votes(path, pairs, names)]
    judged: list[Vote] = []
    judge_id, failed = "", 0
    if not args.no_judge:
        async with judge_session(args, Options()) as session:
            check_compares(session)
            judge_id = session.judge_id
            judged, failed = await judge_pairs(session, pairs, tasks, args)
    from judger.evals.concord import concord
    from judger.evals.ranking import ranking

    rankings = {}
    for dimension in (OVERALL, *DIMENSIONS):
        votes = [vote for vote in (*people, *judged) if vote.dimension == dimension]
        if votes:
            rankings[dimension] = ranking(votes, names, resamples=args.resamples, seed=args.seed)
    beside = {
        name: concord(
            [vote for vote in people if name in ("", vote.dimension)],
            judged,
            resamples=args.resamples,
            seed=args.seed,
        )
        for name in ("", *rankings)
    }
    asked = {"people": len(people), "judge": len(judged), "unanswered": failed}
    if args.json:
        for dimension, found in rankings.items():
            both = beside[dimension]
            row = {"judge_id": judge_id, "dimension": dimension, **asked, **found.to_json()}
            print(json.dumps(row | {"people_and_judge": both and both.to_json()}, allow_nan=False))
    else:
        show(rankings, asked, judge_id, beside[""], args)
    return INCOMPLETE if failed else OK


def write_page(path: Path, pairs: Sequence[BlindPair]) -> int:
    """Writes the blind voting page."""
    from judger.evals.page import voting_page

    check_writable(path)
    path.write_text(voting_page(pairs), encoding="utf-8")
    output().print(Text(f"{plural(len(pairs), 'pair')} → {path}"))
    return OK


async def judge_pairs(
    session: Session, pairs: Sequence[BlindPair], tasks: dict[str, Rubric], args: argparse.Namespace
) -> tuple[list[Vote], int]:
    """The judge's votes, and how many questions have no answer; continued where the output has some already."""
    asked = [(pair, dimension) for pair in pairs for dimension in (OVERALL, *DIMENSIONS)]

    async def ask(one: tuple[BlindPair, str]) -> dict[str, object]:
        pair, dimension = one
        language = tasks[pair.task].language
        duel = Duel(id=pair.id, query=pair.query, a=pair.left_report, b=pair.right_report, language=language)
        lane = Lane(args.lane)
        query = question(pair.query, dimension)
        result = await compared(session, replace(duel, query=query), mapping=Mapping.STRICT, lane=lane)
        row = _row(pair, dimension, result)
        if isinstance(result, Comparison) and result.p_a is not None and abs(result.p_a - 0.5) <= args.tie_margin:
            row["quality"] = await quality(session, duel, QUALITY[dimension], lane=lane)
        return row

    key = {
        "input": hashlib.sha256(repr(list(pairs)).encode("utf-8", "replace")).hexdigest(),
        "judge_id": session.judge_id,
    }
    rows: list[dict[str, object]] = []
    with (
        nullcontext() if args.output is None else Journal(args.output, key, restart=args.restart) as journal,
        progress("comparing", len(asked), quiet=args.quiet) as advance,
    ):
        if journal is not None and journal.num_done:
            rows = [json.loads(line) for line in args.output.read_text(encoding="utf-8").splitlines()]
            advance(len(rows))
        async with aclosing(in_order(asked[len(rows) :], ask)) as found:
            async for row in found:
                rows.append(row)
                if journal is not None:
                    journal.add(Fate.KEPT, json.dumps(rows[-1], ensure_ascii=False))
                advance()
    votes = [
        Vote(
            task=pair.task,
            dimension=dimension,
            left=pair.left,
            right=pair.right,
            answer=_answer(row, args.tie_margin),
            voter=session.judge_id,
            position_bias=float(str(row["position_bias"])),
        )
        for (pair, dimension), row in zip(asked, rows, strict=True)
        if row["p_left"] is not None
    ]
    return votes, len(rows) - len(votes)


def _row(pair: BlindPair, dimension: str, result: Comparison | JudgerError) -> dict[str, object]:
    row: dict[str, object] = {"pair": pair.id, "task": pair.task, "dimension": dimension}
    row |= {"left": pair.left, "right": pair.right, "p_left": None, "position_bias": None, "quality": None}
    if isinstance(result, JudgerError):
        return row | {"error": str(result)}
    return row | {"p_left": result.p_a, "position_bias": result.position_bias, "judge_id": result.judge_id}


def _answer(row: dict[str, Any], margin: float) -> Answer:
    """Of a row with `p_left`; one that was no tie at the margin of its time has no `quality`."""
    p_left = row["p_left"]
    if abs(p_left - 0.5) <= margin:
        return Answer.of_tie(row.get("quality"))
    return Answer.LEFT if p_left > 0.5 else Answer.RIGHT


def show(
    rankings: dict[str, Ranking], asked: dict[str, int], judge_id: str, beside: Concord | None, args: argparse.Namespace
) -> None:
    """The tables, for people."""
    console = output()
    for dimension, found in rankings.items():
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        table.add_column(dimension.replace("_", " "), min_width=24, overflow="fold")
        for head in ("rating", "won", "tied", "lost", "score"):
            table.add_column(head, justify="right", no_wrap=True)
        for one in found.standings:
            counts = (f"{count:,.0f}" for count in (one.wins, one.ties, one.losses))
            table.add_row(Text(clean(one.system)), _figure(one.rating, 0), *counts, _figure(one.score, 2))
        console.print(table)
        notes = []
        if ties := [f"{found.answers[name]:,} {words}" for name, words in TIES.items() if name in found.answers]:
            notes.append(f"ties: {', '.join(ties)}")
        if found.position_bias.value is not None:
            notes.append(f"the judge's position bias {decimal(found.position_bias.value)} (+ favours the first)")
        if found.left.value is not None:
            notes.append(f"people's share for the left {decimal(found.left.value)}")
        if not found.is_connected:
            notes.append("no chain of votes joins all systems: their ratings can't be compared")
        if notes:
            console.print(Text(f"  {'; '.join(notes)}", style="dim"))
    text = Text(f"\n{plural(asked['people'], 'vote')} of people, {asked['judge']:,} of the judge")
    if asked["unanswered"]:
        text.append(f" · {asked['unanswered']:,} without an answer, left out", style="magenta")
    console.print(text)
    if beside is not None:
        console.print(
            Text(
                f"the judge says what people say in {_figure(beside.same, 2)} of {beside.n:,} answers (left, right or "
                f"neither), kappa {_figure(beside.kappa, 2)}; the same of the five answers in "
                f"{_figure(beside.same_answer, 2)}"
            )
        )
    if judge_id:
        console.print(Text(f"judge {judge_id}", style="dim"))
    console.print(Text(LEGEND.format(resamples=args.resamples, margin=args.tie_margin), style="dim"))


def _figure(figure: Figure, digits: int) -> str:
    def shown(value: float | None) -> str:
        return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")

    interval = "" if figure.low is None else f" ({shown(figure.low)} to {shown(figure.high)})"
    return f"{shown(figure.value)}{interval}"
