"""Labelled cases in, examples out: files, the split by document, weights that balance classes within a source.

A file holds one case a line (plain or gzip-compressed JSON): a query, a report, criteria with a human label each.
Nothing here knows the judger: the format is the whole contract.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Split = Literal["train", "dev", "calibration"]
LABELS = ("not_satisfied", "partially_satisfied", "fully_satisfied")
NOT, PARTIALLY, FULLY = range(3)
_SUFFIX = re.compile(r"\.jsonl(\.gz)?$")


class DataError(ValueError):
    """A line that is no labelled case. The message begins with FILE:LINE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledCriterion:
    """One criterion with its label: 0 not, 1 partially, 2 fully satisfied (of a flaw: absent, traces, present)."""

    id: str
    text: str
    label: int
    weight: float = 1.0
    role: str = "explicit"
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_negative(self) -> bool:
        return self.weight < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledCase:
    """One report with its labelled criteria. `source` is the name of its file."""

    id: str
    query: str
    report: str
    criteria: tuple[LabelledCriterion, ...]
    source: str = ""
    kind: str = ""
    label_source: str = "human"

    def to_json(self) -> dict[str, Any]:
        """The case as a line of a file."""
        criteria = [
            {
                "id": c.id,
                "text": c.text,
                "weight": c.weight,
                "role": c.role,
                "label": LABELS[c.label],
                "meta": dict(c.meta),
            }
            for c in self.criteria
        ]
        head = {"id": self.id, "query": self.query, "report": self.report, "criteria": criteria}
        return head | {"source": self.source, "kind": self.kind, "label_source": self.label_source}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One criterion of one report: what a judge is trained on. `document` is the digest of the report."""

    source: str
    case_id: str
    criterion_id: str
    document: str
    query: str
    report: str
    criterion: str
    label: int
    negative: bool
    group: str = ""
    """What several reports have in common: an article, a question. Empty where the file names none."""
    agree: float = 1.0
    """Share of the annotators behind the label, where known."""
    synthetic: str = ""
    """How it was made from labelled data; empty for what a person labelled."""
    kind: str = ""
    """What a criterion of a rubric asks for, where the file says so."""
    turned: bool = False
    """A flaw of leaving out that is asked as its requirement, its label turned round."""
    evidence: tuple[int, int] | None = None
    """The characters of the report that decided, where the file says so."""

    @property
    def satisfied(self) -> bool:
        """The strict bit: a requirement when fully satisfied, a flaw at any trace."""
        return self.label >= (PARTIALLY if self.negative else FULLY)


def case_files(folder: Path) -> dict[str, Path]:
    """The case files of a folder by name, without `.jsonl` or `.jsonl.gz`, in order."""
    found = {_SUFFIX.sub("", path.name): path for path in sorted(folder.iterdir()) if _SUFFIX.search(path.name)}
    if not found:
        raise DataError(f"{folder}: no .jsonl or .jsonl.gz file")
    return found


def read_cases(path: Path) -> Iterator[LabelledCase]:
    """The labelled cases of one file, in order. Raises DataError at the first line that is none."""
    source = _SUFFIX.sub("", path.name)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError(f"a case is an object, not a {type(row).__name__}")
                yield _case(row, source)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise DataError(f"{path}:{number}: {type(error).__name__}: {error}") from None


def _case(row: Mapping[str, Any], source: str) -> LabelledCase:
    listed = row["criteria"]
    task = (row.get("meta") or {}).get("task")
    shared = {} if task is None else {"group": str(task)}
    criteria = tuple(
        LabelledCriterion(
            id=str(c["id"]),
            text=str(c["text"]),
            label=LABELS.index(c["label"]),
            weight=float(c.get("weight", 1.0)),
            role=str(c.get("role", "explicit")),
            meta=shared | (c.get("meta") or {}),
        )
        for c in listed
    )
    return LabelledCase(
        id=str(row["id"]),
        query=str(row.get("query", "")),
        report=str(row["report"]),
        criteria=criteria,
        source=source,
        kind=str(row.get("kind", "")),
        label_source=str(row.get("label_source", "human")),
    )


def examples(cases: Iterable[LabelledCase]) -> Iterator[Example]:
    """One example per criterion, in order."""
    for case in cases:
        document = digest(case.report)
        for c in case.criteria:
            yield Example(
                source=case.source,
                case_id=case.id,
                criterion_id=c.id,
                document=str(c.meta.get("document", document)),
                query=case.query,
                report=case.report,
                criterion=c.text,
                label=c.label,
                negative=c.is_negative,
                group=str(c.meta.get("group", "")),
                agree=float(c.meta.get("agree", 1.0)),
                synthetic=str(c.meta.get("synthetic", "")),
                kind=str(c.meta.get("kind", "")),
                turned=bool(c.meta.get("turned", False)),
                evidence=_passage(c.meta.get("evidence")),
            )


def _passage(found: Any) -> tuple[int, int] | None:
    return (int(found[0]), int(found[1])) if found else None


def digest(report: str) -> str:
    """Of the report's words: white space and case do not make another document."""
    return hashlib.sha256(" ".join(report.lower().split()).encode()).hexdigest()[:20]


