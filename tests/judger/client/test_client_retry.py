"""What the client tries again, when, and what it does not, against a server that misbehaves as told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from judger.client import connect, retry
from judger.client.retry import Attempts
from judger.client.settings import Settings
from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
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
from judger.server.process import running
from judger.types import Case, Criterion, Judgement
from judger.v1 import judger_pb2 as pb

FINAL = [
    InvalidRequest("report", "is odd"),
    JudgeMismatch("a", "b"),
    TooLarge("more than the queue ever takes"),
    DeadlineExceeded("too late"),
    Unsupported("no"),
    Unauthenticated("no token"),
    EngineError("it died"),
]


def cases(number: int) -> list[Case]:
    criteria = (Criterion(id="c", text="[[fully]]"),)
    return [Case(id=str(index), query="", report="A report.", criteria=criteria) for index in range(number)]


async def positions(answers: AsyncIterator[tuple[int, Any]], into: list[int]) -> None:
    async for index, _ in answers:
        into.append(index)


async def test_retry_later_is_obeyed_under_the_same_id_as_often_as_it_is_said(moody: Any) -> None:
    servicer, address = moody
    servicer.moods.extend([Overloaded("full", 0.1)] * 6)
    async with connect(address, max_attempts=2) as client:
        judgement = await client.judge("", "A report.", ["x"])
    ids = {request.request_id for request in servicer.requests()}
    assert ids == {judgement.case_id}
    times = servicer.times()
    assert len(times) == 7
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(times))


async def test_a_delay_beyond_the_deadline_is_not_waited_for(moody: Any) -> None:
    servicer, address = moody
    servicer.moods.append(Overloaded("full", 30.0))
    began = time.monotonic()
    async with connect(address) as client:
        with pytest.raises(Overloaded) as caught:
            await client.judge("", "A report.", ["x"], timeout=5.0)
    assert caught.value.retry_after == 30.0
    assert str(caught.value) == "full; retry in 30.00 s"
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
async def test_what_would_fail_again_is_not_tried_again(moody: Any, error: JudgerError) -> None:
    servicer, address = moody
    servicer.moods.append(error)
    async with connect(address) as client:
        with pytest.raises(type(error)) as caught:
            await client.judge("", "A report.", ["x"])
    assert str(caught.value) == str(error)
    assert len(servicer.seen) == 1


async def test_an_unavailable_server_is_tried_max_attempts_times(moody: Any) -> None:
    servicer, address = moody
    async with connect(address, max_attempts=3, backoff=0.02) as client:
        servicer.moods.extend([Unavailable("going away")] * 2)
        await client.judge("", "A report.", ["x"])
        assert len(servicer.seen) == 3
        servicer.moods.extend([Unavailable("going away")] * 3)
        with pytest.raises(Unavailable, match="going away"):
            await client.judge("", "A report.", ["x"])
        assert len(servicer.seen) == 6
    waits = [later - earlier for earlier, later in pairwise(servicer.times())]
    assert waits[0] >= 0.02
    assert waits[1] >= 0.04


async def test_a_server_that_says_when_to_come_back_is_asked_until_the_deadline(moody: Any) -> None:
    """An engine that is loaded anew answers Unavailable with RetryInfo again and again: that is no failed attempt."""
    servicer, address = moody
    async with connect(address, max_attempts=2, backoff=0.01, timeout=60.0) as client:
        servicer.moods.extend([Unavailable("the engine is being restarted", 0.02)] * 12)
        await client.judge("", "A report.", ["x"])
        assert len(servicer.seen) == 13
        servicer.moods.extend([Unavailable("the engine is being restarted", 0.02)] * 12)
        assert len(await client.judge_group_all("", ["a", "b"], ["x"])) == 2
        servicer.moods.extend([Unavailable("the engine is being restarted", 0.02)] * 12)
        [(_, answer)] = [pair async for pair in client.judge_stream(cases(1))]
        assert isinstance(answer, Judgement)
        before = len(servicer.seen)
        servicer.moods.extend([Unavailable("the engine is being restarted", 0.02)] * 12)
        servicer.moods.append(Unavailable("the engine is being restarted", 600.0))
        with pytest.raises(Unavailable, match="restarted"):
            await client.judge("", "A report.", ["x"])
        assert len(servicer.seen) == before + 13
        servicer.moods.extend([Unavailable("the engine is being restarted", 0.05)] * 10_000)
        began = time.monotonic()
        with pytest.raises((Unavailable, DeadlineExceeded)):  # which of them, if the deadline ends the last attempt
            await client.judge("", "A report.", ["x"], timeout=1.0)
    assert 0.5 < time.monotonic() - began < 10.0


async def test_an_engine_that_is_loaded_anew_is_waited_for() -> None:
    """The same with a real judge, whose engine takes longer to come back than all unasked attempts together."""
    engine = ScriptedEngine()
    config = ServeConfig(engine="scripted", port=0, grace=1.0)
    async with running(config, engine) as server:
        keeper = server.judge.work.keeper
        loaded = asyncio.Event()

        async def rebuild(old: Any) -> Any:
            await loaded.wait()
            return ScriptedEngine()

        keeper._rebuild, keeper._backoff = rebuild, 0.05
        reviving = asyncio.create_task(keeper.revive(dead=True))
        while keeper.is_up:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
        async with connect(server.address, timeout=120.0, max_attempts=2, backoff=0.01) as client:
            judging = asyncio.create_task(client.judge_case(cases(1)[0]))
            await asyncio.sleep(1.0)
            assert not judging.done()
            loaded.set()
            assert (await judging).reward.value == 1.0
        await reviving


async def test_patience_waits_for_a_judge_that_is_away_and_each_attempt_has_the_whole_timeout(
    moody: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "_said", {})  # an earlier test's judge may have had this address
    servicer, address = moody
    servicer.moods.extend(["break"] * 6 + ["slow", None])
    async with connect(address, patience=60.0, timeout=2.0, max_attempts=1, backoff=0.02) as client:
        await asyncio.gather(client.judge("", "A report.", ["x"]), client.judge("", "A report.", ["x"]))
        assert len(servicer.seen) == 9
        servicer.moods.extend(["break"] * 5)
        assert len(await client.judge_group_all("", ["a", "b"], ["x"])) == 2
        servicer.moods.extend(["break"] * 5)
        assert len(await client.judge_many([("", "a", ["x"]), ("", "b", ["x"])])) == 2
    said = [record.getMessage() for record in caplog.records if "waiting for it" in record.getMessage()]
    assert len(said) == 1  # and not once a call
    assert "up to 60 s" in said[0]


async def test_patience_ends_and_is_no_patience_with_what_would_fail_again(moody: Any, unused_address: str) -> None:
    servicer, address = moody
    async with connect(address, patience=60.0, backoff=0.02) as client:
        servicer.moods.append(InvalidRequest("report", "is odd"))
        with pytest.raises(InvalidRequest):
            await client.judge("", "A report.", ["x"])
    assert len(servicer.seen) == 1
    async with connect(unused_address, patience=0.5, timeout=30.0, backoff=0.02) as client:
        began = time.monotonic()
        for call in (client.judge_case(cases(1)[0]), client.judge_group_all("", ["a"], ["x"])):
            with pytest.raises(Unavailable, match="judger serve"):
                await call
        with pytest.raises(Unavailable, match="judger serve"):
            await client.judge_many(cases(1))
        assert 1.5 <= time.monotonic() - began < 20.0


async def test_a_stream_outlasts_a_silence_beyond_its_timeout_where_there_is_patience(unused_address: str) -> None:
    host, _, port = unused_address.rpartition(":")
    async with connect(unused_address, patience=60.0, timeout=0.5, backoff=0.05) as client:
        judging = asyncio.create_task(client.judge_many(cases(5)))
        await asyncio.sleep(1.5)
        assert not judging.done()
        async with running(ServeConfig(engine="scripted", host=host, port=int(port), grace=1.0), ScriptedEngine()):
            assert all(isinstance(answer, Judgement) for answer in await judging)


async def test_all_attempts_share_one_deadline(moody: Any) -> None:
    servicer, address = moody
    servicer.moods.extend([Overloaded("full", 0.3), "slow"])
    began = time.monotonic()
    async with connect(address) as client:
        with pytest.raises(DeadlineExceeded, match=f"no answer from {address}"):
            await client.judge("", "A report.", ["x"], timeout=2.0)
    assert time.monotonic() - began >= 1.9
    _, second = servicer.remaining
    assert second < 1.8  # 0.3 s less than all of it, but for how gRPC rounds it


async def test_cancelling_a_call_cancels_it_at_the_server(moody: Any) -> None:
    servicer, address = moody
    servicer.moods.append("slow")
    async with connect(address) as client:
        task = asyncio.create_task(client.judge("", "A report.", ["x"]))
        await servicer.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(60.0):
            await servicer.cancelled.wait()


async def test_closing_ends_what_is_in_flight(moody: Any) -> None:
    servicer, address = moody
    servicer.moods.append("slow")
    client = connect(address)
    task = asyncio.create_task(client.judge("", "A report.", ["x"]))
    await servicer.arrived.wait()
    await client.close()
    with pytest.raises(Unavailable, match="closed"):
        await task


async def test_a_group_that_breaks_asks_again_for_what_is_missing_only(moody: Any) -> None:
    servicer, address = moody
    servicer.moods.extend([None, None, "break", None, Overloaded("full", 0.05)])
    async with connect(address, backoff=0.02) as client:
        judgements = await client.judge_group_all("q", ["a", "b", "c", "d"], ["x"])
    assert [judgement.case_id for judgement in judgements] == ["a", "b", "c", "d"]
    assert [list(request.reports) for request in servicer.requests()] == [["a", "b", "c", "d"], ["c", "d"], ["d"]]


async def test_a_group_fails_with_the_servers_error(moody: Any) -> None:
    servicer, address = moody
    servicer.moods.extend([None, TooLarge("too much")])
    got: list[int] = []
    async with connect(address) as client:
        with pytest.raises(TooLarge, match="too much"):
            await positions(client.judge_group("q", ["a", "b"], ["x"]), got)
    assert got == [0]


async def test_a_stream_that_breaks_is_opened_again_with_what_is_unanswered(moody: Any) -> None:
    servicer, address = moody
    servicer.moods.extend([None] * 5 + ["break"])
    async with connect(address, backoff=0.02) as client:
        answers = dict([pair async for pair in client.judge_stream(cases(20), in_flight=4)])
    assert sorted(answers) == list(range(20))
    for index, answer in answers.items():
        assert isinstance(answer, Judgement)
        assert answer.case_id == str(index)
    ids = [request.request_id for request in servicer.requests()]
    assert set(ids) == {str(index) for index in range(20)}
    assert all(ids.count(str(index)) == 1 for index in range(5))


async def test_a_stream_is_given_up_after_max_attempts_without_an_answer(moody: Any) -> None:
    servicer, address = moody
    servicer.moods.extend([None] + ["break"] * 3)
    got: list[int] = []
    async with connect(address, max_attempts=3, backoff=0.02) as client:
        with pytest.raises(Unavailable, match="going away"):
            await positions(client.judge_stream(cases(3), in_flight=1), got)
    assert got == [0]


async def test_in_a_stream_a_case_put_off_is_sent_again_and_a_refused_one_is_an_answer(moody: Any) -> None:
    servicer, address = moody
    servicer.moods_of = {"0": Overloaded("full", 0.1), "1": InvalidRequest("report", "is odd")}
    servicer.moods_of["2"] = Overloaded("full", 99.0)
    async with connect(address, timeout=30.0) as client:
        answers = dict([pair async for pair in client.judge_stream(cases(4), in_flight=4)])
    assert isinstance(answers[0], Judgement)
    assert isinstance(answers[1], InvalidRequest)
    assert isinstance(answers[2], Overloaded)
    assert isinstance(answers[3], Judgement)
    # On a crowded machine the first may be sent again before the last one is sent at all.
    assert sorted(request.request_id for request in servicer.requests()) == ["0", "0", "1", "2", "3"]


async def test_a_server_that_falls_silent_ends_the_stream_with_an_error(moody: Any) -> None:
    servicer, address = moody
    servicer.moods.extend([None, "slow"])
    async with connect(address) as client:
        with pytest.raises(DeadlineExceeded, match=rf"2 cases wait, and {address} has answered none"):
            async for _ in client.judge_stream(cases(3), timeout=2.0):
                pass


async def test_a_source_that_is_slower_than_the_timeout_is_no_silence_of_the_server(moody: Any) -> None:
    _, address = moody

    async def source(silent: int) -> Any:
        for number, case in enumerate(cases(2)):
            await asyncio.sleep(2.3 if number == silent else 0.0)
            yield case

    async def answered(silent: int) -> int:
        return len([pair async for pair in client.judge_stream(source(silent), timeout=2.0)])

    async with connect(address) as client:
        assert await asyncio.gather(answered(0), answered(1)) == [2, 2]


async def test_a_server_that_restarts_is_found_again(unused_address: str) -> None:
    host, _, port = unused_address.rpartition(":")
    config = ServeConfig(engine="scripted", host=host, port=int(port), grace=0.1)
    [case] = cases(1)
    async with connect(unused_address, backoff=0.2, max_attempts=8) as client:
        async with running(config, ScriptedEngine()):
            await client.judge_case(case)
        judging = asyncio.create_task(client.judge_case(case))
        await asyncio.sleep(0.2)
        assert not judging.done()
        async with running(config, ScriptedEngine()):
            assert (await judging).reward.value == 1.0


async def test_the_token_is_sent_with_every_call(moody: Any) -> None:
    servicer, address = moody
    async with connect(address, token="secret") as client:
        await client.judge("", "A report.", ["x"])
        await client.judge_group_all("", ["A report."], ["x"])
        assert len([pair async for pair in client.judge_stream(cases(1))]) == 1
        assert "secret" not in repr(client.settings)
    assert [metadata["authorization"] for metadata in servicer.metadata] == ["Bearer secret"] * 3


async def test_a_server_that_is_no_judge_is_named(moody: Any) -> None:
    _, address = moody
    async with connect(address) as client:
        with pytest.raises(Unsupported, match=rf"{address} does not know this call .*is it a judge"):
            await client.wait_ready(5.0)


async def test_raw_requests_go_as_they_are(moody: Any) -> None:
    _, address = moody
    async with connect(address) as client:
        assert (await client.judge_raw(pb.JudgeRequest(request_id="raw"))).request_id == "raw"


def test_pauses_double_with_jitter_and_never_undercut_what_the_server_says() -> None:
    settings = Settings(address="localhost:1", max_attempts=20, backoff=1.0)
    for _ in range(50):
        attempts = Attempts(settings, 1000.0)
        pauses = [attempts.pause(Unavailable("x")) for _ in range(6)]
        for pause, base in zip(pauses, (1.0, 2.0, 4.0, 8.0, 10.0, 10.0), strict=True):
            assert base <= pause <= 1.5 * base
        assert attempts.pause(Unavailable("x", 30.0)) >= 30.0
        assert 5.0 <= attempts.pause(Overloaded("x", 5.0)) <= 6.0


def test_pauses_stay_bounded_however_long_a_judge_is_away() -> None:
    attempts = Attempts(Settings(address="localhost:1", patience=1e9), 1.0)
    assert all(attempts.pause(Unavailable("x")) <= 15.0 for _ in range(3000))


def test_an_overload_that_no_return_can_help_is_not_tried_again() -> None:
    with pytest.raises(Overloaded):
        Attempts(Settings(address="localhost:1", patience=60.0), 1000.0).pause(Overloaded("x"))


def test_no_attempt_begins_behind_the_deadline() -> None:
    attempts = Attempts(Settings(address="localhost:1"), 100.0)
    assert 50.0 < attempts.remaining <= 100.0
    with pytest.raises(Overloaded):
        attempts.pause(Overloaded("x", 100.0))
