"""The async client against a real server with the scripted engine."""

from __future__ import annotations

import asyncio
import math
import pickle
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from judger.client import Client, connect
from judger.client.readers import READERS
from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.errors import DeadlineExceeded, InvalidRequest, JudgeMismatch, Unavailable, Unsupported
from judger.pairwise import Preference
from judger.server.process import Running, running
from judger.types import Case, Criterion, Judgement, Label, Mapping, Options, Reason, Role, Score, Unscored
from judger.v1 import judger_pb2 as pb
from tests.waiting import until


@pytest.fixture
async def client(scripted_server: Running) -> AsyncIterator[Client]:
    async with connect(scripted_server.address, timeout=20.0) as client:
        yield client


def case(number: int, text: str = "[[fully]]", report: str = "A report.") -> Case:
    return Case(id=f"case-{number}", query="", report=report, criteria=(Criterion(id="c", text=text),))


def labels(judgement: Judgement) -> list[Label]:
    return [verdict.result.label for verdict in judgement.verdicts if isinstance(verdict.result, Score)]


async def test_criteria_may_be_objects_dicts_or_texts(client: Client) -> None:
    judgement = await client.judge(
        "What does it cost?",
        "It costs 3 €.",
        [
            Criterion(id="price", text="[[fully]]", weight=3.0),
            {"id": "fake", "text": "[[partially]]", "weight": -1, "fatal": None, "source": "carried along"},
            {"text": "[[not]]", "role": "negative"},
            "[[not]]",
        ],
    )
    assert [verdict.criterion_id for verdict in judgement.verdicts] == ["price", "fake", "c3", "c4"]
    assert labels(judgement) == ["fully_satisfied", "partially_satisfied", "not_satisfied", "not_satisfied"]
    assert judgement.reward.value == pytest.approx((3 - 1) / 4)
    assert judgement.judge_id.startswith("scripted-")
    assert judgement.case_id


async def test_an_unscored_criterion_is_no_number(client: Client) -> None:
    judgement = await client.judge("", "A report.", ["[[fully]]", "[[unscored=too_long]]"])
    assert judgement.reward.value is None
    assert judgement.verdicts[1].result == Unscored(Reason.TOO_LONG, "scripted")
    allowed = await client.judge("", "A report.", ["[[fully]]", "[[unscored=too_long]]"], allow_unscored=True)
    assert allowed.reward.value == 1.0


