"""Our errors as HTTP: Connect's body, and the one table from an error to a status code."""

from __future__ import annotations

import math

from starlette.responses import JSONResponse, Response

from judger.errors import (
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
from judger.wire import connect_error

__all__ = ["STATUS_CODES", "NoValue", "WrongMediaType", "error_response"]


class WrongMediaType(InvalidRequest):
    """The body is no JSON by its own account."""


class NoValue(JudgerError):
    """A bare number was asked for, and there is none: something is unscored."""


#: First match along the class's bases.
STATUS_CODES: dict[type[JudgerError], int] = {
    WrongMediaType: 415,
    NoValue: 422,
    InvalidRequest: 400,
    JudgeMismatch: 400,
    Unauthenticated: 401,
    TooLarge: 413,
    Overloaded: 429,
    EngineError: 500,
    Unsupported: 501,
    Unavailable: 503,
    DeadlineExceeded: 504,
}


def error_response(error: JudgerError) -> Response:
    """The status code, Connect's body, and when to come back where the error says so."""
    code = next((STATUS_CODES[kind] for kind in type(error).__mro__ if kind in STATUS_CODES), 500)
    headers = {}
    seconds = error.retry_after if isinstance(error, Overloaded | Unavailable) else None
    if seconds is not None:
        headers["retry-after"] = str(max(1, math.ceil(seconds)))
        headers["retry-after-ms"] = str(math.ceil(seconds * 1000))  # what OpenAI's clients look at first
    if code == 401:
        headers["www-authenticate"] = "Bearer"
    body = connect_error(error)
    if isinstance(error, NoValue):
        body["code"] = "failed_precondition"
    return JSONResponse(body, status_code=code, headers=headers)
