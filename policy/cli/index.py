"""`judger-agent index DIR`: make or refresh the local index of a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

__all__ = ["add"]


def add(commands: Any) -> None:
    parser = commands.add_parser("index", help="make or refresh the index of a folder of documents")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="the index (default: DIR/.judger-index.sqlite)")
    parser.add_argument("--no-dense", action="store_true", help="words only, though the sentence encoder is installed")
    parser.set_defaults(act=_act)


def _act(arguments: argparse.Namespace) -> int:
    from policy.index.build import build
    from policy.index.dense import find_embedder

    out: Path = arguments.out or arguments.folder / ".judger-index.sqlite"
    embedder = None if arguments.no_dense else find_embedder()
    done = build(out, arguments.folder, embedder=embedder)
    for path, reason in done.skipped:
        print(f"skipped {path}: {reason}", file=sys.stderr)
    if done.others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in done.others)
        print(f"left out, of kinds that are not read: {kinds}", file=sys.stderr)
    counts = f"{done.added} read, {done.unchanged} unchanged, {done.removed} dropped, {len(done.skipped)} skipped"
    print(f"{out}: {done.passages} passages ({counts}), {'by words and meaning' if embedder else 'by words'}")
    return 0