def split_of(key: str, *, seed: int = 0, dev: float = 0.08, calibration: float = 0.08) -> Split:
    """Where a document goes: a function of its digest alone, so that files may come and go."""
    place = int(hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()[:12], 16) / 16**12
    return "dev" if place < dev else "calibration" if place < dev + calibration else "train"


class Groups:
    """What belongs together: names that were tied, and those that a third one ties together (union-find).

    A group is called by the first of its names in the alphabet, in whatever order they were tied.
    """

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The group that `name` is in, by the name of it."""
        while self._parent.setdefault(name, name) != name:
            self._parent[name] = self._parent[self._parent[name]]
            name = self._parent[name]
        return name

    def tie(self, name: str, other: str | None) -> None:
        """One group out of those of both names; None ties to nothing."""
        one = self.of(name)
        if other is not None:
            two = self.of(other)
            self._parent[max(one, two)] = min(one, two)


def split_examples(
    items: Sequence[Example], *, seed: int = 0, dev: float = 0.08, calibration: float = 0.08, by_group: bool = False
) -> dict[Split, list[Example]]:
    """Examples by split; a report is never on both sides, and with `by_group` neither is a group.

    What was made from a report (`meta.document`) goes where the report goes.
    """
    groups = Groups()
    for item in items:
        groups.tie(item.document, f"{item.source}/{item.group}" if by_group and item.group else None)
    found: dict[Split, list[Example]] = {"train": [], "dev": [], "calibration": []}
    for item in items:
        found[split_of(groups.of(item.document), seed=seed, dev=dev, calibration=calibration)].append(item)
    return found


def balancing_weights(
    items: Sequence[Any], *, cap: float = 4.0, source_power: float = 0.5, strict: bool = False
) -> list[float]:
    """A weight per example, mean 1: classes weigh alike within each source and polarity, as far as `cap` allows.

    Args:
        cap: no class weighs more than `cap` times, or less than 1 / cap of, its natural weight.
        items: Example, or whatever has `source`, `negative` and `label` (and with `strict`, `satisfied`).
        source_power: a source of n examples weighs n ** source_power in all: 1 as it comes, 0 all alike.
        strict: the classes are the strict bit, not the three labels.
    """
    if cap < 1:
        raise ValueError("cap must be at least 1")
    strata = [(item.source, item.negative) for item in items]
    classes = [int(item.satisfied) if strict else item.label for item in items]
    sizes, cells = Counter(strata), Counter(zip(strata, classes, strict=True))
    kinds: dict[tuple[str, bool], int] = defaultdict(int)
    for stratum, _ in cells:
        kinds[stratum] += 1
    weights = [
        min(cap, max(1 / cap, sizes[s] / (kinds[s] * cells[s, c]))) * sizes[s] ** (source_power - 1)
        for s, c in zip(strata, classes, strict=True)
    ]
    scale = len(weights) / sum(weights) if weights else 1.0
    return [weight * scale for weight in weights]
