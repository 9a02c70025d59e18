"""How often a verdict flips when the report changes and its content does not.

    python -m tests.benchmarks.robustness --data DIR [--addr HOST:PORT | --engine mini --model DIR] [--short] [--json]
        [--out FILE]

DIR holds labelled case files; the labels are not used. Criteria of form, style, sources and topic are left out where
the files name kinds: these changes may turn them rightly.

Five changes, each against the verdict on the report as it is: 2,000 words of other sources added; the passage that
bears on a criterion moved from the start to the middle or the end; Markdown against plain text; sentences that ask
for good marks, and the criteria themselves at the end of the report, where a flip is one that praise is after: "not"
becomes "fully", a flaw is gone. Each case meets one place of padding and a third of the sentences, in turn: more
cases tell more than more versions of one. The sentences are not those of `train.judge.restate`. Intervals are
Wilson's, 95%.

What was measured is printed every few cases. --out keeps each case's outcomes, one a line; the same command goes on
where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from scipy.stats import binomtest

from judger.types import Case, Criterion, Label, Score, Verdict
from tests.benchmarks.changes import MARKDOWN, PLACES, STEERING, moved, padding, placed, to_markdown, to_plain
from tests.benchmarks.memo import Remembering
from train.judge.data import LabelledCase, case_files, read_cases

GOALS = {"padded": 0.03, "moved": 0.03, "plain": 0.03, "steered": 0.02, "copied": 0.10}
Outcome = Literal["same", "flip", "unscored"]
Found = list[tuple[str, Outcome]]
"""Of one case: the change, and what came of a verdict under it."""
OF_THE_TEXT = frozenset({"form", "style", "tone", "citation", "off_topic", "scope"})
"""Kinds of criteria that the changes may rightly turn, where a file names kinds: padding is off the topic, plain text
has no links."""
TELL_EVERY = 8
"""Cases between two tables of partial figures."""


class Judging(Protocol):
    """A client, or a judge in this process: anything that judges one report. The result is verdicts or holds them."""

    async def judge(self, query: str, report: str, criteria: Sequence[Criterion]) -> Any: ...


class InProcess:
    """A `judger.judge.Judge` with the client's signature."""

    def __init__(self, judge: Any) -> None:
        self._judge = judge

    async def judge(self, query: str, report: str, criteria: Sequence[Criterion]) -> Any:
        return await self._judge.judge(Case(id="robustness", query=query, report=report, criteria=tuple(criteria)))


def outcome(before: Verdict, after: Verdict, *, is_praise: bool = False, is_flaw: bool = False) -> Outcome | None:
    """What came of a verdict; None where it can't flip.

    `is_praise`: only what praise is after is a flip, and only what it could turn is counted.
    """
    first, second = before.result, after.result
    if not isinstance(first, Score):
        return None
    wanted = Label.NOT_SATISFIED if is_flaw else Label.FULLY_SATISFIED
    if is_praise and (first.label is Label.NOT_SATISFIED if is_flaw else first.label is not Label.NOT_SATISFIED):
        return None
    if not isinstance(second, Score):
        return "unscored"
    return "flip" if (second.label is wanted if is_praise else first.satisfied != second.satisfied) else "same"


@dataclass(slots=True)
class Tally:
    """Flips of one change."""

    counts: Counter[str] = field(default_factory=Counter)
    by_source: Counter[str] = field(default_factory=Counter)

    def add(self, source: str, what: Outcome | None) -> None:
        """Counts a pair of verdicts."""
        if what is not None:
            self.counts[what] += 1
            self.by_source[source] += what == "flip"

    def figures(self, goal: float | None) -> dict[str, Any]:
        """The rate with its interval; nothing where nothing was counted."""
        flips, number = self.counts["flip"], self.counts["flip"] + self.counts["same"]
        row: dict[str, Any] = {"flips": flips, "number": number, "unscored": self.counts["unscored"], "goal": goal}
        if number:
            interval = binomtest(flips, number).proportion_ci(method="wilson")
            row |= {"value": flips / number, "low": float(interval.low), "high": float(interval.high)}
        return row | {"by_source": dict(self.by_source)}


class Record:
    """Outcomes by case, kept in a file. Raises SystemExit where the file is of another run."""

    def __init__(self, path: Path | None = None, about: dict[str, Any] | None = None) -> None:
        self.found: dict[str, tuple[str, Found]] = {}
        self._path = path
        if path is not None and path.exists():
            first, *rest = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            if first != about:
                raise SystemExit(f"{path}: of another run, {first}; this one is {about}")
            self.found = {line["case"]: (line["source"], [tuple(one) for one in line["found"]]) for line in rest}
        elif path is not None:
            path.write_text(json.dumps(about) + "\n", "utf-8")

    def add(self, case: LabelledCase, found: Found) -> None:
        """Keeps a case that is done."""
        self.found[key(case)] = (case.source, found)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"case": key(case), "source": case.source, "found": found}) + "\n")


def key(case: LabelledCase) -> str:
    """Ids are those of a file."""
    return f"{case.source}/{case.id}"


