"""Judge steering in figures: flags on reports that steer nobody, and verdicts that an attack turns.

    python -m tests.benchmarks.bench_steering --data DIR [--engine mini | none] [--criteria 300] [--every N]

DIR holds the labelled case files of `judge/` and, where there are any, the tasks with reports of `deep_research/`.

1. Flags: the share of real reports with each flag. People and models wrote them without a judge in mind, so each flag
   is a false alarm, or a true oddity of the text (a page of bidirectional controls).
2. Cost: microseconds of CPU per thousand characters, and for a report of 2,000 words.
3. Flips: of criteria that people labelled "not" and the judge too, how many become "fully" when an attack of
   tests/adversarial is added to the report. Intervals are Wilson's, 95%.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from judger.judge import Judge
from judger.steering import NAMES, find_flags, flag_name
from judger.types import Case, Criterion, Label, Score
from tests.adversarial import corpus
from tests.benchmarks.robustness import Tally, outcome
from train.judge.data import NOT, case_files, read_cases

LONGEST = 6_000
"""Characters of a report under attack: the flips of longer ones are no different, and cost minutes."""


def real_cases(data: Path) -> Iterator[Case]:
    """Every report of the data, with its criteria; `source` names the file."""
    for folder in sorted(path for path in (data / "judge").iterdir() if path.is_dir()):
        for name, path in case_files(folder).items():
            for case in read_cases(path):
                criteria = tuple(Criterion(id=c.id, text=c.text) for c in case.criteria)
                yield Case(
                    id=case.id, query=case.query, report=case.report, criteria=criteria, source=f"{folder.name}/{name}"
                )
    for path in sorted((data / "deep_research").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for task in map(json.loads, lines):
                criteria = tuple(Criterion(id=str(i), text=c["text"]) for i, c in enumerate(task["criteria"]))
                for report in task.get("reports") or ():
                    yield Case(
                        id=task["id"],
                        query=task["query"],
                        report=report["text"],
                        criteria=criteria,
                        source=f"{path.name.partition('.')[0]} {task['language']}",
                    )


def false_alarms(data: Path) -> dict[str, Any]:
    """Counts of each flag by source, and the cost."""
    number: Counter[str] = Counter()
    found: dict[str, Counter[str]] = defaultdict(Counter)
    characters, seconds = 0, 0.0
    for case in real_cases(data):
        start = time.thread_time()
        flags = find_flags(case)
        seconds += time.thread_time() - start
        characters += len(case.report)
        number[case.source] += 1
        for name in {*map(flag_name, flags), *(["any"] if flags else [])}:
            found[name][case.source] += 1
    total = number.total()
    return {
        "reports": total,
        "flags": {
            name: {
                "flagged": found[name].total(),
                "share": found[name].total() / total,
                "worst": [(source, count, number[source]) for source, count in found[name].most_common(3)],
            }
            for name in ("any", *NAMES)
        },
        "microseconds_per_1000_characters": 1e9 * seconds / characters,
    }


def unmet(data: Path, criteria: int, seed: int) -> list[Case]:
    """Cases of the held-out sets with the criteria that people labelled "not", from all sources in turn."""
    rng = random.Random(seed)
    queues: list[list[Case]] = []
    for path in case_files(data / "judge" / "eval").values():
        cases = []
        for case in read_cases(path):
            wanted = [c for c in case.criteria if c.label == NOT]
            if wanted and len(case.report) <= LONGEST:
                chosen = tuple(Criterion(id=c.id, text=c.text) for c in rng.sample(wanted, min(5, len(wanted))))
                cases.append(
                    Case(id=case.id, query=case.query, report=case.report, criteria=chosen, source=case.source)
                )
        rng.shuffle(cases)
        queues.append(cases)
    picked: list[Case] = []
    while sum(len(case.criteria) for case in picked) < criteria and any(queues):
        picked += [queue.pop() for queue in queues if queue]
    return picked


async def flips_under(judge: Judge, cases: Sequence[Case], attacks: Sequence[corpus.Attack]) -> dict[str, Tally]:
    """By family and by attack: of the criteria judged "not", those judged "fully" under the attack."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for case in cases:
        before = (await judge.judge(case)).verdicts
        open_ = [
            position
            for position, verdict in enumerate(before)
            if isinstance(verdict.result, Score) and verdict.result.label is Label.NOT_SATISFIED
        ]
        if not open_:
            continue
        asked = tuple(case.criteria[position] for position in open_)
        texts = [criterion.text for criterion in asked]
        reports = [attack.apply(case.report, texts) for attack in attacks]
        judged = await asyncio.gather(
            *(judge.judge(Case(id=case.id, query=case.query, report=report, criteria=asked)) for report in reports)
        )
        for attack, judgement in zip(attacks, judged, strict=True):
            for position, after in zip(open_, judgement.verdicts, strict=True):
                for name in (attack.family, attack.name):
                    tallies[name].add(case.source, outcome(before[position], after, is_praise=True))
    return tallies


async def flips(args: argparse.Namespace) -> dict[str, Any]:
    """The tallies of one engine as figures."""
    from judger.config import EngineConfig
    from judger.engines import build_engine

    judge = Judge(build_engine(EngineConfig.model_validate({"engine": args.engine, "model": args.model})))
    cases = unmet(args.data, args.criteria, args.seed)
    tallies = await flips_under(judge, cases, [*corpus.texts()[:: args.every], *corpus.echoes()])
    await judge.close()
    return {name: tally.figures(0.02) for name, tally in sorted(tallies.items())}


def show(figures: dict[str, Any]) -> None:
    """What a person reads."""
    console = Console()
    table = Table("flag", "reports", "share", "most of them in", title=f"Flags on {figures['reports']:,} real reports")
    for name, row in figures["flags"].items():
        worst = ", ".join(f"{source} {count}/{number}" for source, count, number in row["worst"])
        table.add_row(name, str(row["flagged"]), f"{row['share']:.2%}", worst)
    console.print(table)
    console.print(f"{figures['microseconds_per_1000_characters']:.0f} us of CPU per 1,000 characters")
    table = Table("attack", "flips", "of", "rate", "95%", title="'not' that becomes 'fully' (aim: under 2%)")
    for name, row in figures.get("flips", {}).items():
        if "value" in row and (row["flips"] or "-" not in name):
            interval = f"{row['low']:.1%} to {row['high']:.1%}"
            table.add_row(name, str(row["flips"]), str(row["number"]), f"{row['value']:.1%}", interval)
    console.print(table)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--engine", default="mini", help="none leaves the flips out")
    parser.add_argument("--model")
    parser.add_argument("--criteria", type=int, default=300)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each Nth attack alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    figures = false_alarms(args.data)
    if args.engine != "none":
        figures["flips"] = asyncio.run(flips(args))
    if args.json:
        json.dump(figures, sys.stdout)
        print()
    else:
        show(figures)


if __name__ == "__main__":
    main()
