"""judger page: a run as one HTML file; and `--html` of the commands that judge."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from judger.cli.console import check_writable, output
from judger.cli.exits import OK
from judger.cli.table import plural

if TYPE_CHECKING:
    from judger.cli.session import Answer, Session
    from judger.pages import Entry, Run


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "page",
        help="a run as one HTML file to look at",
        description="Writes one self-contained HTML file of a run: cases with the `judgement` that they got, one a "
        "line, as judger filter writes them; or a folder of such files, each one system. People's verdicts that "
        "judger ui kept beside the run are in it.",
        allow_abbrev=False,
    )
    parser.add_argument("run_path", type=Path, metavar="RUN", help="a run's file, or a folder of them")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.html")
    add_cases(parser)
    add_against(parser)
    parser.set_defaults(run=run)


def add_cases(parser: argparse.ArgumentParser) -> None:
    """Adds `--cases`, for runs that are responses alone."""
    parser.add_argument(
        "--cases", type=Path, metavar="CASES.jsonl", help="the cases, where RUN is responses alone (judger score -o)"
    )


def add_html(parser: argparse.ArgumentParser) -> None:
    """Adds `--html` to a command that judges."""
    parser.add_argument("--html", type=Path, metavar="OUT.html", help="one self-contained page to look at, too")


def add_against(parser: argparse.ArgumentParser) -> None:
    """Adds `--against`."""
    parser.add_argument(
        "--against", type=Path, metavar="RUN", help="in the page, this run beside it: cases are matched by id"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from judger.pages import PeopleFile, load_run, write_page
    from judger.pages.runs import people_path

    check_writable(args.output, args.run_path, *([args.cases] if args.cases else []))
    found = load_run(args.run_path, args.cases)
    against = load_run(args.against, args.cases) if args.against else None
    people = PeopleFile(people_path(args.run_path))
    write_page(args.output, found, people=people.latest, against=against)
    output().print(f"{plural(len(found.entries), 'case')} → {args.output}", markup=False)
    return OK


def check_html(args: argparse.Namespace, *inputs: Path) -> Run | None:
    """Checks `--html` before anything is judged, and reads the run of `--against`."""
    against = getattr(args, "against", None)
    if args.html is None:
        if against is not None:
            from judger.errors import InvalidRequest

            raise InvalidRequest("--against", "is shown in the page: give --html, too")
        return None
    from judger.pages import load_run

    check_writable(args.html, *inputs)
    return load_run(against) if against is not None else None


def entry_of(answer: Answer, domain: str = "") -> Entry:
    """What the page keeps of an answer."""
    from judger.pages import Entry
    from judger.pages.runs import tags

    own = tags(answer.record.raw)
    return Entry(
        case=answer.case,
        judgement=answer.judgement,
        error="" if answer.error is None else str(answer.error),
        system=own["system"],
        domain=domain or own["domain"],
    )


def write_html(
    path: Path,
    session: Session,
    entries: Sequence[Entry],
    *,
    name: str,
    notes: Sequence[str] = (),
    against: Run | None = None,
) -> None:
    """Writes what was judged as a page. Raises OSError."""
    from judger.pages import Run, write_page

    judge = {"engine": session.info.engine, "model": session.info.model}
    made = Run(name=name, entries=unique(entries), judge=judge, notes=[note for note in notes if note])
    write_page(path, made, against=against)


def unique(entries: Sequence[Entry]) -> list[Entry]:
    """Entries with keys of their own: of several files, two may hold cases of one name."""
    from dataclasses import replace

    seen: dict[str, int] = {}
    made = []
    for entry in entries:
        number = seen.get(entry.key, 0)
        seen[entry.key] = number + 1
        made.append(replace(entry, case=replace(entry.case, id=f"{entry.case.id} ({number + 1})")) if number else entry)
    return made
