"""What `judger-train synth` can be trusted with: the figures of docs/notes/synthesis.md, printed as tables.

    python -m tests.benchmarks.synth [--reports FILE.jsonl.gz ...] [--labels NAME=FILE.jsonl.gz ...]

FOLDOC has to be installed (Debian's dict-foldoc). `--reports` holds {"reports": [{"text"}]} a line; without it the four
reports of the demo are read. `--labels` holds labelled cases of claims on evidence.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from statistics import fmean
from typing import Any

from judger.client import connect
from policy.index.dense import find_embedder
from policy.index.fusion import add_vectors
from policy.index.store import LocalIndex
from policy.sources import Source
from policy.tools.search import IndexProvider
from tests.train.synth import planted, realistic
from train.synth.build import Plan, make_ports
from train.synth.checker import Checker
from train.synth.clues import Clues
from train.synth.corpus import open_corpus
from train.synth.difficulty import run_baseline
from train.synth.extractive import ExtractiveWriter
from train.synth.foldoc import read_foldoc, write_foldoc
from train.synth.planning import Planning
from train.synth.plot import draw_histogram
from train.synth.reflection import Reflection
from train.synth.searching import shortcut
from train.synth.solvers import OneSearch
from train.synth.subgraphs import Subgraphs
from train.synth.verdicts import by_words
from train.synth.walks import Walks
from train.tasks.judging import local_judge


def read_lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return [json.loads(line) for line in file]


def read_reports(paths: Sequence[Path], count: int) -> list[str]:
    if not paths:
        lines = files("judger").joinpath("demo/cases.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line)["report"] for line in lines]
    reports = [one["text"] for path in paths for line in read_lines(path) for one in line["reports"]]
    return random.Random(0).sample(reports, min(count, len(reports)))


def filters(ports: Any, clues: Clues, reports: Sequence[str], count: int, out: Path) -> list[dict[str, Any]]:
    """The table of planted faults; returns the questions, those included that one search answers."""
    open_ports = replace(ports, drop_shortcuts=False)
    every = [*planted.rows_of(Subgraphs(open_ports, clues), count), *planted.rows_of(Walks(open_ports, clues), count)]
    for row in every:
        query, names = row["task"]["query"], row["task"]["names"]
        row["shortcut"] = asyncio.run(shortcut(ports.provider, query, names))
    asked = [row for row in every if not row["shortcut"]]
    reflected = planted.rows_of(Reflection(ports, asked), len(asked))
    names = {f"reflect-{row['id']}": row["task"]["names"] for row in asked}
    traces = [{"messages": row["messages"], "names": names[row["id"]]} for row in reflected]
    folder = out / "reports"
    folder.mkdir()
    for number, report in enumerate(reports):
        (folder / f"{number}.md").write_text(report, encoding="utf-8")
    plan = Plan(out=out / "plans")
    plan.out.mkdir()
    report_ports, _ = make_ports(open_corpus(folder, plan.out), ExtractiveWriter(), plan)
    planned = planted.rows_of(Planning(report_ports), len(reports))
    print(f"\n{len(reports)} reports, {len(every)} questions, {len(asked)} of them kept, {len(planned)} plans\n")
    print(
        planted.table(
            [
                *planted.of_texts(reports),
                *planted.of_records(
                    [json.loads(row["record"]) for row in asked], {row["id"]: row["task"]["names"] for row in asked}
                ),
                planted.of_hints(traces),
                planted.of_trajectories(planned),
                planted.of_shortcuts(ports, clues, asked, 200),
                planted.of_questions(asked),
                planted.of_edges(ports, 300),
                planted.of_verdicts(ports, clues, 300),
            ]
        )
    )
    english = [report for report in reports if not planted.words.is_cjk(report)]
    chinese = [report for report in reports if planted.words.is_cjk(report)]
    print("\nas a pipeline makes them:\n")
    print(
        planted.table(
            [
                *realistic.of_reports(english),
                *(realistic.of_chinese(chinese) if chinese else ()),
                *realistic.of_answers(asked),
                *realistic.of_calls([json.loads(row["record"]) for row in asked]),
                *realistic.of_near_edges(ports, 300),
                *realistic.of_claims(ports, clues, 300),
                *realistic.of_hops(ports, clues, asked, 200),
            ]
        )
    )
    return every


def one_search(ports: Any, every: Sequence[dict[str, Any]], dense_index: Path | None) -> None:
    """The share of questions that one search answers, by the filter's own means and by others."""
    ways = [
        ("question or a sentence of it, by words, first 5 (the filter)", ports.provider, 5, False),
        ("question, by words, first 5", ports.provider, 5, True),
        ("question, by words, first 20", ports.provider, 20, True),
    ]
    if dense_index is not None:
        dense = IndexProvider(LocalIndex.open(dense_index, find_embedder()))
        ways.append(("question, by meaning and words, first 5", dense, 5, True))

    def share(rows: Sequence[dict[str, Any]], provider: Any, limit: int, *, whole: bool) -> float:
        hits = []
        for row in rows:
            query, names = row["task"]["query"], row["task"]["names"]
            if whole:  # the question as it stands, and not its sentences
                found = asyncio.run(provider.search(query, limit))
                hits.append(any(planted.words.is_named(f"{f.source.title} . {f.source.text}", names) for f in found))
            else:
                hits.append(bool(asyncio.run(shortcut(provider, query, names, limit))))
        return fmean(hits)

    print("\n| one search answers | before the filter | after it |\n|---|---|---|")
    for kind in ("subgraphs", "walks"):
        before = [row for row in every if row["kind"] == kind]
        after = [row for row in before if not row["shortcut"]]
        for name, provider, limit, whole in ways:
            figures = [f"{share(rows, provider, limit, whole=whole):.2f} of {len(rows)}" for rows in (before, after)]
            print(f"| {kind}: {name} | {' | '.join(figures)} |")


