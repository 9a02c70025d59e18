"""Several systems' reports on a benchmark's tasks: found in folders or files, judged in a run that can be continued."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from contextlib import aclosing, nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

from judger.cli.console import check_writable, progress
from judger.cli.journal import Fate, Journal, journal_path
from judger.cli.runs import run_line
from judger.cli.session import Session, in_order
from judger.cli.table import plural
from judger.errors import Fault, InvalidFile, InvalidRequest
from judger.evals.runfile import iter_run
from judger.rubric import Record, Rubric, read_report, read_reports, read_rubrics
from judger.types import Case, Explain, Judgement, Options

ENDINGS = (".md", ".txt")


@dataclass(frozen=True, slots=True)
class Reports:
    """One system's reports by task."""

    system: str
    texts: dict[str, str]


def add_reports(parser: argparse.ArgumentParser) -> None:
    """Adds `--reports`, once for each system."""
    parser.add_argument(
        "--reports",
        action="append",
        required=True,
        metavar="[NAME=]DIR",
        help="a system's reports: TASK_ID.md or TASK_ID.txt in a folder, or a JSONL file with id and report; again for "
        "each system; the name is the folder's where none is given",
    )


def read_tasks(path: Path) -> dict[str, Rubric]:
    """A benchmark's tasks by id. Raises InvalidFile."""
    rubrics = {rubric.id: rubric for rubric in read_rubrics(path)}
    if "" in rubrics:
        raise InvalidFile([Fault(str(path), 1, "sample_id", "is missing: reports are found by it")])
    return rubrics


def read_systems(given: Sequence[str], tasks: dict[str, Rubric]) -> list[Reports]:
    """Each system's reports. Raises InvalidFile with all faults of all files, InvalidRequest for names given twice."""
    found: list[Reports] = []
    faults: list[Fault] = []
    for text in given:
        name, _, path = text.partition("=") if "=" in text and not Path(text).exists() else ("", "", text)
        name = name or Path(path).resolve().name.split(".")[0]
        if name in (system.system for system in found):
            raise InvalidRequest("--reports", f"two systems are called {name}: give names, as NAME={path}")
        try:
            found.append(Reports(name, find_reports(Path(path), tasks)))
        except InvalidFile as error:
            faults += error.faults
    if faults:
        raise InvalidFile(faults)
    return found


def find_reports(path: Path, tasks: dict[str, Rubric]) -> dict[str, str]:
    """Report texts by task. Reports that belong to no task are named on standard error.

    Raises InvalidFile with every fault of every file, InvalidRequest where no report belongs to a task.
    """
    found: dict[str, str] = {}
    faults: list[Fault] = []
    strangers = []
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in ENDINGS and file.is_file())
        for file in files:
            if file.stem not in tasks:
                strangers.append(file.name)
            elif file.stem in found:
                faults.append(Fault(str(file), 1, "file", f"task {file.stem} has another report beside it"))
            else:
                try:
                    found[file.stem] = read_report(file)
                except InvalidFile as error:
                    faults += error.faults
    else:
        for case in read_reports(path):
            if case.id in tasks:
                found[case.id] = case.report
            else:
                strangers.append(case.id)
    if faults:
        raise InvalidFile(faults)
    if not found:
        names = f", such as {next(iter(tasks))}{ENDINGS[0]}" if path.is_dir() and tasks else ""
        raise InvalidRequest(str(path), f"holds no report of these tasks{names}")
    if strangers:
        some = ", ".join(strangers[:5]) + (" ..." if len(strangers) > 5 else "")
        print(f"judger: {plural(len(strangers), 'report')} of no task left out: {some}", file=sys.stderr)
    return found


def records_of(systems: Sequence[Reports], tasks: dict[str, Rubric]) -> list[tuple[str, str, Record]]:
    """(system, task, record) of all reports, in the order of systems and tasks."""
    found = []
    for system in systems:
        for name, rubric in tasks.items():
            if name not in system.texts:
                continue
            case = Case(
                id=f"{system.system}/{name}" if len(systems) > 1 else name,
                query=rubric.query,
                report=system.texts[name],
                criteria=rubric.criteria,
                language=rubric.language,
            )
            raw = {"system": system.system, "task": name, "domain": rubric.domain, **_as_file(case)}
            found.append((system.system, name, Record(case, 0, raw, json.dumps(raw, ensure_ascii=False))))
    return found


def _as_file(case: Case) -> dict[str, object]:
    criteria = [{k: v for k, v in asdict(criterion).items() if v not in (None, "")} for criterion in case.criteria]
    head: dict[str, object] = {"id": case.id, "query": case.query, "report": case.report, "criteria": criteria}
    return head | ({"language": case.language} if case.language else {})


async def judge_all(
    session: Session, records: Sequence[Record], options: Options, output: Path | None, *, restart: bool, quiet: bool
) -> list[tuple[Judgement | None, str]]:
    """(judgement, "") for each record, (None, why) where it was refused; continued where `output` has some already."""
    found: list[tuple[Judgement | None, str]] = []
    texts = hashlib.sha256("\n".join(record.text for record in records).encode()).hexdigest()
    key = {"input": texts, "judge_id": session.judge_id, **asdict(options)}
    with (
        nullcontext() if output is None else Journal(output, key, restart=restart) as journal,
        progress("judging", len(records), quiet=quiet) as advance,
    ):
        if output is not None and journal is not None and journal.num_done:
            found = [(judged.judgement, judged.error) for judged in iter_run(output)]
            advance(len(found))
        async with aclosing(in_order(session, islice(records, len(found), None), options)) as answers:
            async for answer in answers:
                if journal is not None:
                    journal.add(Fate.KEPT, run_line(answer.record, answer.to_json()))
                found.append((answer.judgement, "" if answer.judgement is not None else str(answer.error)))
                advance()
    return found


def check_output(output: Path | None) -> None:
    """Raises InvalidRequest where a run can't be written, before any work is done."""
    if output is None:
        return
    if output.suffix == ".gz":
        raise InvalidRequest(str(output), "can't be gzip-compressed: a run could not be continued in it")
    check_writable(output)
    check_writable(journal_path(output))


def with_trials(session: Session, options: Options, trials: int) -> Options:
    """`--trials` for a judge that reasons, each with a reason of its own; of others it says that it changes nothing."""
    if trials == 1:
        return options
    if not session.info.can_explain:
        print(
            f"judger: --trials {trials} changes nothing: this judge ({session.info.engine}) gives exact probabilities, "
            "the same in every trial; judged once",
            file=sys.stderr,
        )
        return options
    return replace(options, trials=trials, explain=Explain.ALWAYS)
