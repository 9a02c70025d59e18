"""gRPC's own deadline as ours: the instant by which a case has to be judged, and whether coming back can help."""

from __future__ import annotations

import time
from typing import Any

from judger.errors import JudgerError, Overloaded, Unavailable
from judger.schedule.admission import Ticket
from judger.types import Lane

__all__ = ["RpcContext", "in_time", "ticket_for"]

RpcContext = Any  # a grpc.aio.ServicerContext; grpc has no types

RESERVE = 0.1
"""Seconds of a deadline kept for the answer's way back (at most a tenth of it)."""


def ticket_for(context: RpcContext, lane: Lane, *, patient: bool = False) -> Ticket:
    """The call's lane, and the instant by which its verdicts have to be there for the answer to be in time."""
    left = context.time_remaining()
    if left is None:
        return Ticket(lane, patient=patient)
    return Ticket(lane, time.monotonic() + left - min(RESERVE, 0.1 * left), patient=patient)


def in_time(error: JudgerError, context: RpcContext) -> JudgerError:
    """The error as it is; without its RetryInfo where the call's deadline has passed by then."""
    if not isinstance(error, Overloaded | Unavailable) or error.retry_after is None:
        return error
    left = context.time_remaining()
    return error if left is None or error.retry_after < left else error.without_retry()
