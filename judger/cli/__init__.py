"""The command line: one file a command, the same client and server behind each.

    exit codes   0  done
                 1  done, but something is unscored, was refused or has advice against it
                 2  the input, the usage or a file is wrong
                 3  the judge can't be reached, can't be loaded or failed
               130  interrupted (Ctrl-C);  141  whoever read the output has left (a closed pipe)

Starting up loads no torch, transformers or scikit-learn: a command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import inspect
import os
import sys
from collections.abc import Sequence

from judger.cli import (
    agree,
    bench,
    calibrate,
    compare,
    convert,
    evaluate,
    gateway,
    get,
    lint,
    page,
    rejudge,
    score,
    serve,
    token,
    ui,
)
from judger.cli import filter as filter_
from judger.cli.exits import BAD_INPUT, OK, report
from judger.errors import JudgerError
from judger.observe.logs import log_to_stderr
from judger.version import __version__

COMMANDS = (
    serve,
    score,
    rejudge,
    compare,
    agree,
    filter_,
    evaluate,
    calibrate,
    lint,
    bench,
    gateway,
    ui,
    page,
    get,
    convert,
    token,
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of `judger` with all its commands."""
    parser = argparse.ArgumentParser(
        prog="judger",
        description="Which items of this checklist does this report satisfy?",
        epilog="Exit codes: 0 done; 1 done, but something is unscored or refused; 2 the input, the usage or a file "
        "is wrong; 3 the judge can't be reached or failed; 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"judger {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. Errors become a line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stand-in for them may not have it
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # gRPC's own lines, with its file names and none of ours, would come before what we say about the same fault.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        parser = build_parser()
        args = parser.parse_args(argv)
        if "run" not in args:
            parser.print_help()
            return OK
        log_to_stderr(getattr(args, "log_level", "warning"), getattr(args, "log_format", "text"))
        result = args.run(args)
        code: int = asyncio.run(result) if inspect.iscoroutine(result) else result
        sys.stdout.flush()  # here, where a full disk or a closed pipe can still be told
    except SystemExit as error:  # argparse: wrong usage, --help, --version
        return error.code if isinstance(error.code, int) else BAD_INPUT
    except (KeyboardInterrupt, BaseExceptionGroup, JudgerError, ModuleNotFoundError, OSError) as error:
        return report(error)
    return code


__all__ = ["build_parser", "main"]
