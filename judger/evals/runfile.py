"""Run files: cases with the `judgement` that they got, one a line, as `judger filter`, `judger eval -o` and
`judger score -o --keep-cases` write them. Every reader of runs, the command line's and the page's, reads a line here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from judger.errors import Fault, InvalidFile, InvalidRequest, JudgerError
from judger.rubric import Record, iter_records
from judger.types import Case, Judgement

MISSING = "is missing: a run has one on every line (judger score -o RUN.jsonl --keep-cases)"


@dataclass(frozen=True, slots=True)
class Judged:
    """One line of a run file."""

    record: Record
    judgement: Judgement | None
    """None where the case was refused."""
    error: str = ""
    """Why it was."""

    @property
    def case(self) -> Case:
        return self.record.case


def read_judged(record: Record, path: str | Path, kept: object = None, *, missing: str = MISSING) -> Judged:
    """A case with what was said of it: its own `judgement`, or what is `kept` elsewhere.

    The case gets the criteria that were judged. Raises InvalidFile where there is no judgement of this case.
    """
    from judger import wire  # protobuf, which a command's --help does without

    def fault(field: str, reason: str) -> InvalidFile:
        return InvalidFile([Fault(str(path), record.line, field, reason)])

    kept = record.raw.get("judgement") if kept is None else kept
    if kept is None:
        raise fault("judgement", missing)
    try:
        judgement, error = wire.read_kept(kept, record.case.criteria)
    except InvalidRequest as wrong:
        raise fault(f"judgement.{wrong.field}", wrong.reason) from wrong
    except JudgerError as wrong:
        raise fault("judgement", str(wrong)) from wrong
    if judgement is not None:
        record = replace(record, case=replace(record.case, criteria=judgement.criteria))
    return Judged(record, judgement, error)


def iter_run(path: Path) -> Iterator[Judged]:
    """The lines of a run file, which is checked as its cases are; call `check_run` before the judge is loaded.

    Raises InvalidFile for a line without a judgement of its own criteria.
    """
    return (read_judged(record, path) for record in iter_records(path, monitors=True))


def check_run(path: Path) -> int:
    """How many lines a run file has. Raises InvalidFile with all its faults, InvalidRequest for what is no file."""
    if not path.is_file():
        raise InvalidRequest(str(path), "must be a file: a run is read twice")
    faults: list[Fault] = []
    count = 0
    for record in iter_records(path, monitors=True):
        count += 1
        try:
            read_judged(record, path)
        except InvalidFile as error:
            faults += error.faults
    if faults:
        raise InvalidFile(faults)
    return count


def is_packed(path: Path) -> bool:
    """Whether a file is one that is whole or not at all: compressed, or a table."""
    if path.suffix.lower() == ".parquet":
        return True
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


__all__ = ["Judged", "check_run", "is_packed", "iter_run", "read_judged"]
