"""Where a command's words go: results to standard output, progress to a terminal's standard error, lines to files."""

from __future__ import annotations

import errno
import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from judger.cli.tables import ENDINGS, check_table, lines_path, write_table
from judger.errors import InvalidRequest
from judger.rubric.tables import is_table


class Advance(Protocol):
    """Counts work as done."""

    def __call__(self, steps: int = 1) -> None: ...


class PlainConsole(Console):
    """rich's own, whose end is ours to decide: on a closed pipe it would end the process with 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def output() -> Console:
    """Standard output, for people: coloured on a terminal, as wide as it is."""
    return PlainConsole(file=sys.stdout, highlight=False, soft_wrap=False)


def messages() -> Console:
    """Standard error, for people."""
    return PlainConsole(file=sys.stderr)


@contextmanager
def progress(what: str, total: int | None, *, quiet: bool) -> Iterator[Advance]:
    """A bar on standard error, where that is a terminal and nobody asked for quiet."""
    console = messages()
    shown = console.is_terminal and not quiet
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not shown, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(what, total=total)
        yield lambda steps=1: bar.advance(task, steps)


def count_lines(*paths: Path) -> int | None:
    """How many lines the files have, for a bar; None where that says nothing or can't be read twice."""
    total = 0
    for path in paths:
        if is_table(path) or not path.is_file() or path.name.removesuffix(".gz").endswith((".json", ".yaml", ".yml")):
            return None
        with open(path, "rb") as raw:
            is_gzip = raw.peek(2)[:2] == b"\x1f\x8b"
            file = gzip.GzipFile(fileobj=raw) if is_gzip else raw
            total += sum(1 for line in file if not line.isspace())
    return total


@contextmanager
def loading(what: str, *, quiet: bool) -> Iterator[None]:
    """A spinner on standard error while the judge gets ready."""
    console = messages()
    if quiet or not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


def check_writable(path: Path, *inputs: Path) -> None:
    """Raises InvalidRequest where an output can't be written, or would destroy an input, before any work is done."""
    for other in inputs:
        if path.exists() and other.exists() and path.samefile(other):
            raise InvalidRequest(str(path), "is an input, too: writing it would destroy it")
    if path.suffix in ENDINGS:
        check_table(path)
    folder = path.parent
    if path.is_dir():
        raise InvalidRequest(str(path), "is a folder, not a file")
    if not folder.is_dir():
        raise InvalidRequest(str(path), f"there is no folder {folder}")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise InvalidRequest(str(path), "may not be written")


@contextmanager
def line_writer(path: Path | None) -> Iterator[IO[str] | None]:
    """A text file for lines: compressed where its name ends in .gz, in the end a table where in .parquet or .dataset.

    None where there is no path.
    """
    if path is None:
        yield None
    elif path.suffix in ENDINGS:
        check_table(path)
        with open(lines_path(path), "w", encoding="utf-8", newline="\n") as file:
            yield file
        write_table(lines_path(path), path)
        lines_path(path).unlink()
    elif path.suffix == ".gz":
        with gzip.open(path, "wt", encoding="utf-8") as file:
            yield file
    else:
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            yield file
