"""From a proxy to a replica: the caller's context with what a replica has to know beside it, and what Ray says of a
call that no judge has answered, in our words.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import grpc

from judger import wire
from judger.cluster.calls import TIME_LEFT
from judger.errors import DeadlineExceeded, JudgerError, Overloaded, Unavailable
from judger.server.deadlines import in_time
from judger.server.faults import tell

__all__ = ["APPLICATION", "Caller", "Hop"]

APPLICATION = "judger"
"""What the application is called, where a caller names none."""
RETRY_AFTER = 1.0
"""Seconds, where Ray's own queue is full: it says nothing of how long that lasts."""
Metadata = tuple[tuple[str, str | bytes], ...]


class Caller:
    """What is known of a caller while their call lives. Afterwards gRPC's context may not be asked any more: it would
    read freed memory, and take the whole proxy down.
    """

    def __init__(self, context: Any) -> None:
        self.context = context
        self.metadata: Metadata = tuple(context.invocation_metadata() or ())
        self.peer = str(context.peer())
        self.auth_context = context.auth_context()
        self.peer_identities = context.peer_identities()
        self.peer_identity_key = context.peer_identity_key()
        left = context.time_remaining()
        self._ends = None if left is None else time.monotonic() + left

    def time_remaining(self) -> float | None:
        """Seconds until their deadline; None without one."""
        return None if self._ends is None else max(0.0, self._ends - time.monotonic())


class Hop:
    """The context that Serve is given for one call. What is set on it is kept here; `pass_on` tells the caller.

    Args:
        session: calls of one go to one replica while it has room; None for whichever has.
    """

    def __init__(self, caller: Caller, session: str | None = None) -> None:
        self._caller = caller
        left = caller.time_remaining()
        own: dict[str, str] = {} if left is None else {TIME_LEFT: f"{left:.3f}"}
        names = {key for key, _ in caller.metadata}
        if session is not None and "session_id" not in names:
            own["session_id"] = session
        if "application" not in names:
            own["application"] = APPLICATION
        self._metadata: Metadata = (*(pair for pair in caller.metadata if pair[0] not in own), *own.items())
        self._code: Any = None
        self._details = ""
        self._trailers: Metadata = ()

    # What Serve reads.

    def invocation_metadata(self) -> Metadata:
        return self._metadata

    def code(self) -> Any:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Metadata:
        return self._trailers

    def auth_context(self) -> Any:
        return self._caller.auth_context

    def peer(self) -> str:
        return self._caller.peer

    def peer_identities(self) -> Any:
        return self._caller.peer_identities

    def peer_identity_key(self) -> Any:
        return self._caller.peer_identity_key

    # What Serve sets.

    def set_code(self, code: Any) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    def set_trailing_metadata(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        self._trailers = tuple(metadata)

    # What became of it.

    @property
    def error(self) -> JudgerError | None:
        """Why the call failed; None where it did not. Raises CancelledError where its caller has left."""
        if self._code in (None, 0, grpc.StatusCode.OK):
            return None
        name = self._code.name
        if (status := dict(self._trailers).get(wire.DETAILS_TRAILER)) is not None:  # a judge's own words
            return wire.error_from_status(name, self._details, status if isinstance(status, bytes) else status.encode())
        match name:
            case "CANCELLED":
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise asyncio.CancelledError
                # Serve takes any cancellation within it, such as of its own routing on a busy node, for the caller's.
                return Unavailable("Ray Serve has cancelled the call, its caller has not")
            case "RESOURCE_EXHAUSTED":
                return in_time(Overloaded("the queue of Ray Serve is full", RETRY_AFTER), self._caller)
            case "DEADLINE_EXCEEDED":
                return DeadlineExceeded("Ray Serve has waited as long as its request_timeout_s allows")
            case "NOT_FOUND":
                return Unavailable(f"Ray Serve has no application for this call: {self._details}")
            case _:  # a replica that died says INTERNAL here; every call may be made again
                return Unavailable(f"the replica gave no answer: {self._details}")

    def pass_on(self) -> None:
        """Sets the caller's status. Raises CancelledError where the caller has left."""
        if (error := self.error) is not None:
            tell(self._caller.context, error)
