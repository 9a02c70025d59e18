"""judger token: a new bearer token for a server's callers."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from judger.cli.exits import OK


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "token",
        help="make a bearer token for serve --tokens",
        description="Prints a new token, once; the file gets its digest only. A running server sees it in a second.",
        allow_abbrev=False,
    )
    parser.add_argument("name", help="whose token it is")
    parser.add_argument("--tokens", type=Path, metavar="FILE", required=True, help="the server's file; is appended to")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from judger.errors import InvalidRequest
    from judger.server.callers import TokenFile, new_token

    if not args.name or any(not (letter.isalnum() or letter in "-_.") for letter in args.name):
        raise InvalidRequest("name", "letters, digits, and the signs - _ . only")
    if args.tokens.exists() and args.tokens.stat().st_size and args.name in TokenFile(args.tokens).names:
        raise InvalidRequest("name", f"{args.tokens} has a token of {args.name} already; remove it first")
    token, table = new_token(args.name)
    with open(os.open(args.tokens, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:
        file.write(table)
    print(token)
    print(f"judger: its digest is in {args.tokens}", file=sys.stderr)
    return OK
