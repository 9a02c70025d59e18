"""Every error this project raises, in one tree, and the one table from it to gRPC status codes.

    JudgerError
    +-- InvalidRequest        a field is wrong                        INVALID_ARGUMENT
    +-- InvalidFile           a file is wrong, with line and field    (exit 2)
    +-- JudgeMismatch         another judge than the pinned one       FAILED_PRECONDITION
    +-- Overloaded            come back later, and when               RESOURCE_EXHAUSTED (+ RetryInfo)
    +-- TooLarge              more than the service takes at all      RESOURCE_EXHAUSTED
    +-- DeadlineExceeded      the caller's deadline has passed        DEADLINE_EXCEEDED
    +-- Unsupported           this engine cannot do that              UNIMPLEMENTED
    +-- Unauthenticated       no token, or a wrong one                UNAUTHENTICATED
    +-- Unavailable           no server, or it is going away          UNAVAILABLE (+ RetryInfo)
    +-- EngineError           the engine failed as a whole            INTERNAL

A criterion without a verdict is no error: it is `judger.types.Unscored`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = [
    "STATUS",
    "DeadlineExceeded",
    "EngineError",
    "Fault",
    "InvalidFile",
    "InvalidRequest",
    "JudgeMismatch",
    "JudgerError",
    "Overloaded",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
    "is_out_of_memory",
]


class JudgerError(Exception):
    """The root: catch it to catch all of ours."""

    def __reduce__(self) -> tuple[Callable[..., JudgerError], tuple[object, ...]]:
        # An exception is rebuilt from its text alone by default; ours have fields, and cross processes in pools.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[JudgerError], args: tuple[object, ...], fields: dict[str, object]) -> JudgerError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(fields)
    return error


class InvalidRequest(JudgerError):
    """A field of a request is wrong. `field` is a path such as `criteria[3].weight`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Fault:
    """One thing wrong in a file; prints as `FILE:LINE: FIELD: reason`."""

    __slots__ = ("field", "line", "path", "reason")

    def __init__(self, path: str, line: int, field: str, reason: str) -> None:
        self.path, self.line, self.field, self.reason = path, line, field, reason

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.field}: {self.reason}"

    def __repr__(self) -> str:
        return f"Fault({str(self)!r})"


class InvalidFile(JudgerError):
    """Files have faults: all of them, in order. The message has the first `SAID` of each file, and a count."""

    SAID = 20

    def __init__(self, faults: Sequence[Fault]) -> None:
        by_file: dict[str, list[Fault]] = {}
        for fault in faults:
            by_file.setdefault(fault.path, []).append(fault)
        lines: list[str] = []
        for path, those in by_file.items():
            lines += map(str, those[: self.SAID])
            if len(those) > self.SAID:
                lines.append(f"{path}: and {len(those) - self.SAID:,} more")
        super().__init__("\n".join(lines))
        self.faults = tuple(faults)


class JudgeMismatch(JudgerError):
    """The request pins a judge that this is not."""

    def __init__(self, wanted: str, actual: str) -> None:
        super().__init__(f"judge_id: pinned to {wanted}, but this judge is {actual}")
        self.wanted = wanted
        self.actual = actual


RETRY_IN = "; retry in "


class Overloaded(JudgerError):
    """Too much to do right now; worth a retry after `retry_after` seconds, or without any not within this deadline."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message if retry_after is None else f"{message}{RETRY_IN}{retry_after:.2f} s")
        self.retry_after = retry_after

    def without_retry(self) -> Overloaded:
        """The same, where coming back can't help."""
        return Overloaded(str(self).partition(RETRY_IN)[0])


class TooLarge(JudgerError):
    """More than this service ever takes at once; a retry is pointless."""


class DeadlineExceeded(JudgerError):
    """The caller's deadline has passed."""


class Unsupported(JudgerError):
    """This engine cannot do what was asked."""


class Unauthenticated(JudgerError):
    """No token, or one that is not known."""


class Unavailable(JudgerError):
    """No server answers, or it is shutting down. `retry_after` in seconds, where the server said so."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def without_retry(self) -> Unavailable:
        """The same, where coming back can't help."""
        return Unavailable(str(self))


class EngineError(JudgerError):
    """The engine as a whole failed: it could not be loaded, or it died."""


#: The one place where an error becomes a status code. First match along the class's bases.
STATUS: dict[type[JudgerError], str] = {
    InvalidRequest: "INVALID_ARGUMENT",
    JudgeMismatch: "FAILED_PRECONDITION",
    Overloaded: "RESOURCE_EXHAUSTED",
    TooLarge: "RESOURCE_EXHAUSTED",
    DeadlineExceeded: "DEADLINE_EXCEEDED",
    Unsupported: "UNIMPLEMENTED",
    Unauthenticated: "UNAUTHENTICATED",
    Unavailable: "UNAVAILABLE",
    EngineError: "INTERNAL",
}


def is_out_of_memory(error: BaseException) -> bool:
    """By name: torch, which has its own error for it, is not imported here."""
    return isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