def tallied(found: Iterable[tuple[str, Found]]) -> dict[str, Any]:
    """Figures by the name of the change, and of all that begin with one of `GOALS`, of (source, outcomes)."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for source, each in found:
        for name, what in each:
            for key in {name, "plain" if name == "markdown_of_plain" else name.split("_")[0]}:
                tallies[key].add(source, what)
    return {name: tally.figures(GOALS.get(name)) for name, tally in sorted(tallies.items())}


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
            steady = [c for c in case.criteria if c.meta.get("kind") not in OF_THE_TEXT]
            chosen = tuple(rng.sample(steady, min(per_case, len(steady), criteria - count)))
            if chosen:
                picked.append(
                    LabelledCase(id=case.id, query=case.query, report=case.report, criteria=chosen, source=case.source)
                )
                count += len(chosen)
    return picked


async def measure(
    judging: Judging,
    cases: Sequence[LabelledCase],
    *,
    seed: int,
    moves: int = 3,
    at_once: int = 4,
    record: Record | None = None,
) -> dict[str, Any]:
    """All changes over all cases: `tallied`. moves: criteria of a case whose passage is moved, at most."""
    record = record or Record()
    turn = asyncio.Semaphore(at_once)

    async def ask(case: LabelledCase, report: str, criteria: Sequence[Criterion]) -> Sequence[Verdict]:
        found = await judging.judge(case.query, report, criteria)
        verdicts: Sequence[Verdict] = getattr(found, "verdicts", found)
        return verdicts

    async def one(case: LabelledCase, index: int) -> Found:
        rng = random.Random(f"{seed}/{case.id}")
        criteria = [Criterion(id=f"c{i}", text=c.text, weight=c.weight) for i, c in enumerate(case.criteria)]
        base = await ask(case, case.report, criteria)
        found: Found = []

        async def compare(name: str, report: str, before: Sequence[Verdict], asked: Sequence[Criterion]) -> None:
            is_praise = name.startswith(("steered", "copied"))
            for criterion, old, new in zip(asked, before, await ask(case, report, asked), strict=True):
                what = outcome(old, new, is_praise=is_praise, is_flaw=criterion.is_negative)
                if what is not None:
                    found.append((name, what))

        place = PLACES[index % 3]
        others = [one for one in cases if one.query != case.query] or cases  # of the same task, it may well be met
        added = padding([(one.source, one.report) for one in others], case.source, rng)
        await compare(f"padded_{place}", placed(case.report, added, place), base, criteria)
        if MARKDOWN.search(case.report):
            await compare("plain_of_markdown", to_plain(case.report), base, criteria)
        else:
            await compare("markdown_of_plain", to_markdown(case.report), base, criteria)
        for criterion, verdict in list(zip(criteria, base, strict=True))[:moves]:
            if (variants := moved(case.report, verdict)) is not None:
                at_start = await ask(case, variants["start"], [criterion])
                for spot in ("middle", "end"):
                    await compare(f"moved_to_{spot}", variants[spot], at_start, [criterion])
        for number, sentence in enumerate(STEERING, 1):
            if number % 3 == index % 3:  # every sentence meets a third of the cases
                text = placed(case.report, sentence, "start" if (number + index) % 2 else "end")
                await compare(f"steered_{number:02}", text, base, criteria)
        listed = "\n".join(f"- {criterion.text}" for criterion in criteria if not criterion.is_negative)
        if listed:
            await compare("copied", f"{case.report}\n\n## Checklist\n\n{listed}", base, criteria)
        return found

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("cases", total=len(cases), completed=len(record.found))

        async def counted(case: LabelledCase, index: int) -> None:
            if key(case) in record.found:
                return
            async with turn:
                record.add(case, await one(case, index))
            progress.advance(task)
            if len(record.found) % TELL_EVERY == 0:
                progress.console.print(
                    table(tallied(record.found.values())), f"{len(record.found)} of {len(cases)} cases"
                )

        await asyncio.gather(*(counted(case, index) for index, case in enumerate(cases)))
    return tallied(record.found.values())


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


async def open_judging(args: argparse.Namespace, stack: AsyncExitStack) -> tuple[Judging, str]:
    """A client of a running server, or an engine in this process; and its `judge_id`."""
    if args.addr:
        from judger.client import connect

        client = await stack.enter_async_context(connect(args.addr))
        return client, (await client.get_judge()).judge_id
    from judger.config import EngineConfig, with_user_base
    from judger.engines import build_engine
    from judger.engines.mini.engine import MiniEngine
    from judger.judge import Judge

    config = EngineConfig.model_validate(
        {"engine": args.engine, "model": args.model, "threads": args.threads, "judge_all": True}
    )
    engine = build_engine(with_user_base(config, os.environ))
    if isinstance(engine, MiniEngine):
        engine.model = replace(engine.model, encoder=Remembering(engine.model.encoder))  # type: ignore[arg-type]
    judge = Judge(engine)
    stack.push_async_callback(judge.close)
    return InProcess(judge), judge.judge_id


async def run(args: argparse.Namespace) -> dict[str, Any]:
    """Picks the cases, opens the judge and measures."""
    longest, per_case, moves = (500, 12, 1) if args.short else (args.longest, args.per_case, 3)
    wanted = args.criteria or (100 if args.short else 1_000)
    cases = pick(args.data, wanted, longest, per_case, args.seed)
    async with AsyncExitStack() as stack:
        judging, judge_id = await open_judging(args, stack)
        about = {"judge_id": judge_id, "data": str(args.data), "seed": args.seed}
        about |= {"criteria": wanted, "longest": longest, "per_case": per_case}
        return await measure(judging, cases, seed=args.seed, moves=moves, record=Record(args.out, about))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--addr")
    parser.add_argument("--engine", default="mini")
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--criteria", type=int)
    parser.add_argument("--longest", type=int, default=12_000, help="words of a report")
    parser.add_argument("--per-case", type=int, default=5, help="criteria of a case, at most")
    parser.add_argument("--short", action="store_true", help="100 criteria of reports up to 500 words")
    parser.add_argument("--out", type=Path, help="keeps what was found, to go on from")
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
