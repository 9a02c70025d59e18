"""judger filter --top-k: of every group the best, once all of the group have a reward or none."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from judger.errors import Fault, InvalidFile
from judger.evals.runfile import iter_run
from judger.rubric import Record

__all__ = ["Chosen", "check_groups", "group_of", "judged_path", "write_best"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What became of the groups."""

    groups: int
    kept: int
    short: int
    """Groups with fewer than k cases that have a reward within the bounds."""


def judged_path(path: Path) -> Path:
    """Where the judged cases lie, all of them: a run file, which is what the same command goes on with."""
    return path.with_name(path.name + ".judged")


def group_of(path: Path, record: Record, key: str) -> str:
    """The group of a line: the value of a key of its own, or its query. Raises InvalidFile where there is none."""
    value = record.case.query if key == "query" else record.raw.get(key)
    if value is None or isinstance(value, (dict, list)):
        raise InvalidFile([Fault(str(path), record.line, key, "is missing: the groups are told apart by it")])
    return json.dumps(value)


def write_best(source: Path, output: Path, *, k: int, key: str, low: float, high: float) -> Chosen:
    """Writes the k highest rewards of each group, in the order of the file; of equal rewards the earlier.

    A case without a reward is in no place, and never taken for a low one.
    """
    ranked: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    sizes: Counter[str] = Counter()
    for index, judged in enumerate(iter_run(source)):
        name = group_of(source, judged.record, key)
        sizes[name] += 1
        value = None if judged.judgement is None else judged.judgement.reward.value
        if value is not None and low <= value <= high:
            ranked[name].append((-value, index))
    best = {index for places in ranked.values() for _, index in sorted(places)[:k]}
    unfinished = output.with_name(output.name + ".part")
    with open(unfinished, "w", encoding="utf-8", newline="\n") as file:
        for index, judged in enumerate(iter_run(source)):
            if index in best:
                file.write(judged.record.text + "\n")
    unfinished.replace(output)
    short = sum(len(ranked[name]) < min(k, size) for name, size in sizes.items())
    return Chosen(len(sizes), len(best), short)


def check_groups(path: Path, records: Iterable[Record], key: str) -> None:
    """Raises InvalidFile for every line that is of no group, before any judge is loaded."""
    faults: list[Fault] = []
    for record in records:
        try:
            group_of(path, record, key)
        except InvalidFile as error:
            faults += error.faults
    if faults:
        raise InvalidFile(faults)
