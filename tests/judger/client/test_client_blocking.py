"""The blocking facade: the async client's behaviour without an event loop of one's own."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from judger.client import BlockingClient, connect_blocking
from judger.client.background import BACKGROUND
from judger.client.readers import READERS
from judger.errors import InvalidRequest, Unavailable
from judger.server.process import Running
from judger.types import Case, Criterion, Judgement
from judger.v1 import judger_pb2 as pb
from tests.waiting import until_here

T = TypeVar("T")


@pytest.fixture
async def client(scripted_server: Running) -> AsyncIterator[BlockingClient]:
    client = connect_blocking(scripted_server.address, timeout=20.0)
    yield client
    client.close()


async def apart(work: Callable[[], T]) -> T:
    """In a thread: the server needs this test's event loop."""
    return await asyncio.to_thread(work)


def cases(number: int) -> list[Case]:
    criteria = (Criterion(id="c", text="[[fully]]"),)
    return [Case(id=str(index), query="", report="A report.", criteria=criteria) for index in range(number)]


async def test_every_method_answers_as_the_async_one_does(client: BlockingClient) -> None:
    def program() -> None:
        client.wait_ready(10.0)
        assert client.get_judge().engine == "scripted"
        assert client.judge("q", "an apple", ["apple"], mapping="expected").reward.value == 1.0
        assert client.judge_case(cases(1)[0]).reward.value == 1.0
        raw = pb.JudgeRequest(request_id="raw", report="r", criteria=[pb.Criterion(text="x")])
        assert client.judge_raw(raw).request_id == "raw"
        assert sorted(index for index, _ in client.judge_group("q", ["a", "b", "c"], ["x"])) == [0, 1, 2]
        in_order = client.judge_group_all("q", ["an apple", "a pear"], ["apple"])
        assert [judgement.reward.value for judgement in in_order] == [1.0, 0.0]
        assert client.compare("q", "a pear", "an apple", ["apple"]).preference == "b"
        answers = dict(client.judge_stream(iter(cases(50)), in_flight=8))
        assert sorted(answers) == list(range(50))
        assert all(isinstance(answer, Judgement) for answer in answers.values())

    await apart(program)


async def test_errors_are_those_of_the_async_client(client: BlockingClient, unused_address: str) -> None:
    def program() -> None:
        with pytest.raises(InvalidRequest, match=r"^report: is empty"):
            client.judge_raw(pb.JudgeRequest(criteria=[pb.Criterion(text="x")]))
        [refused] = client.judge_group_all("", ["\ud800"], ["x"])
        assert isinstance(refused, InvalidRequest)
        assert refused.field == "reports[0]"
        with (
            connect_blocking(unused_address, max_attempts=1) as lonely,
            pytest.raises(Unavailable, match="judger serve"),
        ):
            lonely.get_judge()

    await apart(program)


async def test_threads_share_one_client(client: BlockingClient) -> None:
    def program() -> list[str]:
        with ThreadPoolExecutor(8) as pool:
            return [judgement.case_id for judgement in pool.map(client.judge_case, cases(100))]

    assert await apart(program) == [str(index) for index in range(100)]


async def test_the_source_of_a_stream_may_block_and_may_ask_the_client_itself(client: BlockingClient) -> None:
    def source() -> Iterator[Case]:
        for case in cases(5):
            assert client.judge_case(case).reward.value == 1.0
            time.sleep(0.01)
            yield case

    assert len(await apart(lambda: list(client.judge_stream(source())))) == 5


async def test_an_iterator_that_is_left_early_ends_its_call(client: BlockingClient) -> None:
    def program() -> None:
        answers = client.judge_stream(cases(1000), in_flight=4)
        next(answers)
        del answers
        group = client.judge_group("", ["a"] * 50, ["x"])
        next(group)
        group.close()
        until_here(lambda: not READERS.num_busy)
        assert client.judge_case(cases(1)[0]).reward.value == 1.0

    await apart(program)


async def test_it_can_be_pickled_and_closed(client: BlockingClient) -> None:
    def program() -> None:
        with pickle.loads(pickle.dumps(client)) as other:  # noqa: S301 - our own bytes
            assert other.judge_case(cases(1)[0]).reward.value == 1.0
        with pytest.raises(Unavailable, match="closed"):
            other.get_judge()
        assert client.get_judge().engine == "scripted"

    await apart(program)


async def test_a_call_from_inside_the_clients_own_thread_is_refused_and_does_not_hang(client: BlockingClient) -> None:
    async def inside() -> Any:
        return client.get_judge()

    with pytest.raises(RuntimeError, match="async client"):
        await apart(lambda: BACKGROUND.run(inside()))
