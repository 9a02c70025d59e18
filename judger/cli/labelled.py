"""Labelled files, judged: what agree and calibrate have in common."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from judger.cli.console import count_lines, progress
from judger.cli.inputs import read_all
from judger.cli.options import judging_options
from judger.cli.page import entry_of
from judger.cli.session import Session, in_order, judge_session
from judger.errors import InvalidRequest
from judger.types import Mapping

if TYPE_CHECKING:
    from judger.agreement import Observation
    from judger.pages import Entry


async def judge_labelled(
    args: argparse.Namespace, kept: list[Entry] | None = None
) -> tuple[Session, dict[str, list[Observation]]]:
    """Judges `args.files`; the session has ended by then. By source name, in the order of the files.

    What was judged is added to `kept`, where one is given.

    All files are checked before the judge is loaded. Raises InvalidFile with the faults of all of them.
    """
    options = judging_options(args, mapping=Mapping.STRICT)
    names = source_names(args.files)
    sources = dict(zip(names, read_all(args.files, labelled=True), strict=True))
    observations: dict[str, list[Observation]] = {name: [] for name in names}
    async with judge_session(args, options) as session:
        from judger.agreement import observe

        with progress("judging", count_lines(*args.files), quiet=args.quiet) as advance:
            for name, records in sources.items():
                async with aclosing(in_order(session, records, options)) as answers:
                    async for answer in answers:
                        observations[name] += observe(answer.case, answer.verdicts)
                        if kept is not None:
                            kept.append(entry_of(answer, name if len(names) > 1 else ""))
                        advance()
    return session, observations


def source_names(files: Sequence[Path]) -> list[str]:
    """A file's name without its endings; with its folder's name where two files would be called the same.

    Raises InvalidRequest where that does not tell them apart.
    """
    stems = [file.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".json") for file in files]
    counts = Counter(stems)
    names = [
        stem if counts[stem] == 1 else f"{file.resolve().parent.name}/{stem}"
        for stem, file in zip(stems, files, strict=True)
    ]
    for name, count in Counter(names).items():
        if count > 1:
            raise InvalidRequest(str(files[names.index(name)]), f"is one of {count} files that would be called {name}")
    return names
