"""What Serve says of a call that no judge has answered, in our words."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import grpc
import pytest

from judger.cluster.hop import Caller, Hop
from judger.errors import Unavailable


def hop() -> Hop:
    def nothing() -> None:
        return None

    names = ("invocation_metadata", "peer", "auth_context", "peer_identities", "peer_identity_key", "time_remaining")
    return Hop(Caller(SimpleNamespace(**dict.fromkeys(names, nothing))))


async def test_what_serve_cancels_by_itself_may_be_asked_again() -> None:
    asked = hop()
    asked.set_code(grpc.StatusCode.CANCELLED)
    assert isinstance(asked.error, Unavailable)


async def test_a_caller_who_has_left_is_told_nothing() -> None:
    asked = hop()
    asked.set_code(grpc.StatusCode.CANCELLED)

    async def call() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            _ = asked.error  # Serve has caught it, and says so by the code
            raise AssertionError("it goes on") from None

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
