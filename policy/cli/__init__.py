"""`judger-agent`: run, index, rollouts, replay. One file a command."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from judger.errors import InvalidFile, InvalidRequest, JudgerError
from policy.errors import AgentError, ConfigError, ModelAway

__all__ = ["AWAY", "main"]

AWAY = 3
"""The exit status of work that a later run of the same command finishes."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 done, 1 the work failed, 2 what the user wrote is wrong, 3 the model was away and the same
    can go on, 130 interrupted."""
    from policy.cli import index, replay, rollouts, run

    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stand-in for them may not have it
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines would come before what we say of the same fault
    parser = argparse.ArgumentParser(prog="judger-agent", description="A research agent with real tools.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for module in (run, index, rollouts, replay):
        module.add(commands)
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    try:
        status: int = arguments.act(arguments)
    except (AgentError, JudgerError, OSError, KeyboardInterrupt, BaseExceptionGroup) as error:
        return _report(error)
    return status


def _report(error: BaseException) -> int:
    """Says on standard error what went wrong, and gives the exit status. Raises what is a bug of ours."""
    while isinstance(error, BaseExceptionGroup):  # of a task group: its first failure
        error = error.exceptions[0]
    match error:
        case KeyboardInterrupt():
            line, status = "interrupted", 130
        case ModelAway():
            line, status = f"{error}; the same command goes on from here", AWAY
        case ConfigError() | InvalidFile() | InvalidRequest():
            line, status = str(error), 2
        case AgentError() | JudgerError() | OSError():
            line, status = str(error), 1
        case _:
            raise error
    print(line, file=sys.stderr)
    return status