def difficulty(ports: Any, every: Sequence[dict[str, Any]], out: Path, picture: Path | None) -> None:
    """The solve rates of the one-search baseline before and after the filter."""
    tasks = [row["task"] for row in every]
    rates = asyncio.run(
        run_baseline(
            tasks,
            out / "runs.jsonl",
            ports.settings,
            ports.shared,
            lambda episode, kit: OneSearch(random.Random(f"{episode.query} {random.random()}")),
            runs=4,
            concurrency=8,
        )
    )
    kept = {row["task"]["id"]: rates[row["task"]["id"]] for row in every if not row["shortcut"]}
    rest = {task: rate for task, rate in rates.items() if task not in kept}
    print("\n| solve rate of the one-search baseline, 4 runs | 0 | 0.25 | 0.5 | 0.75 | 1 | mean |")
    print("|---|---|---|---|---|---|---|")
    for name, some in (("kept", kept), ("dropped: one search answers", rest)):
        counts = " | ".join(str(sum(rate == step / 4 for rate in some.values())) for step in range(5))
        print(f"| {name} ({len(some)}) | {counts} | {fmean(some.values()):.2f} |")
    if picture is not None:
        draw_histogram({"kept": list(kept.values()), "one search answers": list(rest.values())}, picture, 4)


async def labels(sources: Sequence[tuple[str, Path]], count: int, checker: Checker | None) -> None:
    """Claims on evidence with people's labels: words alone, and the judge where there is one."""
    print(
        "\n| labels | claims | by | balanced accuracy | says support | of them supported |\n|---|---|---|---|---|---|"
    )
    for name, path in sources:
        cases = [
            (case["report"], criterion["text"], criterion["label"] == "fully_satisfied")
            for case in read_lines(path)
            for criterion in case["criteria"]
        ]
        cases = random.Random(0).sample(cases, min(count, len(cases)))
        said: dict[str, list[bool | None]] = {"words": []}
        for report, claim, _ in cases:
            evidence = [Source("", "", "", part) for part in report.split("\n\n")]
            said["words"].append(by_words(claim, evidence) == "support")
        if checker is not None:
            said["the judge"] = []
            for report, claim, _ in cases:
                (sure,) = await checker.holds(claim, report, [f"States that {claim}"])
                said["the judge"].append(None if sure is None else sure >= 0.5)
        for by, verdicts in said.items():
            pairs = [(one, true) for one, (_, _, true) in zip(verdicts, cases, strict=True) if one is not None]
            right = [[one == true for one, true in pairs if true is kind] for kind in (True, False)]
            supported = [true for one, true in pairs if one]
            precision = fmean(supported) if supported else float("nan")
            print(
                f"| {name} | {len(pairs)} | {by} | {fmean(map(fmean, right)):.2f} | "
                f"{fmean(bool(one) for one, _ in pairs):.2f} | {precision:.2f} |"
            )


async def judged_labels(sources: Sequence[tuple[str, Path]], count: int, with_judge: bool) -> None:
    if not with_judge:
        await labels(sources, count, None)
        return
    async with local_judge(patience=600) as address, connect(address, timeout=600) as client:
        await labels(sources, count, Checker(client, ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=Path, nargs="*", default=[])
    parser.add_argument("--labels", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--count", type=int, default=200, help="seeds and starts, and reports")
    parser.add_argument("--claims", type=int, default=400, help="of each labelled file")
    parser.add_argument("--judge", action="store_true", help="have the built-in judge verify them, too")
    parser.add_argument("--dense", action="store_true", help="ask a search by meaning, too: minutes to index")
    parser.add_argument("--picture", type=Path, help="the histogram of solve rates")
    args = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        if args.count:
            write_foldoc(read_foldoc(), out / "foldoc")
            plan = Plan(out=out)
            corpus = open_corpus(out / "foldoc", out)
            ports, _ = make_ports(corpus, ExtractiveWriter(), plan)
            every = filters(ports, Clues(ports), read_reports(args.reports, args.count), args.count, out)
            difficulty(ports, every, out, args.picture)
            embedder = find_embedder() if args.dense else None
            if embedder is not None:
                with closing(sqlite3.connect(out / "corpus.sqlite")) as database, database:
                    add_vectors(database, embedder, {})
            one_search(ports, every, out / "corpus.sqlite" if embedder is not None else None)
        if args.labels:
            named = [(name, Path(path)) for name, _, path in (one.partition("=") for one in args.labels)]
            asyncio.run(judged_labels(named, args.claims, args.judge))
    print(f"\n{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
