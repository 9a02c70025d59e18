"""judger compare: which of two reports is better, asked in both orders; two files, or a file of pairs."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from judger.cli.console import check_writable, output, progress
from judger.cli.duels import Duel, answers, check_compares
from judger.cli.exits import INCOMPLETE, OK
from judger.cli.inputs import input_file
from judger.cli.journal import Fate, Journal
from judger.cli.options import check_judge, judge_flags, output_flags, seconds
from judger.cli.pairs import read_pairs
from judger.cli.session import Session, judge_session
from judger.cli.systems import check_output
from judger.cli.table import clean, decimal, plural
from judger.errors import InvalidRequest, JudgerError
from judger.evals.votes import ASPECTS, OVERALL, question
from judger.pairwise import Comparison, Preference
from judger.rubric import read_report, read_rubric
from judger.types import Lane, Mapping, Options
from judger.validate import check_compare
from judger.verdict import percent

TEXTS = (".md", ".txt")
WORDS = {
    Preference.A: ("A is better", "green"),
    Preference.B: ("B is better", "green"),
    Preference.TIE: ("tie", "yellow"),
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "compare",
        help="which of two reports is better",
        description="Compares two reports (A.md B.md), or each pair of a file. With criteria both are judged by them; "
        "without, a pairwise prompt is asked in both orders. Exit code 1: a pair has no answer.",
        parents=[judge_flags(), output_flags()],
        allow_abbrev=False,
    )
    parser.add_argument("reports", nargs="+", type=input_file, metavar="A.md B.md | PAIRS.jsonl")
    parser.add_argument("--query", default="", metavar="TEXT", help="what two report files were asked for")
    parser.add_argument("--rubric", type=Path, metavar="FILE", help="compare by these criteria, not by a prompt")
    parser.add_argument(
        "--aspect",
        default=OVERALL,
        metavar="NAME_OR_TEXT",
        help=f"without criteria, compare in one respect: {', '.join(ASPECTS)}, or words of yours; default: overall",
    )
    parser.add_argument("--mapping", choices=[m.value for m in Mapping], default="strict", help="default: strict")
    parser.add_argument("--lane", choices=[m.value for m in Lane], default="bulk", help="default: bulk")
    parser.add_argument("--timeout", type=seconds, default=600.0, metavar="SECONDS", help="of one pair; default: 600")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT.jsonl",
        help="write the lines of --json; the same command goes on",
    )
    parser.add_argument("--restart", action="store_true", help="begin anew: what OUT.jsonl holds is lost")
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    check_judge(args)
    if args.output is not None:
        check_writable(args.output, *args.reports)
    check_output(args.output)
    if args.rubric is not None and args.aspect != OVERALL:
        raise InvalidRequest("--aspect", "is for comparing without criteria: leave it out, or --rubric")
    duels = list(_duels(args))
    if args.aspect != OVERALL:
        duels = [
            Duel(id=duel.id, query=question(duel.query, args.aspect), a=duel.a, b=duel.b, language=duel.language)
            for duel in duels
        ]
    console = output()
    counts: Counter[Preference | None] = Counter()  # None: without an answer
    biases: list[float] = []
    async with judge_session(args, Options()) as session:
        if not all(duel.criteria for duel in duels):
            check_compares(session)
        with (
            _journal(args, session, duels) as journal,
            progress("comparing", len(duels), quiet=args.quiet) as advance,
        ):
            known = [] if journal is None or not journal.num_done else args.output.read_text("utf-8").splitlines()
            advance(len(known))
            for line in known:
                if args.json:
                    print(line, flush=True)
                preference, bias = _read(line)
                counts[preference] += 1
                biases += bias
            asked = duels[len(known) :]
            found = answers(session, asked, mapping=Mapping(args.mapping), lane=Lane(args.lane))
            async with aclosing(found) as results:
                index = 0
                async for result in results:
                    line = to_json(asked[index].id, result) if args.json or journal is not None else ""
                    if args.json:
                        print(line, flush=True)
                    if journal is not None:
                        journal.add(Fate.KEPT, line)
                    elif not args.json:
                        console.print(_told(asked[index].id if len(duels) > 1 else "", result))
                    counts[None if isinstance(result, JudgerError) else result.preference] += 1
                    if isinstance(result, Comparison) and result.position_bias is not None:
                        biases.append(result.position_bias)
                    index += 1
                    advance()
    if not args.json and len(duels) > 1:
        console.print(_summary(counts, biases))
    return INCOMPLETE if counts[None] else OK


def _journal(
    args: argparse.Namespace, session: Session, duels: Sequence[Duel]
) -> AbstractContextManager[Journal | None]:
    """The output, to be continued by the same command; None where there is none. Raises InvalidRequest."""
    if args.output is None:
        return nullcontext()
    asked = hashlib.sha256(json.dumps([asdict(duel) for duel in duels]).encode()).hexdigest()
    key = {"input": asked, "judge_id": session.judge_id, "mapping": args.mapping, "lane": args.lane}
    return Journal(args.output, key, restart=args.restart)


def _read(line: str) -> tuple[Preference | None, list[float]]:
    """What a line of an earlier run says: the preference, and the position bias where there is one."""
    values = json.loads(line)
    preference = values["preference"].lower()
    bias = values.get("position_bias")
    return None if preference == "unspecified" else Preference(preference), [] if bias is None else [bias]


def _duels(args: argparse.Namespace) -> Iterator[Duel]:
    rubric = () if args.rubric is None else read_rubric(args.rubric)
    if any(path.suffix in TEXTS for path in args.reports):
        if len(args.reports) != 2:
            raise InvalidRequest("reports", f"two are compared, not {len(args.reports)}")
        a, b = (read_report(path) for path in args.reports)
        check_compare(args.query, a, b, rubric)
        yield Duel(id="1", query=args.query, a=a, b=b, criteria=rubric)
        return
    if args.query:
        raise InvalidRequest("--query", "is for two report files: a pair of a file has its own")
    for path in args.reports:
        for pair in read_pairs(path, rubric=rubric or None):
            yield pair.duel


def to_json(identifier: str, result: Comparison | JudgerError) -> str:
    """The response message as protobuf-JSON on one line."""
    from judger import wire

    line = wire.to_json(wire.comparison_message(identifier, result))
    if not isinstance(result, JudgerError):
        return line
    return json.dumps({**json.loads(line), "error": str(result)}, ensure_ascii=False)


def _told(identifier: str, result: Comparison | JudgerError) -> Text:
    head = Text(f"{clean(identifier)}  " if identifier else "", style="bold")
    if isinstance(result, JudgerError):
        return head.append(f"no answer: {clean(str(result))}", "magenta")
    if result.preference is None:
        return head.append("no answer: a criterion is unscored", "magenta")
    words, colour = WORDS[result.preference]
    head.append(words, f"not bold {colour}")
    if result.p_a is not None and result.position_bias is not None:
        bias = f"{result.position_bias:+.2f}".replace("-", "−")
        head.append(f"  P(A) {percent(result.p_a)} over both orders, position bias {bias}", "not bold dim")
    elif result.a is not None and result.b is not None:
        head.append(f"  rewards {decimal(result.a.reward.value)} and {decimal(result.b.reward.value)}", "not bold dim")
    return head


def _summary(counts: Counter[Preference | None], biases: list[float]) -> Text:
    a, b, tie = (counts[preference] for preference in (Preference.A, Preference.B, Preference.TIE))
    text = Text(f"{plural(counts.total(), 'pair')}: ")
    text.append(f"A better {a:,}, B better {b:,}, ties {tie:,}", "bold")
    if counts[None]:
        text.append(f" · {counts[None]:,} without an answer", "magenta")
    if biases:
        mean = f"{sum(biases) / len(biases):+.2f}".replace("-", "−")
        text.append(f" · position bias {mean} (0 is none, + favours the first)", "dim")
    return text