async def test_options_go_by_name_or_value(client: Client) -> None:
    for mapping in ("ternary", "TERNARY", Mapping.TERNARY):
        judgement = await client.judge("", "A report.", ["[[partially]]"], mapping=mapping, lane="bulk")
        assert judgement.reward.value == 0.5
        assert judgement.reward.mapping is Mapping.TERNARY


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"report": "x" * 3_000_000}, "report"),
        ({"report": "\ud800"}, "report"),
        ({"report": None}, "report"),
        ({"query": b"bytes"}, "query"),
        ({"criteria": []}, "criteria"),
        ({"criteria": "one text"}, "criteria"),
        ({"criteria": ["x"] * 10_000}, "criteria"),
        ({"criteria": ["x", 3]}, "criteria[1]"),
        ({"criteria": ["x", {"weight": 1.0}]}, "criteria[1].text"),
        ({"criteria": ["x", {"text": "y", "weight": math.nan}]}, "criteria[1].weight"),
        ({"criteria": ["x", {"text": "y", "weight": "2"}]}, "criteria[1].weight"),
        ({"criteria": ["x", {"text": "y", "weight": True}]}, "criteria[1].weight"),
        ({"criteria": ["x", {"text": "y", "role": "good"}]}, "criteria[1].role"),
        ({"criteria": ["x", {"text": "y", "fatal": 1}]}, "criteria[1].fatal"),
        ({"criteria": ["x", {"text": "y", "id": "c1"}]}, "criteria[1].id"),
        ({"request_id": "x" * 2000}, "request_id"),
        ({"language": "\ud800"}, "language"),
        ({"timeout": 0.0}, "timeout"),
        ({"timeout": math.inf}, "timeout"),
        ({"mapping": "sum"}, "mapping"),
        ({"mapping": 2}, "mapping"),
        ({"trials": 33}, "trials"),
        ({"trials": 5}, "trials"),
        ({"trials": 1.5}, "trials"),
        ({"explain_margin": 2}, "explain_margin"),
        ({"temperature": 1.0}, "temperature"),
    ],
)
async def test_wrong_input_is_refused_with_its_field_before_anything_is_sent(
    unused_address: str, change: dict[str, Any], field: str
) -> None:
    arguments = {"query": "", "report": "A report.", "criteria": ["x"], **change}
    async with connect(unused_address) as client:  # nobody is there: sending would raise Unavailable
        with pytest.raises(InvalidRequest) as caught:
            await client.judge(**arguments)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"address": "http://localhost:1"}, "address"),
        ({"address": "localhost"}, "address"),
        ({"timeout": -1.0}, "timeout"),
        ({"backoff": math.nan}, "backoff"),
        ({"max_attempts": 0}, "max_attempts"),
    ],
)
def test_wrong_settings_are_refused_at_once(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        connect(**{"address": "localhost:1", **settings})
    assert caught.value.field == field


async def test_the_server_is_asked_for_the_pinned_judge(scripted_server: Running) -> None:
    async with connect(scripted_server.address, judge_id=scripted_server.judge.judge_id) as client:
        assert (await client.judge("", "A report.", ["[[fully]]"])).judge_id == scripted_server.judge.judge_id
    async with connect(scripted_server.address, judge_id="mini-0") as client:
        for call in (
            client.judge("", "A report.", ["x"]),
            client.judge_group_all("", ["A report."], ["x"]),
            client.compare("", "a", "b", ["x"]),
        ):
            with pytest.raises(JudgeMismatch) as caught:
                await call
            assert (caught.value.wanted, caught.value.actual) == ("mini-0", scripted_server.judge.judge_id)


async def test_a_group_comes_as_it_finishes_and_in_order_where_wanted(client: Client) -> None:
    reports = [f"{'word ' * number}apple" for number in range(8)]
    criteria = ["apple", {"text": "word", "weight": -2.0}]
    found = {index: judgement async for index, judgement in client.judge_group("q", reports, criteria, request_id="g")}
    assert sorted(found) == list(range(8))
    assert found[0].reward.value == 1.0
    assert all(found[index].reward.value == -1.0 for index in range(1, 8))
    in_order = await client.judge_group_all("q", reports, criteria)
    assert [judgement.reward for judgement in in_order] == [found[index].reward for index in range(8)]


async def test_groups_without_spread_are_told_of_the_first_time_and_the_tenth(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await client.judge_group_all("", ["an apple", "a pear"], ["apple"])
    assert not caplog.messages
    for _ in range(11):
        await client.judge_group_all("", ["an apple", "one apple"], ["apple"])
    first, tenth = caplog.messages
    assert "no spread: all 2 reports of the group have the reward 1" in first
    assert "EXPECTED" in first
    assert "10 of 11 groups" in tenth


@pytest.mark.parametrize(
    ("reports", "field"), [([], "reports"), (["a"] * 1025, "reports"), ("abc", "reports"), (None, "reports")]
)
async def test_a_wrong_group_is_refused(unused_address: str, reports: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await connect(unused_address).judge_group_all("", reports, ["x"])
    assert caught.value.field == field


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_stream_answers_every_case_under_its_position_and_names_the_bad_one(
    client: Client, is_async: bool
) -> None:
    cases = [case(number, report="\ud800" if number == 7 else "A report.") for number in range(150)]

    async def source() -> AsyncIterator[Case]:
        for one in cases:
            yield one

    answers = dict([pair async for pair in client.judge_stream(source() if is_async else cases, in_flight=16)])
    assert sorted(answers) == list(range(150))
    refused = answers.pop(7)
    assert isinstance(refused, InvalidRequest)
    assert refused.field == "report"
    for index, answer in answers.items():
        assert isinstance(answer, Judgement)
        assert (answer.case_id, answer.reward.value) == (f"case-{index}", 1.0)


async def test_a_case_that_the_server_refuses_is_an_error_in_the_stream_and_the_others_are_judged(
    client: Client,
) -> None:
    async def requests() -> AsyncIterator[pb.JudgeRequest]:
        for number in range(3):
            yield pb.JudgeRequest(request_id=str(number), report="r" if number != 1 else "", criteria=[{"text": "x"}])

    answers = dict([pair async for pair in client.judge_stream_raw(requests())])
    assert isinstance(answers[1], InvalidRequest)
    assert {answers[0].request_id, answers[2].request_id} == {"0", "2"}


async def test_an_empty_stream_ends_at_once(client: Client) -> None:
    assert [pair async for pair in client.judge_stream([])] == []


async def test_a_stream_takes_no_more_than_in_flight_ahead_of_its_consumer(client: Client) -> None:
    taken = 0

    def source() -> Iterator[Case]:
        nonlocal taken
        for number in range(40):
            taken += 1
            yield case(number)

    consumed = 0
    async for _ in client.judge_stream(source(), in_flight=4):
        consumed += 1
        for _ in range(20):  # every chance for the rest to run ahead
            await asyncio.sleep(0.001)
        assert taken <= consumed + 4
    assert consumed == taken == 40


async def test_what_the_source_raises_reaches_the_consumer(client: Client) -> None:
    def source() -> Iterator[Case]:
        yield case(0)
        raise LookupError("no more files")

    with pytest.raises(LookupError, match="no more files"):
        async for _ in client.judge_stream(source()):
            pass


async def test_leaving_a_stream_or_a_group_early_leaves_nothing_behind(client: Client) -> None:
    for answers in (
        client.judge_stream(case(number) for number in range(1000)),
        client.judge_group("", ["A report."] * 50, ["x"]),
    ):
        async for _ in answers:
            break
        await answers.aclose()
        await until(lambda: not READERS.num_busy)
    assert [task for task in asyncio.all_tasks() if "Pipeline" in repr(task.get_coro())] == []
    assert (await client.judge("", "A report.", ["[[fully]]"])).reward.value == 1.0


async def test_groups_that_follow_each_other_share_their_thread_and_those_at_once_do_not_wait(client: Client) -> None:
    def readers() -> int:
        return sum(thread.name == "judger-reader" for thread in threading.enumerate())

    before = readers()
    for _ in range(40):
        assert len(await client.judge_group_all("", ["a", "b"], ["x"])) == 2
        await until(lambda: not READERS.num_busy)  # one that is not back yet would not be waited for
    assert readers() - before <= 1
    slow = [client.judge_group_all("", ["a"], [f"[[slow=0.05]] {number}"]) for number in range(30)]
    assert len(await asyncio.gather(*slow)) == 30


async def test_two_reports_are_compared_by_their_rewards(client: Client) -> None:
    response = await client.compare("", "an apple", "a pear", ["apple"], mapping="expected")
    assert response.preference is Preference.A
    assert response.difference == 1.0
    assert response.a is not None
    assert response.a.components()[Role.EXPLICIT] == response.a.reward.value == 1.0
    with pytest.raises(Unsupported, match="criteria"):
        await client.compare("", "an apple", "a pear")


async def test_get_judge_states_the_limits(client: Client) -> None:
    info = await client.get_judge()
    assert (info.engine, info.limits.criteria, info.limits.report_bytes) == ("scripted", 512, 2**21)


async def test_many_calls_share_the_one_channel(client: Client) -> None:
    judgements = await asyncio.gather(*(client.judge_case(case(number)) for number in range(300)))
    assert [judgement.case_id for judgement in judgements] == [f"case-{number}" for number in range(300)]


async def test_one_client_serves_several_event_loops_one_after_the_other_and_at_once(client: Client) -> None:
    def own_loop(number: int) -> str:
        return asyncio.run(client.judge_case(case(number))).case_id

    assert (await client.judge_case(case(0))).case_id == "case-0"
    for number in (1, 2):
        assert await asyncio.to_thread(own_loop, number) == f"case-{number}"
    found = await asyncio.gather(*(asyncio.to_thread(own_loop, number) for number in range(4)))
    assert found == [f"case-{number}" for number in range(4)]


async def test_a_large_report_passes_both_ways(client: Client) -> None:
    judgement = await client.judge("", "é" * 2**20, ["[[fully]]"])
    assert judgement.reward.value == 1.0
    groups = await client.judge_group_all("", ["x" * 2**21] * 8, ["[[fully]]"])
    assert len(groups) == 8


async def test_the_deadline_is_kept_and_named(client: Client) -> None:
    with pytest.raises(DeadlineExceeded):
        await client.judge("", "A report.", ["[[slow=2]]"], timeout=0.2)


async def test_a_client_that_was_pickled_connects_anew(client: Client) -> None:
    await client.get_judge()
    async with pickle.loads(pickle.dumps(client)) as other:  # noqa: S301 - our own bytes
        assert other.settings == client.settings
        assert (await other.judge_case(case(1))).case_id == "case-1"


async def test_a_closed_client_says_so(client: Client) -> None:
    await client.close()
    with pytest.raises(Unavailable, match="closed"):
        await client.judge_case(case(1))
    await client.close()


async def test_nobody_at_the_address_is_unavailable_with_what_to_do(unused_address: str) -> None:
    async with connect(unused_address, backoff=0.01) as client:
        with pytest.raises(Unavailable, match=rf"^{unused_address} can't be reached .*judger serve"):
            await client.judge_case(case(1))
        with pytest.raises(Unavailable, match=rf"^{unused_address} is not ready after 1.5 s: .*judger serve"):
            await client.wait_ready(1.5)


async def test_wait_ready_waits_for_a_judge_that_starts(unused_address: str) -> None:
    host, _, port = unused_address.rpartition(":")
    async with connect(unused_address) as client:
        waiting = asyncio.create_task(client.wait_ready(20.0))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        config = ServeConfig(engine="scripted", host=host, port=int(port), grace=1.0)
        async with running(config, ScriptedEngine()):
            await waiting


def test_options_and_cases_may_be_given_as_objects() -> None:
    options = Options(mapping=Mapping.EXPECTED)
    flaw = Criterion(id="c", text="x", weight=-1.0, role=Role.NEGATIVE)
    request = connect("localhost:1", judge_id="j")._request(
        Case(id="7", query="", report="r", criteria=(flaw,)), options
    )
    assert (request.request_id, request.judge_id, request.mapping) == ("7", "j", pb.Mapping.EXPECTED)


@pytest.mark.parametrize(
    "options", [{"trials": 3}, {"trials": 1}, {"explain": "always"}, {"explain_margin": 0.1}, {"allow_unscored": True}]
)
async def test_an_option_that_a_comparison_has_not_is_refused(unused_address: str, options: dict[str, Any]) -> None:
    async with connect(unused_address) as client:
        with pytest.raises(InvalidRequest) as caught:
            await client.compare("", "an apple", "a pear", ["apple"], **options)
    assert caught.value.field == next(iter(options))
