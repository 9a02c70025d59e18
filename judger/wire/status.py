"""Our errors <-> google.rpc.Status with its details: the field (BadRequest), when to come back (RetryInfo), the pin
(ErrorInfo). gRPC carries the Status in the trailer `grpc-status-details-bin`; JudgeStream carries it in the reply.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from judger.errors import (
    RETRY_IN,
    STATUS,
    DeadlineExceeded,
    EngineError,
    InvalidRequest,
    JudgeMismatch,
    JudgerError,
    Overloaded,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from judger.wire.text import whole_text

__all__ = ["DETAILS_TRAILER", "code_name", "error_from_status", "error_status"]

DETAILS_TRAILER = "grpc-status-details-bin"
_DOMAIN = "judger"
_MISMATCH = "JUDGE_MISMATCH"
_OVERLOADED = "OVERLOADED"  # without RetryInfo: it can't be done before this deadline, and a later one is worth a try


def code_name(error: JudgerError) -> str:
    """The name of the gRPC status code, `INTERNAL` for an error that the table does not know."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), "INTERNAL")


def error_status(error: JudgerError) -> status_pb2.Status:
    """The Status of an error, with the details from which `error_from_status` makes it again."""
    status = status_pb2.Status(code=code_pb2.Code.Value(code_name(error)), message=whole_text(str(error)))
    match error:
        case InvalidRequest():
            violation = error_details_pb2.BadRequest.FieldViolation(
                field=whole_text(error.field), description=whole_text(error.reason)
            )
            status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
        case JudgeMismatch():
            pins = {"wanted": error.wanted, "actual": error.actual}
            status.details.add().Pack(error_details_pb2.ErrorInfo(reason=_MISMATCH, domain=_DOMAIN, metadata=pins))
        case Overloaded(retry_after=seconds) | Unavailable(retry_after=seconds) if seconds is not None:
            info = error_details_pb2.RetryInfo()
            info.retry_delay.FromNanoseconds(max(0, round(seconds * 1e9)))
            status.details.add().Pack(info)
        case Overloaded():
            status.details.add().Pack(error_details_pb2.ErrorInfo(reason=_OVERLOADED, domain=_DOMAIN))
    return status


def error_from_status(code: int | str, message: str, details: bytes | status_pb2.Status | None = None) -> JudgerError:
    """The error that a status stands for.

    `code` is a number or a name such as `UNAVAILABLE`; `details` the trailer `grpc-status-details-bin`, or the Status
    itself. Details that can't be read count as none: the code and the message still tell.
    """
    name = code if isinstance(code, str) else _name(code)
    fields, retry_after, pins, is_overload = _read_details(details)
    match name:
        case "INVALID_ARGUMENT":
            return InvalidRequest(*(fields[0] if fields else ("request", message)))
        case "FAILED_PRECONDITION" if pins is not None:
            return JudgeMismatch(*pins)
        case "RESOURCE_EXHAUSTED" if retry_after is not None or is_overload:
            # The error appends its own delay.
            return Overloaded(message.partition(RETRY_IN)[0], retry_after)
        case "RESOURCE_EXHAUSTED":
            return TooLarge(message)
        case "DEADLINE_EXCEEDED":
            return DeadlineExceeded(message)
        case "UNIMPLEMENTED":
            return Unsupported(message)
        case "UNAUTHENTICATED" | "PERMISSION_DENIED":
            return Unauthenticated(message)
        case "UNAVAILABLE" | "CANCELLED":  # a server that stops cancels what it still holds
            return Unavailable(message, retry_after)
        case _:
            return EngineError(f"{name}: {message}" if name != "INTERNAL" else message)


def _name(code: int) -> str:
    return str(code_pb2.Code.Name(code)) if code in code_pb2.Code.values() else f"code {code}"


def _read_details(
    details: bytes | status_pb2.Status | None,
) -> tuple[list[tuple[str, str]], float | None, tuple[str, str] | None, bool]:
    fields: list[tuple[str, str]] = []
    retry_after: float | None = None
    pins: tuple[str, str] | None = None
    is_overload = False
    try:
        status = status_pb2.Status.FromString(details) if isinstance(details, bytes) else details
        for detail in status.details if status is not None else ():
            bad, info, retry = (
                error_details_pb2.BadRequest(),
                error_details_pb2.ErrorInfo(),
                error_details_pb2.RetryInfo(),
            )
            if detail.Unpack(bad):
                fields += [(violation.field, violation.description) for violation in bad.field_violations]
            elif detail.Unpack(retry):
                retry_after = retry.retry_delay.ToNanoseconds() / 1e9
            elif detail.Unpack(info) and (info.domain, info.reason) == (_DOMAIN, _MISMATCH):
                pins = (info.metadata["wanted"], info.metadata["actual"])
            elif (info.domain, info.reason) == (_DOMAIN, _OVERLOADED):
                is_overload = True
    except DecodeError:
        pass
    return fields, retry_after, pins, is_overload
