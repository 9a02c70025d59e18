"""People's verdicts on a run: kept beside it, exported as labelled cases, and held against the judge's.

A line of the file is one act: `{"case", "criterion", "label", "comment", "star", "by", "at"}`. The last one on a
criterion counts; `label` null takes a verdict back. Lines are only ever added, each on the disk before it is answered;
a last line without its end, of a process that was killed, is left out and cut off before the next is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from judger.agreement import agreement, observe
from judger.errors import Fault, InvalidFile
from judger.pages.runs import Entry
from judger.types import Label, Score
from judger.verdict import p_satisfied

__all__ = ["PeopleFile", "PersonsVerdict", "export", "panel"]

BINS = 10
FEWEST = 5
"""Labels that a bin needs: the share of one or two says nothing."""


class PersonsVerdict(BaseModel):
    """What a person says of one verdict. Lengths are in characters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str = Field(max_length=2**15)
    criterion: str = Field(max_length=2**15)
    label: Label | None = None
    """Theirs: the judge's own where they agree. None: no verdict, or taken back."""
    comment: str = Field("", max_length=2**13)
    star: bool = False
    by: str = Field("", max_length=200)
    at: str = Field("", max_length=40)

    @property
    def is_empty(self) -> bool:
        return self.label is None and not self.comment and not self.star


class PeopleFile:
    """The file of one run. One process writes it. Raises InvalidFile for a line that is none of these, OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._latest: dict[tuple[str, str], PersonsVerdict] = {}
        self._whole = 0
        if path.exists():
            self._load()

    def _load(self) -> None:
        whole, end, _torn = self.path.read_bytes().rpartition(b"\n")
        self._whole = len(whole) + len(end)
        for number, line in enumerate(whole.split(b"\n") if end else (), 1):
            if not line.strip():
                continue
            try:
                said = PersonsVerdict.model_validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"])) or "json"
                raise InvalidFile([Fault(str(self.path), number, where, first["msg"])]) from error
            self._latest[said.case, said.criterion] = said

    @property
    def latest(self) -> dict[tuple[str, str], PersonsVerdict]:
        """By case and criterion, without those that were taken back."""
        return {key: said for key, said in self._latest.items() if not said.is_empty}

    def add(self, said: PersonsVerdict) -> PersonsVerdict:
        """Writes one to the disk; gives it back with its time. Raises OSError: then nothing is remembered."""
        stamped = said.model_copy(update={"at": datetime.now(UTC).isoformat(timespec="seconds")})
        line = stamped.model_dump_json().encode() + b"\n"
        with open(self.path, "r+b" if self.path.exists() else "x+b") as file:
            file.truncate(self._whole)
            file.seek(self._whole)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._whole += len(line)
        self._latest[stamped.case, stamped.criterion] = stamped
        return stamped

    def to_json(self) -> list[dict[str, Any]]:
        """Those that count, for the page."""
        return [said.model_dump(mode="json") for said in self.latest.values()]


Labels = Mapping[tuple[str, str], PersonsVerdict]


def human_labels(entry: Entry, people: Labels) -> dict[str, Label]:
    """People's labels of an entry's criteria: those of the page before those of the file of cases."""
    found = {c.id: c.label for c in entry.case.criteria if c.label is not None}
    for criterion in entry.case.criteria:
        said = people.get((entry.key, criterion.id))
        if said is not None and said.label is not None:
            found[criterion.id] = said.label
    return found


def labelled_case(entry: Entry, people: Labels) -> Entry | None:
    """The entry with the criteria alone that people have labelled, labels on them; None where there are none."""
    labels = human_labels(entry, people)
    if not labels:
        return None
    kept = [i for i, criterion in enumerate(entry.case.criteria) if criterion.id in labels]
    criteria = tuple(replace(entry.case.criteria[i], label=labels[entry.case.criteria[i].id]) for i in kept)
    judgement = entry.judgement
    if judgement is not None:
        judgement = replace(judgement, verdicts=tuple(judgement.verdicts[i] for i in kept))
    return replace(entry, case=replace(entry.case, id=entry.key, criteria=criteria), judgement=judgement)


def export(entries: Iterable[Entry], people: Labels) -> Iterable[str]:
    """Labelled cases, a line each, as `judger agree` and `judger calibrate` read them."""
    for entry in entries:
        labelled = labelled_case(entry, people)
        if labelled is None:
            continue
        case = labelled.case
        criteria = []
        for criterion in case.criteria:
            said = people.get((entry.key, criterion.id))
            row: dict[str, Any] = {
                "id": criterion.id,
                "text": criterion.text,
                "weight": criterion.weight,
                "role": criterion.role.value,
                "axis": criterion.axis,
                "fatal": criterion.fatal,
                "label": criterion.label,
            }
            if said is not None and said.comment:
                row["comment"] = said.comment
            criteria.append(row)
        yield json.dumps(
            {"id": case.id, "query": case.query, "report": case.report, "criteria": criteria}, ensure_ascii=False
        )


def panel(entries: Sequence[Entry], people: Labels, *, resamples: int = 1000) -> dict[str, Any] | None:
    """Agreement on what people have labelled: the figures of `judger agree`, confusion by label, reliability.

    `confusion[human][judge]` counts labels in the order not, partially, fully; `reliability` has up to ten bins of
    equal mass, of five labels at least: mean P(satisfied), the share that people call satisfied, and n. None where
    there are no labels.
    """
    labelled = [found for entry in entries if (found := labelled_case(entry, people)) is not None]
    if not labelled:
        return None
    order = list(Label)
    confusion = np.zeros((3, 3), dtype=np.int64)
    above, satisfied = [], []
    observations = []
    for entry in labelled:
        if entry.judgement is None:
            continue
        observations += observe(entry.case, entry.judgement.verdicts)
        for criterion, verdict in zip(entry.case.criteria, entry.judgement.verdicts, strict=True):
            if isinstance(verdict.result, Score) and criterion.label is not None:
                human = order.index(criterion.label)
                confusion[human, order.index(verdict.result.label)] += 1
                above.append(p_satisfied(verdict.result, negative=criterion.is_negative))
                satisfied.append(human >= 1 if criterion.is_negative else human == 2)
    judge_id = next((entry.judgement.judge_id for entry in labelled if entry.judgement), "")
    figures = agreement(judge_id, {"people": observations}, resamples=resamples)
    row = figures.sources["people"]
    return {
        "n": row.n,
        "reports": figures.reports["people"],
        "figures": {name: value.to_json() for name, value in row.figures.items()},
        "confusion": confusion.tolist(),
        "reliability": _reliability(np.array(above), np.array(satisfied, dtype=np.float64)),
    }


def _reliability(above: Any, satisfied: Any) -> list[dict[str, float]]:
    if not len(above):
        return []
    order = np.argsort(above, kind="stable")
    bins = np.array_split(order, min(BINS, max(1, len(order) // FEWEST)))
    return [{"p": float(above[part].mean()), "share": float(satisfied[part].mean()), "n": len(part)} for part in bins]
