"""How many criteria the built-in judge counts instead of reading, and how often that is right.

    python -m tests.benchmarks.counted_rules FILE.jsonl.gz ... [--misses]

A line is a case with `criteria` of text, weight and, to be held against, `report` and `label`. Counted is what a rule
decides both ways; lacking is a requirement that needs what the report has none of. No model is loaded; how well a unit
bears on a criterion is unknown here, so that mentions are looked for in all of them.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from judger.engines.mini.counts import Counts
from judger.engines.mini.facts import Facts
from judger.engines.mini.known import known
from judger.engines.mini.needs import needs
from judger.engines.mini.text import plain, sentences
from judger.engines.mini.turn import asked

LABELS = ("not_satisfied", "partially_satisfied", "fully_satisfied")


@lru_cache(maxsize=4)
def read(report: str) -> tuple[Counts, Facts]:
    """What is counted of a report."""
    spans = np.array(sentences(plain(report)) or [(0, len(report))], np.int32)
    return Counts.of(report), Facts.of(report, spans)


def tally(path: Path, misses: list[str]) -> Counter[str]:
    """Counts over one file."""
    found: Counter[str] = Counter()
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            case: dict[str, Any] = json.loads(line)
            counts, facts = read(case.get("report") or "A report.")
            score = np.ones(len(facts.stems), np.float32)
            for criterion in case["criteria"]:
                text, negative = criterion["text"], float(criterion.get("weight") or 1) < 0
                label = LABELS.index(criterion["label"]) if criterion.get("label") and case.get("report") else None
                met = None if label is None else label >= 1 if negative else label == 2
                question = asked(text, negative=negative)
                sure = known(text, negative, counts, facts, score)
                lacking = not question.negative and any(not need.is_met for need in needs(question.text, counts))
                kind = "counted" if sure is not None else "lacking" if lacking else "read"
                said = sure[0] > 0.5 if sure is not None else question.is_turned
                found.update(["criteria", kind])
                if met is not None and kind != "read":
                    found.update([f"{kind} labelled", *([f"{kind} right"] if said == met else [])])
                    if said != met:
                        misses.append(f"{path.name} {case.get('id')} {kind}: said {said}: {text[:120]}")
    return found


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--misses", action="store_true", help="print each that was wrong")
    args = parser.parse_args()
    table = Table("file", "criteria", "counted", "right", "lacking", "right")
    misses: list[str] = []
    for path in args.files:
        found = tally(path, misses)
        cells = [f"{found['criteria']:,}"]
        for kind in ("counted", "lacking"):
            share = f"{found[kind]:,} ({100 * found[kind] / max(found['criteria'], 1):.1f}%)"
            cells += [share, f"{found[f'{kind} right']} of {found[f'{kind} labelled']}"]
        table.add_row(path.name.partition(".")[0], *cells)
    console = Console()
    console.print(table)
    if args.misses:
        console.print(*misses, sep="\n", markup=False, highlight=False)


if __name__ == "__main__":
    main()
