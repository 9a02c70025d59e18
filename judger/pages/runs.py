"""A run: judged cases with who judged them. Made by a command, or read from files that may still grow.

A line of a run's file is a case with `judgement`, the response, beside its own keys: what `judger score --keep-cases`
writes. A folder is all its `.jsonl`, `.jsonl.gz` and `.parquet` files, each one system, called by its name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from judger.errors import Fault, InvalidFile, InvalidRequest
from judger.evals.runfile import MISSING, Judged, is_packed, read_judged
from judger.rubric import Record, iter_records
from judger.rubric.formats import read_case_objects
from judger.rubric.place import Faults, Place
from judger.rubric.source import read_values
from judger.rubric.strict_json import Parser
from judger.types import Case, Criterion, Judgement, Score
from judger.verdict import why_unlikely

__all__ = ["PEOPLE", "Entry", "Growing", "Run", "digests", "load_run", "people_path", "tags"]

PEOPLE = ".people.jsonl"
ENDINGS = (".jsonl", ".jsonl.gz", ".parquet")
"""Of a folder's files that are systems of a run."""
MOST_BYTES = 256 * 2**20
"""Of the lines that one look at a growing file takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One judged case; `judgement` is None where it was refused, and `error` says why."""

    case: Case
    judgement: Judgement | None
    error: str = ""
    system: str = ""
    """Whose report it is, where a run has several."""
    domain: str = ""

    @property
    def key(self) -> str:
        """Unique in a run: the system and the case's id."""
        return f"{self.system}/{self.case.id}" if self.system else self.case.id

    def to_json(self) -> dict[str, Any]:
        """What the page reads."""
        case = self.case
        return {
            "key": self.key,
            "id": case.id,
            "system": self.system,
            "domain": self.domain,
            "query": case.query,
            "report": case.report,
            "criteria": [
                {
                    "id": criterion.id,
                    "text": criterion.text,
                    "weight": criterion.weight,
                    "role": criterion.role.value,
                    "axis": criterion.axis,
                    "fatal": criterion.fatal,
                    "label": None if criterion.label is None else criterion.label.value,
                }
                for criterion in case.criteria
            ],
            "judgement": None if self.judgement is None else _told(self.judgement, case.criteria),
            "error": self.error,
        }


def _told(judgement: Judgement, criteria: Sequence[Criterion]) -> dict[str, Any]:
    """As JSON, with `why` where the label of a score has less than half of the probability."""
    told = judgement.to_dict()
    for verdict, ours, criterion in zip(told["verdicts"], judgement.verdicts, criteria, strict=True):
        if isinstance(ours.result, Score) and (why := why_unlikely(ours.result, negative=criterion.is_negative)):
            verdict["score"]["why"] = why
    return told


@dataclass(slots=True, kw_only=True)
class Run:
    """Judged cases, and what is known of their judge."""

    name: str
    entries: list[Entry] = field(default_factory=list)
    judge: dict[str, str] = field(default_factory=dict)
    """`engine`, `model` ..., where a command has asked; the judge_ids are in the judgements."""
    notes: list[str] = field(default_factory=list)
    """What a reader has to know, such as the tasks that have no report."""


def people_path(path: Path) -> Path:
    """Where people's verdicts on a run lie: beside its file, or in its folder."""
    return path / f"verdicts{PEOPLE}" if path.is_dir() else path.with_name(path.name + PEOPLE)


def load_run(path: Path, cases: Path | None = None) -> Run:
    """A run that is complete: each of its lines must be whole. Raises InvalidFile, OSError."""
    growing = Growing(path, cases)
    growing.read_whole()
    if growing.faults:
        raise InvalidFile(growing.faults)
    if not growing.run.entries:
        raise InvalidRequest(str(path), "holds no judged case: a line is a case with its `judgement` beside it")
    return growing.run


