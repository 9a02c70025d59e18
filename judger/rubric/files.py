"""Cases, rubrics and reports from files: everything is checked before anything is given out.

Every reader raises InvalidFile with all faults of the file, each with line and field, and nothing else. Warnings (a
criterion dropped for its zero weight) go one by one to `on_warning`, or to the log where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from judger.rubric.fields import is_object, type_name
from judger.rubric.formats import Rubric, read_case_objects, read_rubric_object
from judger.rubric.members import elements
from judger.rubric.place import Faults, Place, Warn, shown
from judger.rubric.shapes import OURS, read_criteria, shape_of
from judger.rubric.source import read_lines, read_values
from judger.rubric.tables import is_table
from judger.types import LIMITS, Case, Criterion
from judger.validate import text_fault


@dataclass(frozen=True, slots=True)
class Record:
    """A case, the line it stands on and the object it was read from, with the keys that nobody reads."""

    case: Case
    line: int
    raw: Mapping[str, object]
    text: str = ""
    """That object as JSON, character by character as the file has it; empty where the file was no JSON."""


def read_cases(
    path: str | Path,
    *,
    labelled: bool = False,
    rubric: Sequence[Criterion] | None = None,
    monitors: bool = False,
    on_warning: Warn | None = None,
) -> list[Case]:
    """All cases of a file, in order.

    With `labelled` every criterion must have a label. A `rubric` takes the place of every line's own criteria, so that
    a file of reports alone will do. With `monitors` a weight may be zero: judged, and no part of the reward.
    Raises InvalidFile.
    """
    faults = Faults.of(path, on_warning)
    cases = [record.case for record in _records(path, faults, labelled=labelled, rubric=rubric, monitors=monitors)]
    faults.check()
    return cases


def iter_records(
    path: str | Path,
    *,
    labelled: bool = False,
    rubric: Sequence[Criterion] | None = None,
    monitors: bool = False,
    on_warning: Warn | None = None,
) -> Iterator[Record]:
    """The cases of a file one by one, with what else their lines carry; in memory there is one line at a time.

    The whole file is checked first, within the call, and read again as the records are taken. What can't be read
    twice, such as a pipe, is kept in memory instead. Arguments and errors as in `read_cases`.
    """
    faults = Faults.of(path, on_warning)
    if not (Path(path).is_file() or is_table(path)):
        records = list(_records(path, faults, labelled=labelled, rubric=rubric, monitors=monitors))
        faults.check()
        return iter(records)
    for _ in _records(path, faults, labelled=labelled, rubric=rubric, monitors=monitors):
        pass
    faults.check()
    return _again(path, labelled=labelled, rubric=rubric, monitors=monitors)


def iter_cases(
    path: str | Path,
    *,
    labelled: bool = False,
    rubric: Sequence[Criterion] | None = None,
    monitors: bool = False,
    on_warning: Warn | None = None,
) -> Iterator[Case]:
    """`iter_records` without the rest of the line."""
    records = iter_records(path, labelled=labelled, rubric=rubric, monitors=monitors, on_warning=on_warning)
    return (record.case for record in records)


def read_reports(path: str | Path, *, on_warning: Warn | None = None) -> list[Case]:
    """The reports of a file of `id`, `report` and perhaps `query`: cases without criteria, whatever else is there."""
    return read_cases(path, rubric=(), on_warning=on_warning)


def read_report(path: str | Path) -> str:
    """One report that is a text file of its own (Markdown, plain text), as it stands but for its line ends."""
    faults = Faults.of(path, None)
    text = "\n".join(line for _, line in read_lines(path, faults, keep_blank=True))
    if not faults.found and (reason := text_fault(text, LIMITS.report_bytes)):
        faults.add(1, "report", reason)
    faults.check()
    return text


def read_rubrics(path: str | Path, *, monitors: bool = False, on_warning: Warn | None = None) -> list[Rubric]:
    """All rubrics of a file: JSON or YAML with one rubric or a list of them, or JSON lines. Raises InvalidFile."""
    faults = Faults.of(path, on_warning)
    rubrics: list[Rubric] = []
    seen: dict[str, int] = {}
    for value, place in read_values(path, faults):
        if isinstance(value, list) and _is_list_of_rubrics(value):
            objects = list(_members(value, place))
        elif isinstance(value, list):
            rubrics.append(Rubric(id="", query="", criteria=read_criteria(value, place, OURS, monitors=monitors)))
            continue
        else:
            objects = [(value, place)]
        for member, here in objects:
            if not isinstance(member, dict):
                here.fault(f"must be a rubric, that is a list or an object, not {type_name(member)}")
                continue
            rubric = read_rubric_object(member, here, monitors=monitors)
            _note_id(rubric.id, here, seen, shape_of(member).id)
            rubrics.append(rubric)
    faults.check()
    return rubrics


def read_rubric(path: str | Path, *, monitors: bool = False, on_warning: Warn | None = None) -> tuple[Criterion, ...]:
    """The criteria of a file that holds one rubric. Raises InvalidFile, also where there are several."""
    rubrics = read_rubrics(path, monitors=monitors, on_warning=on_warning)
    if len(rubrics) != 1:
        faults = Faults.of(path, None)
        faults.add(1, "file", f"holds {len(rubrics):,} rubrics where one is wanted")
        faults.check()
    return rubrics[0].criteria


def _records(
    path: str | Path, faults: Faults, *, labelled: bool, rubric: Sequence[Criterion] | None, monitors: bool
) -> Iterator[Record]:
    """The records of a file, without those that have a fault."""
    criteria = None if rubric is None else tuple(rubric)
    seen: dict[str, int] = {}
    for value, place in read_values(path, faults):
        texts = _texts(value, place.source)
        for (member, here), text in zip(_members(value, place), texts, strict=True):
            if not is_object(member, here):
                continue
            before = len(faults.found)
            cases = list(read_case_objects(member, here, rubric=criteria, labelled=labelled, monitors=monitors))
            for case in cases:
                _note_id(case.id, here, seen, shape_of(member).id)
            if len(faults.found) == before:
                yield from (Record(case, here.line, member, text) for case in cases)


def _again(path: str | Path, *, labelled: bool, rubric: Sequence[Criterion] | None, monitors: bool) -> Iterator[Record]:
    faults = Faults.of(path, lambda _: None)  # the first reading has given the warnings
    for record in _records(path, faults, labelled=labelled, rubric=rubric, monitors=monitors):
        faults.check()  # the file has changed since
        yield record
    faults.check()


def _members(value: object, place: Place) -> Iterator[tuple[object, Place]]:
    """The objects of a document that is a list, or the one value."""
    if isinstance(value, list):
        if not value:
            place.fault("is an empty list")
        yield from ((member, place.at(i)) for i, member in enumerate(value))
    else:
        yield value, place


def _texts(value: object, source: str) -> list[str]:
    """The JSON of each of the `_members`."""
    if not isinstance(value, list):
        return [source]
    return elements(source) if source else [""] * len(value)


def _note_id(identifier: str, place: Place, seen: dict[str, int], key: str) -> None:
    if identifier and identifier in seen:
        place.fault(f"{shown(identifier)} is a duplicate: line {seen[identifier]} has it already", key)
    seen.setdefault(identifier, place.line)


def _is_list_of_rubrics(values: list[object]) -> bool:
    return any(isinstance(value, dict) and ("criteria" in value or "rubrics" in value) for value in values)
