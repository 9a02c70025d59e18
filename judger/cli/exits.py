"""Exit codes, and the one place where an error becomes one of them with a line on standard error."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

from judger.config import ServeConfig
from judger.errors import InvalidFile, InvalidRequest, JudgeMismatch, JudgerError, Unsupported
from judger.flags import flag_name

OK = 0
INCOMPLETE = 1
"""Done, but something is unscored, was refused, or has advice against it."""
BAD_INPUT = 2
"""The input, the usage or a file is wrong; the judge is not to blame."""
JUDGE_FAILED = 3
"""The judge can't be reached, can't be loaded, or failed."""
INTERRUPTED = 130
TERMINATED = 143
BROKEN_PIPE = 141
"""Whoever read the output has left. All three as a shell counts signals: 128 and the signal's number."""


@contextlib.contextmanager
def tidily() -> Iterator[None]:
    """Ended by SIGTERM, too, the command leaves no half of a folder and no process behind."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def report(error: BaseException) -> int:
    """Says on standard error what went wrong, and gives the exit code. Raises what is a bug of ours."""
    while isinstance(error, BaseExceptionGroup):  # of a task group: its first failure
        error = error.exceptions[0]
    match error:
        case KeyboardInterrupt():
            return _say("judger: interrupted", INTERRUPTED)
        case BrokenPipeError():
            _abandon_stdout()
            return BROKEN_PIPE
        case InvalidFile():
            return _say(str(error), BAD_INPUT)
        case InvalidRequest(field=field) if field in ServeConfig.model_fields:  # whoever typed a setting knows a flag
            return _say(f"judger: {flag_name(field)}: {error.reason}", BAD_INPUT)
        case InvalidRequest() | JudgeMismatch() | Unsupported():
            return _say(f"judger: {error}", BAD_INPUT)
        case JudgerError():
            return _say(f"judger: {error}", JUDGE_FAILED)
        case ModuleNotFoundError(name=str(name)) if not name.startswith("judger"):
            return _say(f"judger: {name} is not installed: pip install 'checklist-judger[judge]'", BAD_INPUT)
        case OSError():
            if error.filename is None:  # a write failed, most often on a full disk
                _abandon_stdout()
            where = "" if error.filename is None else f"{error.filename}: "
            return _say(f"judger: {where}{error.strerror or error}", BAD_INPUT)
    raise error


def _say(line: str, code: int) -> int:
    with contextlib.suppress(OSError):  # standard error may be the closed pipe, too
        print(line, file=sys.stderr, flush=True)
    return code


def _abandon_stdout() -> None:
    """Lets what is still buffered go nowhere: the interpreter would write it at its end, and complain again."""
    with contextlib.suppress(OSError, ValueError):  # not every stand-in for standard output has a descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