class Growing:
    """The files of a run, read as far as they have come. `look` again for what was added since.

    A last line without its end is being written: it waits for the next look. Any other line that can't be read is
    counted, and named in `faults`.

    Args:
        path: a file or a folder of them.
        cases: the cases that were judged, where the file has responses alone (`judger score -o`).

    Raises InvalidRequest, InvalidFile for the cases.
    """

    def __init__(self, path: Path, cases: Path | None = None) -> None:
        if not path.exists():
            raise InvalidRequest(str(path), "is not there")
        self.path = path
        self.run = Run(name=path.resolve().name)
        self.faults: list[Fault] = []
        self._cases: dict[str, Record] | None = None
        if cases is not None:
            self._cases = {record.case.id: record for record in iter_records(cases, monitors=True)}
        self.epoch = 0
        """Goes up when a file was begun anew: what was read of the run no longer holds."""
        self._read: dict[Path, tuple[int, int, int]] = {}
        self._seen: set[str] = set()

    def look(self) -> int:
        """Reads what is new; returns how many entries were added. Raises OSError."""
        before = len(self.run.entries)
        files = self._files()
        for file in files:
            stat = os.stat(file)
            inode, at, _ = self._read.get(file, (stat.st_ino, 0, 0))
            if (
                inode != stat.st_ino
                or stat.st_size < at
                or (file in self._read and is_packed(file) and stat.st_size > at)
            ):
                self._anew()
                return self.look()
        for file in files:
            self._more(file)
        return len(self.run.entries) - before

    def read_whole(self) -> None:
        """Reads files that are complete, as every other reader of files does: a last line without its end counts."""
        for file in self._files():
            self._unpack(file, self._system(file))

    def _system(self, file: Path) -> str:
        return file.name.partition(".")[0] if self.path.is_dir() else ""

    def _anew(self) -> None:
        self.run.entries.clear()
        self.faults.clear()
        self._read.clear()
        self._seen.clear()
        self.epoch += 1

    def _files(self) -> list[Path]:
        if not self.path.is_dir():
            return [self.path]
        found = (file for ending in ENDINGS for file in self.path.glob(f"*{ending}"))
        return sorted(file for file in found if file.is_file() and not file.name.endswith(PEOPLE))

    def _more(self, file: Path) -> None:
        system = self._system(file)
        if is_packed(file):
            self._unpack(file, system)
            return
        with open(file, "rb") as opened:
            stat = os.fstat(opened.fileno())
            _, at, number = self._read.get(file, (0, 0, 0))
            opened.seek(at)
            whole, end, _torn = opened.read(MOST_BYTES).rpartition(b"\n")
        for line in whole.split(b"\n") if end else ():
            number += 1
            if line.strip():
                faults = Faults(str(file), lambda _: None)
                try:
                    values, place = Parser(faults).parse(line.decode(), number)
                except UnicodeDecodeError:
                    faults.add(number, "file", "is not UTF-8")
                self.faults += faults.found
                if not faults.found:
                    self._take(values, place, system)
        self._read[file] = (stat.st_ino, at + len(whole) + len(end), number)

    def _unpack(self, file: Path, system: str) -> None:
        """A file that is whole: it is read once, and anew when it is another one."""
        stat = os.stat(file)
        if file in self._read:
            return
        faults = Faults(str(file), lambda _: None)
        try:
            for value, place in read_values(file, faults):
                self._take(value, place, system)
        except InvalidFile:
            pass  # so many faults that no more is read; they are in `faults`
        self.faults += faults.found
        self._read[file] = (stat.st_ino, stat.st_size, 0)

    def _take(self, values: object, place: Place, system: str) -> None:
        """One line of a run."""
        faults = Faults(place.faults.path, lambda _: None)
        try:
            entries = self._entries(values, replace(place, faults=faults), system)
        except InvalidFile as error:
            faults.found = list(error.faults)
        if faults.found:
            self.faults += faults.found
            return
        for entry in entries:
            if entry.key in self._seen:
                self.faults.append(Fault(faults.path, place.line, "id", f"{entry.key[:60]!r} is there already"))
                continue
            self._seen.add(entry.key)
            self.run.entries.append(entry)

    def _entries(self, values: object, place: Place, system: str) -> list[Entry]:
        if not isinstance(values, dict):
            place.fault("must be an object", "json")
            return []
        path = place.faults.path
        if self._cases is not None and "judgement" not in values:
            name = str(values.get("request_id", ""))
            record = self._cases.get(name)
            if record is None:
                place.fault(f"{name[:60]!r} is no case of --cases", "request_id")
                return []
            return [_entry(read_judged(replace(record, line=place.line), path, values), system)]
        if "judgement" not in values:
            place.fault(f"{MISSING}; for responses give --cases", "judgement")
            return []
        cases = list(read_case_objects(values, place, rubric=None, labelled=False, monitors=True))
        if place.faults.found:
            return []
        return [_entry(read_judged(Record(case, place.line, values), path), system) for case in cases]


def _entry(judged: Judged, system: str) -> Entry:
    own = tags(judged.record.raw, system)
    return Entry(case=judged.case, judgement=judged.judgement, error=judged.error, **own)


def tags(raw: Any, system: str = "") -> dict[str, str]:
    """`system` and `domain` of a line's own keys, where they are texts."""
    own = {key: value for key in ("system", "domain") if isinstance(value := raw.get(key), str)}
    return {"system": system, "domain": ""} | own


def digests(entries: Sequence[Entry]) -> list[str]:
    """The distinct rubrics of a run, as short digests, in order."""
    found: dict[str, None] = {}
    for entry in entries:
        parts = [
            (criterion.id, criterion.text, criterion.weight, criterion.role.value, criterion.fatal)
            for criterion in entry.case.criteria
        ]
        found[hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]] = None
    return list(found)
