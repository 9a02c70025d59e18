"""Files that a command reads: several, compressed or not, and `-` for standard input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from judger.errors import Fault, InvalidFile, InvalidRequest
from judger.rubric import Record, iter_records
from judger.types import Criterion

STDIN = Path("/dev/stdin")
CASES_HELP = "one case a line; may be gzip-compressed; - is standard input"


def input_file(text: str) -> Path:
    """A path as it was given; `-` is standard input."""
    return STDIN if text == "-" else Path(text)


def read_all(
    files: Sequence[Path],
    *,
    labelled: bool = False,
    rubric: Sequence[Criterion] | None = None,
    monitors: bool = False,
) -> list[Iterator[Record]]:
    """The records of each file, all files checked to their end.

    Raises InvalidFile with the faults of all of them, InvalidRequest where standard input is named twice.
    """
    if files.count(STDIN) > 1:
        raise InvalidRequest("-", "standard input can be read once only")
    sources, faults = list[Iterator[Record]](), list[Fault]()
    for path in files:
        try:
            sources.append(iter_records(path, labelled=labelled, rubric=rubric, monitors=monitors))
        except InvalidFile as error:
            faults += error.faults
    if faults:
        raise InvalidFile(faults)
    return sources
