"""What `judger lint` finds in criteria that a reader has labelled, and what not: precision and recall by finding.

    python -m tests.benchmarks.lint_rubrics

The criteria and what their labels mean: tests/judger/rubric/lint_labels.md. `unrelated` has no real case there, so that
foreign criteria are planted: one of each other rubric's into each rubric, by a fixed draw.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from judger.engines.preview import Preview
from judger.rubric import read_rubrics
from judger.rubric.linting import Finding
from judger.rubric.linting.lint import lint
from judger.types import Criterion

LABELS = Path(__file__).parents[1] / "judger" / "rubric" / "lint_labels.jsonl"
NAMES = {
    "flaw-with-positive-weight": "wrong-sign",
    "negation-with-positive-weight": "wrong-sign",
    "requirement-with-negative-weight": "wrong-sign",
}
"""Codes that the labels do not tell apart."""
LABELLED = ("not-atomic", "vague", "outside-the-report", "closed-examples", "wrong-sign", "overlap", "not-judgeable")
PLANTED = 3
"""Foreign criteria for each rubric that is large enough."""


@dataclass(frozen=True)
class Labelled:
    """A rubric, and (criterion, finding) for each label."""

    corpus: str
    query: str
    criteria: tuple[Criterion, ...]
    labels: frozenset[tuple[int, str]]


@dataclass(frozen=True)
class Row:
    """Of one finding: how often it is labelled, found, and both."""

    name: str
    labelled: int
    found: int
    both: int

    @property
    def precision(self) -> float | None:
        return self.both / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        return self.both / self.labelled if self.labelled else None


def read_labelled() -> list[Labelled]:
    """The labelled rubrics, read as any other."""
    raw = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    found = []
    for row, rubric in zip(raw, read_rubrics(LABELS), strict=True):
        labels = set()
        for i, criterion in enumerate(row["criteria"]):
            labels |= {(i, name) for name in criterion["findings"]}
            labels |= {(i, "overlap")} if "overlaps" in criterion else set()
        found.append(Labelled(row["corpus"], rubric.query, rubric.criteria, frozenset(labels)))
    return found


def names(findings: list[Finding]) -> set[tuple[int, str]]:
    """(criterion, finding) for each, by the labels' names."""
    return {(one.index, NAMES.get(one.code, one.code)) for one in findings if one.index is not None}


def rows(reader: Preview | None, corpus: str | None = None) -> Iterator[Row]:
    """Every labelled finding, over all rubrics or those of one corpus."""
    rubrics = [rubric for rubric in read_labelled() if corpus in (None, rubric.corpus)]
    judge = "" if reader is None else "mini"
    found = [names(lint(rubric.criteria, query=rubric.query, reader=reader, judge=judge)) for rubric in rubrics]
    for name in LABELLED:
        here = [{label for label in rubric.labels if label[1] == name} for rubric in rubrics]
        there = [{one for one in some if one[1] == name} for some in found]
        both = sum(len(a & b) for a, b in zip(here, there, strict=True))
        yield Row(name, sum(map(len, here)), sum(map(len, there)), both)


def planted(reader: Preview) -> Row:
    """`unrelated`: criteria of other rubrics among a rubric's own, which are all taken to be related."""
    rng = random.Random(7)
    labelled = found = both = 0
    rubrics = [rubric for rubric in read_labelled() if len(rubric.criteria) >= 4]
    for rubric in rubrics:
        for other in rng.sample([one for one in rubrics if one is not rubric], PLANTED):
            foreign = rng.choice(other.criteria)
            mixed = (*rubric.criteria, foreign)
            said = {one.index for one in lint(mixed, query=rubric.query, reader=reader) if one.code == "unrelated"}
            labelled, both = labelled + 1, both + (len(rubric.criteria) in said)
    for rubric in rubrics:
        found += sum(one.code == "unrelated" for one in lint(rubric.criteria, query=rubric.query, reader=reader))
    return Row("unrelated", labelled, found + both, both)


def missed(reader: Preview, name: str) -> None:
    """Prints what was found and is not labelled, and what is labelled and was not found."""
    for rubric in read_labelled():
        said = names(lint(rubric.criteria, query=rubric.query, reader=reader, judge="mini"))
        for i, criterion in enumerate(rubric.criteria):
            if ((i, name) in said) != ((i, name) in rubric.labels):
                print("found  " if (i, name) in said else "missed ", criterion.text)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", metavar="FINDING", help="what was found wrongly, and what was missed")
    args = parser.parse_args()
    reader = Preview()
    if args.show:
        missed(reader, args.show)
        return
    for corpus in (None, "researchrubrics", "scholarqa_cs", "deep_research_bench"):
        print(
            f"\n{corpus or 'all'}\n\n| finding | labelled | found | both | precision | recall |",
            "|---|---|---|---|---|---|",
            sep="\n",
        )
        for row in [*rows(reader, corpus), *([planted(reader)] if corpus is None else [])]:
            figures = ["-" if x is None else f"{x:.2f}" for x in (row.precision, row.recall)]
            print(f"| `{row.name}` | {row.labelled} | {row.found} | {row.both} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main()
