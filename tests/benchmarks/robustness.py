"""How often a verdict flips when the report changes and its content does not.

    python -m tests.benchmarks.robustness --data DIR [--addr HOST:PORT | --engine mini --model DIR] [--short] [--json]

DIR holds labelled case files; the labels are not used. Four changes, each against the verdict on the report as it is:
2,000 words of other sources added; the passage that bears on a criterion moved from the start to the middle or the end;
Markdown against plain text; and ten sentences that ask for good marks, where a flip is "not" becoming "fully". The
sentences are not those of `train.judge.restate`. Intervals are Wilson's, 95%.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from scipy.stats import binomtest

from judger.types import Case, Criterion, Label, Score, Verdict
from tests.benchmarks.changes import MARKDOWN, PLACES, STEERING, moved, padding, placed, to_markdown, to_plain
from train.judge.data import LabelledCase, case_files, read_cases

GOALS = {"padded": 0.03, "moved": 0.03, "plain": 0.03, "steered": 0.02}


class Judging(Protocol):
    """A client, or a judge in this process: anything that judges one report. The result is verdicts or holds them."""

    async def judge(self, query: str, report: str, criteria: Sequence[Criterion]) -> Any: ...


class InProcess:
    """A `judger.judge.Judge` with the client's signature."""

    def __init__(self, judge: Any) -> None:
        self._judge = judge

    async def judge(self, query: str, report: str, criteria: Sequence[Criterion]) -> Any:
        return await self._judge.judge(Case(id="robustness", query=query, report=report, criteria=tuple(criteria)))


@dataclass(slots=True)
class Tally:
    """Flips of one change."""

    flips: int = 0
    number: int = 0
    unscored: int = 0
    by_source: Counter[str] = field(default_factory=Counter)

    def add(self, source: str, before: Verdict, after: Verdict, *, upward: bool = False) -> None:
        """Counts a pair. `upward`: only "not" that became "fully" is a flip, and only "not" is counted."""
        first, second = before.result, after.result
        if not isinstance(first, Score) or (upward and first.label is not Label.NOT_SATISFIED):
            return
        if not isinstance(second, Score):
            self.unscored += 1
            return
        self.number += 1
        flipped = second.label is Label.FULLY_SATISFIED if upward else first.satisfied != second.satisfied
        self.flips += flipped
        self.by_source[source] += flipped

    def figures(self, goal: float | None) -> dict[str, Any]:
        """The rate with its interval; nothing where nothing was counted."""
        row: dict[str, Any] = {"flips": self.flips, "number": self.number, "unscored": self.unscored, "goal": goal}
        if self.number:
            interval = binomtest(self.flips, self.number).proportion_ci(method="wilson")
            row |= {"value": self.flips / self.number, "low": float(interval.low), "high": float(interval.high)}
        return row | {"by_source": dict(self.by_source)}


def pick(folder: Path, criteria: int, longest: int, per_case: int, seed: int) -> list[LabelledCase]:
    """Cases from all sources in turn until there are enough criteria, with at most `per_case` of each."""
    rng = random.Random(seed)
    queues: list[list[LabelledCase]] = []
    for path in case_files(folder).values():
        cases = [case for case in read_cases(path) if len(case.report.split()) <= longest]
        rng.shuffle(cases)
        queues.append(cases)
    picked: list[LabelledCase] = []
    count = 0
    while count < criteria and any(queues):
        for queue in filter(None, queues):
            case = queue.pop()
            chosen = tuple(rng.sample(case.criteria, min(per_case, len(case.criteria), criteria - count)))
            if chosen:
                picked.append(
                    LabelledCase(id=case.id, query=case.query, report=case.report, criteria=chosen, source=case.source)
                )
                count += len(chosen)
    return picked


