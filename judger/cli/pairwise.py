"""judger filter --pairwise: keep a rewrite only where it is deeper than the original, and covers no less.

Step-DeepResearch, section 7.5: a checklist rewards stacking of information, so a pairwise judge looks for depth with no
loss of coverage. Both are asked in both orders: a preference for a place alone keeps nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from contextlib import aclosing

from rich.text import Text

from judger.cli.console import check_writable, output, progress
from judger.cli.duels import Duel, answers, check_compares
from judger.cli.exits import INCOMPLETE, OK
from judger.cli.journal import Fate, Journal, journal_path
from judger.cli.pairs import Pair, read_pairs
from judger.cli.session import judge_session
from judger.cli.table import plural
from judger.errors import InvalidRequest, JudgerError
from judger.evals.votes import question
from judger.pairwise import Comparison
from judger.rubric.members import on_one_line, with_members
from judger.types import Lane, Options

__all__ = ["ORIGINAL", "run"]

ORIGINAL = "original"
"""The key of the report that the rewrite (`report`) was made of."""
ASPECTS = ("depth", "coverage")


async def run(args: argparse.Namespace) -> int:
    """Filters pairs: `report` is the rewrite, `original` what it was made of."""
    margin: float = args.tie_margin
    pairs = read_pairs(args.cases, rubric=(), a="report", b=ORIGINAL)
    if not all(pair.text for pair in pairs):
        raise InvalidRequest(str(args.cases), "must be JSON lines: kept lines are written as they are")
    check_writable(args.output, args.cases)
    check_writable(journal_path(args.output), args.cases)
    async with judge_session(args, Options()) as session:
        check_compares(session)
        key = {
            "input": hashlib.sha256(args.cases.read_bytes()).hexdigest(),
            "judge_id": session.judge_id,
            "pairwise": True,
            "tie_margin": margin,
        }
        with (
            Journal(args.output, key, restart=args.restart) as journal,
            progress("comparing", len(pairs), quiet=args.quiet) as advance,
        ):
            resumed = journal.num_done
            advance(resumed)
            left = pairs[resumed:]
            async with aclosing(answers(session, _duels(left), lane=Lane(args.lane))) as results:
                for pair in left:
                    found = {aspect: await anext(results) for aspect in ASPECTS}
                    fate = decide(found["depth"], found["coverage"], margin)
                    journal.add(fate, _line(pair, found) if fate is Fate.KEPT else None)
                    advance()
    counts = {fate.value: journal.counts[fate] for fate in (Fate.KEPT, Fate.DROPPED, Fate.UNSCORED)}
    if args.json:
        line = {"judge_id": session.judge_id, **counts, "resumed_from": resumed, "output": str(args.output)}
        print(json.dumps(line))
    else:
        text = Text(f"kept {counts['kept']:,}", style="bold")
        text.append(f" of {plural(len(pairs), 'pair')}, dropped {counts['dropped']:,}", style="not bold")
        if counts["unscored"]:
            text.append(f" · {counts['unscored']:,} without an answer, dropped", style="magenta not bold")
        output().print(text.append(f" → {args.output}", style="not bold"))
    return INCOMPLETE if counts["unscored"] else OK


def decide(depth: Comparison | JudgerError, coverage: Comparison | JudgerError, margin: float) -> Fate:
    """Kept where P(deeper) is over a half by more than the margin, and P(covers more) under it by no more than that."""
    if isinstance(depth, JudgerError) or isinstance(coverage, JudgerError):
        return Fate.UNSCORED
    if depth.p_a is None or coverage.p_a is None:
        return Fate.UNSCORED
    return Fate.KEPT if depth.p_a > 0.5 + margin and coverage.p_a >= 0.5 - margin else Fate.DROPPED


def _duels(pairs: list[Pair]) -> Iterator[Duel]:
    for pair in pairs:
        asked = pair.duel
        for aspect in ASPECTS:
            query = question(asked.query, aspect)
            yield Duel(id=asked.id, query=query, a=asked.a, b=asked.b, language=asked.language)


def _line(pair: Pair, found: dict[str, Comparison | JudgerError]) -> str:
    """The input's own object, with how it compared."""
    told = {
        aspect: {"p": result.p_a, "position_bias": result.position_bias, "judge_id": result.judge_id}
        for aspect, result in found.items()
        if isinstance(result, Comparison)
    }
    return on_one_line(with_members(pair.text, {"pairwise": json.dumps(told)}))
