"""A call between a proxy and a replica: its session, and what Serve says of one that no judge has answered."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import grpc
import pytest

from judger.cluster.hop import Caller, Hop
from judger.cluster.ingress import session
from judger.errors import Overloaded, Unavailable
from judger.v1 import judger_pb2 as pb


def hop(left: float | None = None) -> Hop:
    """A call's, of which its caller will wait for so many seconds more."""
    names = ("invocation_metadata", "peer", "auth_context", "peer_identities", "peer_identity_key")
    context = SimpleNamespace(**dict.fromkeys(names, lambda: None), time_remaining=lambda: left)
    return Hop(Caller(context))


@pytest.mark.parametrize(("left", "retry_after"), [(None, 1.0), (60.0, 1.0), (0.5, None)])
async def test_a_full_queue_says_when_to_come_back_where_there_is_time_for_it(
    left: float | None, retry_after: float | None
) -> None:
    asked = hop(left)
    asked.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
    error = asked.error
    assert isinstance(error, Overloaded)
    assert error.retry_after == retry_after


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


async def test_a_groups_session_is_its_reports_whatever_their_rubric() -> None:
    async def of(query: str, reports: list[str], rubric: str) -> str | None:
        request = pb.JudgeGroupRequest(query=query, reports=reports, criteria=[pb.Criterion(text=rubric)])
        return await session(pb.JudgeGroupRequest, request.SerializeToString())

    known = await of("q", ["a", "b"], "one")
    assert known == await of("q", ["a", "b"], "another")
    others = {await of("p", ["a", "b"], "one"), await of("q", ["a"], "one"), await of("q", ["ab", ""], "one")}
    assert len(others) == 3
    assert known not in others