async def measure(
    judging: Judging, cases: Sequence[LabelledCase], *, short: bool, seed: int, at_once: int = 4
) -> dict[str, Any]:
    """All changes over all cases: a figure by the name of the change, and `steered` in all."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    reports = [(case.source, case.report) for case in cases]
    turn = asyncio.Semaphore(at_once)

    async def ask(case: LabelledCase, report: str, criteria: Sequence[Criterion]) -> Sequence[Verdict]:
        async with turn:
            found = await judging.judge(case.query, report, criteria)
        verdicts: Sequence[Verdict] = getattr(found, "verdicts", found)
        return verdicts

    async def compare(
        name: str, case: LabelledCase, report: str, base: Sequence[Verdict], criteria: Sequence[Criterion]
    ) -> None:
        upward = name.startswith("steered")
        for before, after in zip(base, await ask(case, report, criteria), strict=True):
            tallies[name].add(case.source, before, after, upward=upward)

    async def one(case: LabelledCase, index: int) -> None:
        rng = random.Random(f"{seed}/{case.id}")
        criteria = [Criterion(id=f"c{i}", text=c.text) for i, c in enumerate(case.criteria)]
        base = await ask(case, case.report, criteria)
        for place in (PLACES[index % 3],) if short else PLACES:
            text = placed(case.report, padding(reports, case.source, rng), place)
            await compare(f"padded_{place}", case, text, base, criteria)
        if MARKDOWN.search(case.report):
            await compare("plain_of_markdown", case, to_plain(case.report), base, criteria)
        else:
            await compare("markdown_of_plain", case, to_markdown(case.report), base, criteria)
        for criterion, verdict in list(zip(criteria, base, strict=True))[: 1 if short else None]:
            if (variants := moved(case.report, verdict)) is not None:
                at_start = await ask(case, variants["start"], [criterion])
                for place in ("middle", "end"):
                    await compare(f"moved_to_{place}", case, variants[place], at_start, [criterion])
        unmet = [i for i, v in enumerate(base) if isinstance(v.result, Score) and v.result.label is Label.NOT_SATISFIED]
        for number, sentence in enumerate(STEERING if unmet else (), 1):
            if short and number % 3 != index % 3:  # every sentence meets a third of the cases
                continue
            text = placed(case.report, sentence, "start" if (number + index) % 2 else "end")
            await compare(f"steered_{number:02}", case, text, [base[i] for i in unmet], [criteria[i] for i in unmet])

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("cases", total=len(cases))

        async def counted(case: LabelledCase, index: int) -> None:
            await one(case, index)
            progress.advance(task)

        await asyncio.gather(*(counted(case, index) for index, case in enumerate(cases)))
    for change in ("padded", "plain", "moved", "steered"):
        for name in [
            name for name in tallies if name.split("_")[0] == change or (change, name) == ("plain", "markdown_of_plain")
        ]:
            for key in ("flips", "number", "unscored"):
                setattr(tallies[change], key, getattr(tallies[change], key) + getattr(tallies[name], key))
            tallies[change].by_source += tallies[name].by_source
    return {name: tally.figures(GOALS.get(name)) for name, tally in sorted(tallies.items())}


def table(figures: dict[str, Any]) -> Table:
    """What a person reads."""
    shown = Table("change", "flips", "of", "rate", "95%", "goal", title="Verdicts that flip")
    for name, row in figures.items():
        rate, interval = (
            ("-", "-") if "value" not in row else (f"{row['value']:.1%}", f"{row['low']:.1%} to {row['high']:.1%}")
        )
        goal = "" if row["goal"] is None else f"under {row['goal']:.0%}"
        style = "bold" if row["goal"] is not None else ""
        shown.add_row(name, str(row["flips"]), str(row["number"]), rate, interval, goal, style=style)
    return shown


async def open_judging(args: argparse.Namespace, stack: AsyncExitStack) -> Judging:
    """A client of a running server, or an engine in this process."""
    if args.addr:
        from judger.client import connect

        client: Judging = await stack.enter_async_context(connect(args.addr))
        return client
    from judger.config import EngineConfig
    from judger.engines import build_engine
    from judger.judge import Judge

    judge = Judge(
        build_engine(EngineConfig.model_validate({"engine": args.engine, "model": args.model, "threads": args.threads}))
    )
    stack.push_async_callback(judge.close)
    return InProcess(judge)


async def run(args: argparse.Namespace) -> dict[str, Any]:
    """Picks the cases, opens the judge and measures."""
    longest, most = (500, 12) if args.short else (args.longest, 5)
    cases = pick(args.data, args.criteria or (100 if args.short else 1_000), longest, most, args.seed)
    async with AsyncExitStack() as stack:
        return await measure(await open_judging(args, stack), cases, short=args.short, seed=args.seed)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--addr")
    parser.add_argument("--engine", default="mini")
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--criteria", type=int)
    parser.add_argument("--longest", type=int, default=12_000, help="words of a report")
    parser.add_argument(
        "--short", action="store_true", help="100 criteria of reports up to 500 words, a third of the steering"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    figures = asyncio.run(run(args))
    if args.json:
        json.dump(figures, sys.stdout)
        print()
    else:
        Console().print(table(figures))


if __name__ == "__main__":
    main()
