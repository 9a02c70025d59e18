"""The built-in judges, as they are served, on labelled rubrics: figures by sign and kind.

    python -m tests.benchmarks.served_rubrics --data eval.jsonl.gz [--engine small] [--alone 200] [--json FILE]

Data: cases whose criteria have labels and `meta.kind` (`train.judge.data`), mostly `meta.evidence`, the deciding
passage. Every criterion is judged (`judge_all`), and what it would leave open is counted beside. `--alone N` asks N
criteria by themselves, too: how often the other criteria of a call turn a verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from judger.config import BUILT_IN, EngineConfig, with_user_base
from judger.engines import build_engine
from judger.engines.base import VERDICT_TIER, Outcome
from judger.engines.mini.engine import MiniEngine
from judger.types import Case, Criterion, Probabilities
from judger.verdict import p_satisfied
from train.judge.data import LabelledCase, read_cases
from train.judge.measure import by_kind, rank_agreement


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--engine", choices=BUILT_IN, default="mini")
    parser.add_argument("--model", help="a folder of weights, instead of those that ship")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--alone", type=int, default=0, metavar="N", help="criteria asked by themselves, too")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    config = EngineConfig(engine=args.engine, model=args.model, threads=args.threads, judge_all=True)
    engine = build_engine(with_user_base(config, os.environ))
    assert isinstance(engine, MiniEngine)
    cases = list(read_cases(args.data))
    found = measure(engine, cases)
    show(found, args.engine)
    if args.alone:
        found["alone"] = company(engine, cases, args.alone)
        Console().print("alone", found["alone"])
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


def measure(engine: MiniEngine, cases: Sequence[LabelledCase]) -> dict[str, Any]:
    """All figures of a judge."""
    said, labels, negative, kinds, tasks, ours, theirs, left_open = [], [], [], [], [], [], [], []
    hits = shown = passages = 0
    for labelled in track(cases, "reports", console=Console(stderr=True)):
        outcomes = judged(engine, as_case(labelled))
        earned = due = 0.0
        for criterion, outcome in zip(labelled.criteria, outcomes, strict=True):
            p = outcome.result
            assert isinstance(p, Probabilities), p
            said.append((p.p_not, p.p_partial, p.p_full))
            labels.append(criterion.label)
            negative.append(criterion.is_negative)
            kinds.append(criterion.meta.get("kind", ""))
            earned += criterion.weight * p_satisfied(p, negative=criterion.is_negative)
            due += criterion.weight * (criterion.label >= (1 if criterion.is_negative else 2))
            passage = criterion.meta.get("evidence")
            if passage and criterion.label >= 1:
                passages += 1
                shown += len(outcome.evidence)
                hits += any(span.start < passage[1] and passage[0] < span.end for span in outcome.evidence)
        best = sum(criterion.weight for criterion in labelled.criteria if criterion.weight > 0)
        tasks.append(labelled.id.split("-")[0])
        ours.append(earned / best)
        theirs.append(due / best)
    engine.judge_all = False
    for labelled in cases:
        left_open += [not isinstance(one.result, Probabilities) for one in judged(engine, as_case(labelled))]
    engine.judge_all = True
    columns = np.array(said), np.array(labels), np.array(negative), np.array(kinds)
    stay = ~np.array(left_open)
    return {
        "by_kind": by_kind(*columns, engine.calibration),
        "left_open": float((~stay).mean()),
        "rest": by_kind(*(column[stay] for column in columns), engine.calibration)["all"],
        "ranking": rank_agreement(tasks, np.array(theirs), np.array(ours)),
        "evidence": {"of": passages, "hit": hits / max(passages, 1), "shown": shown / max(passages, 1)},
    }


def company(engine: MiniEngine, cases: Sequence[LabelledCase], number: int) -> dict[str, Any]:
    """Criteria that are judged with their rubric and by themselves: how many strict bits differ."""
    places = [(number, i) for number, case in enumerate(cases) for i in range(len(case.criteria))]
    wanted: dict[int, list[int]] = {}
    for case, i in random.Random(0).sample(places, min(number, len(places))):
        wanted.setdefault(case, []).append(i)
    flips, moved = 0, []
    for case, of_it in wanted.items():
        whole = as_case(cases[case])
        together = judged(engine, whole)
        for i in of_it:
            criterion, calibration = whole.criteria[i], engine.calibration
            (alone,) = judged(engine, replace(whole, criteria=(criterion,)))
            both = [p_of(engine, one, criterion) for one in (together[i], alone)]
            threshold = calibration.negative_threshold if criterion.is_negative else calibration.positive_threshold
            flips += (both[0] >= threshold) != (both[1] >= threshold)
            moved.append(abs(both[0] - both[1]))
    return {"of": len(moved), "flips": flips, "moved": float(np.mean(moved))}


def p_of(engine: MiniEngine, outcome: Outcome, criterion: Criterion) -> float:
    assert isinstance(outcome.result, Probabilities), outcome.result
    return p_satisfied(engine.calibration.apply(outcome.result), negative=criterion.is_negative)


def judged(engine: MiniEngine, case: Case) -> list[Outcome]:
    (outcomes,) = engine.run([engine.plan(case, VERDICT_TIER)])
    return outcomes


def as_case(labelled: LabelledCase) -> Case:
    criteria = tuple(Criterion(id=f"c{i}", text=c.text, weight=c.weight) for i, c in enumerate(labelled.criteria))
    return Case(id=labelled.id, query=labelled.query, report=labelled.report, criteria=criteria)


def show(found: dict[str, Any], engine: str) -> None:
    """What a person reads."""
    table = Table("criteria", "n", "balanced accuracy", "AUC", "ECE", "says / is", "macro-F1", title=engine)
    for name, row in found["by_kind"].items():
        shares = f"{row['positive_rate']:.2f} / {row['human_positive_rate']:.2f}"
        values = [row[key] for key in ("balanced_accuracy", "auc", "ece")]
        cells = ["-" if value is None else f"{value:.3f}" for value in values]
        table.add_row(name, str(row["n"]), *cells, shares, f"{row['ternary_macro_f1'] or 0:.2f}")
    console = Console()
    console.print(table)
    console.print(f"left open {found['left_open']:.1%}, the rest at {found['rest']['balanced_accuracy']:.3f}")
    console.print("ranking", found["ranking"], "evidence", found["evidence"])


if __name__ == "__main__":
    main()
