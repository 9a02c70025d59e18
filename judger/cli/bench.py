"""judger bench: load on a judge, and how it bears it."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from judger.cli.bench_view import live, show
from judger.cli.console import check_writable, line_writer
from judger.cli.exits import INCOMPLETE, INTERRUPTED, JUDGE_FAILED, OK
from judger.cli.inputs import input_file
from judger.cli.options import check_judge, judge_flags, judging_flags, judging_options, output_flags, seconds
from judger.cli.session import Session, judge_session
from judger.demo import CASES
from judger.errors import InvalidRequest
from judger.rubric import read_cases
from judger.types import LIMITS

if TYPE_CHECKING:
    from judger.load import Calls, Figures, Generator, Sent

DEFAULT_RATE = 10.0
MOST_CALLS = 5_000_000
"""Of one run: what is kept of each is small, but is kept."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "bench",
        help="load on a running server",
        description="Sends calls at random instants (Poisson arrivals) whatever becomes of them, and shows latencies "
        "from the instant each was due, goodput and refusals. Exit code 1: some call was not answered whole and in "
        "time; 3: none was answered.",
        parents=[judge_flags(), judging_flags(), output_flags()],
        allow_abbrev=False,
    )
    parser.add_argument("cases", type=input_file, nargs="?", metavar="CASES.jsonl", help="default: the demo's reports")
    group = parser.add_argument_group("the load")
    pace = group.add_mutually_exclusive_group()
    pace.add_argument("--rate", type=seconds, default=None, metavar="R", help="calls a second, on average; default: 10")
    help_ = "instead: always N calls in flight, to find what the judge sustains; hides the waiting"
    pace.add_argument("--concurrency", type=int, metavar="N", help=help_)
    group.add_argument("--seconds", type=seconds, default=10.0, metavar="S", help="how long; default: 10")
    group.add_argument("--warm-up", type=seconds, metavar="S", help="the same load before, not counted")
    group.add_argument("--deadline", type=seconds, metavar="S", help="of each call, from the instant it is due")
    group.add_argument("--group", type=int, default=0, metavar="N", help="JudgeGroup calls of N reports, not Judge")
    help_ = "send the cases as they are; else each report begins with a line of its own, that no cache knows"
    group.add_argument("--repeat", action="store_true", help=help_)
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of arrivals and order; default: 0")
    group = parser.add_argument_group("what is kept")
    group.add_argument("-o", "--output", type=Path, metavar="RAW.jsonl", help="a line for each call")
    group.add_argument("--plot", type=Path, metavar="OUT.png", help="a picture; needs the [plot] extra")
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    check_judge(args)
    options = judging_options(args)
    check_load(args)
    cases = read_cases(args.cases or CASES)
    from judger.load import Calls, Figures, Generator, Sent

    figures, rows = Figures(), list[Sent]()
    async with judge_session(args, options) as session:
        calls = Calls(cases, options, group=args.group, repeat=args.repeat, seed=args.seed, judge_id=args.judge_id)
        with line_writer(args.output) as file:

            def note(row: Sent) -> None:
                figures.add(row)
                if args.plot is not None:
                    rows.append(row)
                if file is not None:
                    file.write(json.dumps(row.to_json()) + "\n")

            generator = Generator(session.client.settings, calls, deadline=args.deadline)
            async with generator:
                with until_interrupted(generator.stopping):
                    if args.warm_up:
                        await offer(generator, args, args.warm_up)
                    generator.on_sent = note
                    with live(figures, generator, args.seconds, quiet=args.quiet):
                        lasted = await offer(generator, args, args.seconds)
    if args.json:
        print(json.dumps(summary(args, session, figures, calls, lasted), allow_nan=False))
    else:
        show(figures, session.judge_id, what=described(args), seconds=lasted, group=args.group)
    if args.plot is not None:
        draw(args, session, rows, lasted)
    if generator.stopping.is_set():
        return INTERRUPTED
    if not figures.codes["OK"]:
        return JUDGE_FAILED
    return OK if figures.is_perfect else INCOMPLETE


def check_load(args: argparse.Namespace) -> None:
    """Refuses a load that can't be, and outputs that can't be written, before anything is sent."""
    if args.rate is None and args.concurrency is None:
        args.rate = DEFAULT_RATE
    if args.concurrency is not None and not 1 <= args.concurrency <= 10_000:
        raise InvalidRequest("--concurrency", f"must lie between 1 and 10,000, not {args.concurrency}")
    if not 0 <= args.group <= LIMITS.group_reports:
        raise InvalidRequest("--group", f"must lie between 1 and {LIMITS.group_reports}, not {args.group}")
    if args.rate is not None and args.rate * args.seconds > MOST_CALLS:
        raise InvalidRequest("--rate", f"would send {args.rate * args.seconds:,.0f} calls; at most {MOST_CALLS:,}")
    inputs = [args.cases] if args.cases is not None else []
    for path in (args.output, args.plot):
        if path is not None:
            check_writable(path, *inputs)
            inputs.append(path)
    if args.plot is not None:
        from judger.load.plot import check_can_plot

        check_can_plot(args.plot)


async def offer(generator: Generator, args: argparse.Namespace, lasting: float) -> float:
    """The load; returns how long it took to the end of the last call, in seconds."""
    if args.concurrency is not None:
        return await generator.closed_loop(args.concurrency, lasting)
    return await generator.open_loop(args.rate, lasting, args.seed)


@contextmanager
def until_interrupted(stopping: asyncio.Event) -> Iterator[None]:
    """Ctrl-C ends the load, not the program: what there is is still shown. A second one ends it as ever."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopping.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def described(args: argparse.Namespace) -> str:
    """The load in words."""
    pace = f"{args.rate:g} calls/s" if args.concurrency is None else f"{args.concurrency} calls in flight"
    group = f" of {args.group} reports" if args.group else ""
    deadline = f", deadline {args.deadline:g} s" if args.deadline else ""
    return f"{pace}{group} for {args.seconds:g} s{deadline}, {args.lane} lane"


def summary(
    args: argparse.Namespace, session: Session, figures: Figures, calls: Calls, lasted: float
) -> dict[str, object]:
    """What `--json` prints."""
    load = {
        name: getattr(args, name) for name in ("rate", "concurrency", "deadline", "group", "lane", "seed", "repeat")
    }
    return {"judge_id": session.judge_id, "method": calls.method, "load": load} | figures.to_json(lasted)


def draw(args: argparse.Namespace, session: Session, rows: list[Sent], lasted: float) -> None:
    """The picture."""
    from judger.load.plot import plot

    title = f"{described(args)} on {session.info.engine} ({session.judge_id})"
    plot(rows, args.plot, title=title, seconds=min(args.seconds, lasted), deadline=args.deadline)
