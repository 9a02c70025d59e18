"""Several items at once: each has its own answer, in order, and none takes the others with it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import judger.client
from judger import wire
from judger.client import Client, connect, connect_blocking, rewards
from judger.errors import InvalidRequest, JudgerError, Unavailable
from judger.server.process import Running
from judger.types import Case, Criterion, Judgement, Mapping, Reason, Role, Unscored
from judger.v1 import judger_pb2 as pb

ROOT = Path(__file__).parents[3]
RUBRIC = ["apple", {"text": "[[partially]]", "weight": -0.5}]
BAD = ("x" * 3_000_000, "half an emoji \ud83d", None, 7)


@pytest.fixture
async def client(scripted_server: Running) -> AsyncIterator[Client]:
    async with connect(scripted_server.address, timeout=20.0) as client:
        yield client


def shown(answers: list[Judgement | JudgerError]) -> list[float | str | None]:
    return [one.reward.value if isinstance(one, Judgement) else getattr(one, "field", "?") for one in answers]


async def test_a_bad_report_of_a_group_is_its_own_error_and_the_others_are_judged(client: Client) -> None:
    reports: list[Any] = ["an apple", *BAD, "a pear"]
    answers = await client.judge_group_all("", reports, RUBRIC)
    assert shown(answers) == [0.5, "reports[1]", "reports[2]", "reports[3]", "reports[4]", -0.5]
    found = {index: answer async for index, answer in client.judge_group("", reports, RUBRIC)}
    assert [type(found[index]) for index in range(6)] == [type(answer) for answer in answers]


async def test_a_blank_report_is_unscored_or_has_the_reward_that_is_named_and_is_never_sent(
    client: Client, scripted_server: Running
) -> None:
    for blank, expected in ((None, None), (0.0, 0.0), (-1, -1.0)):
        answers = await client.judge_group_all("", ["an apple", "", " \n", "an apple"], RUBRIC, blank=blank)
        assert shown(answers) == [0.5, expected, expected, 0.5]
        [_, empty, *_] = answers
        assert isinstance(empty, Judgement)
        assert empty.unscored == dict.fromkeys(("c1", "c2"), Unscored(Reason.NOT_JUDGEABLE, "the report is blank"))
        assert (empty.reward.raw, empty.reward.normalized, empty.reward.clamped) == (None, None, None)
        assert (empty.reward.positive_weight, empty.reward.negative_weight) == (1.0, -0.5)
        assert (await client.judge("", "", RUBRIC, blank=blank)).reward.value == expected
        assert (await client.judge_case(("", "\t", RUBRIC), blank=blank)).reward.value == expected
        assert shown(await client.judge_many([("", "", RUBRIC)], blank=blank)) == [expected]
        stream = client.judge_stream([("", "", RUBRIC), ("", "an apple", RUBRIC)], blank=blank)
        assert shown([answer for _, answer in sorted([pair async for pair in stream])]) == [expected, 0.5]


async def test_a_group_of_blank_reports_needs_no_server_but_a_sound_rubric(unused_address: str) -> None:
    async with connect(unused_address) as client:
        assert shown(await client.judge_group_all("", ["", " "], ["x"], blank=0.0)) == [0.0, 0.0]
        with pytest.raises(InvalidRequest, match=r"^criteria\[0\]\.text: is empty"):
            await client.judge_group_all("", [""], [""])
        with pytest.raises(InvalidRequest, match=r"^criteria: is empty"):
            await client.judge("", "", [])


@pytest.mark.parametrize("blank", ["0", True, float("nan"), float("inf")])
async def test_a_blank_that_is_no_finite_number_is_refused(unused_address: str, blank: Any) -> None:
    async with connect(unused_address) as client:
        for call in (
            client.judge("", "r", ["x"], blank=blank),
            client.judge_group_all("", ["r"], ["x"], blank=blank),
            client.judge_many([("", "r", ["x"])], blank=blank),
        ):
            with pytest.raises(InvalidRequest) as caught:
                await call
            assert caught.value.field == "blank"


async def test_many_items_of_any_rubrics_come_back_in_order_each_with_its_answer(client: Client) -> None:
    criterion = Criterion(id="c", text="apple")
    items: list[Any] = [
        ("q", "an apple", ["apple"]),
        {"id": "two", "query": "q", "report": "a pear", "criteria": [{"text": "pear"}], "source": "unread"},
        Case(id="three", query="", report="an apple", criteria=(criterion,)),
        ("q", "an apple", []),
        ("q", "half \udc00", ["apple"]),
        {"report": "an apple", "criteria": json.dumps([{"text": "pear"}])},
        {"report": "an apple", "critera": ["apple"]},
        ("q", "an apple"),
        None,
        "an apple",
        {"report": "an apple"},
        ("q", "an apple", ["[[unscored=too_long]]"]),
    ]
    answers = await client.judge_many(items)
    assert shown(answers) == [
        *(1.0, 1.0, 1.0, "criteria", "report", 0.0, "critera", "case", "case", "case", "criteria", None)
    ]
    assert [answers[i].case_id for i in (1, 2) if isinstance(answers[i], Judgement)] == ["two", "three"]
    assert rewards(answers) == [1.0, 1.0, 1.0, None, None, 0.0, *[None] * 6]
    assert await client.judge_many([]) == []
    assert len(await client.judge_many([("", "an apple", ["x"])] * 300, in_flight=8)) == 300


async def test_many_items_may_come_from_an_async_source(client: Client) -> None:
    async def source() -> AsyncIterator[Any]:
        for report in ("an apple", "a pear"):
            yield "", report, ["apple"]

    assert shown(await client.judge_many(source())) == [1.0, 0.0]


async def test_a_judge_that_is_away_is_no_answer_of_an_item(unused_address: str) -> None:
    async with connect(unused_address, max_attempts=1) as client:
        with pytest.raises(Unavailable):
            await client.judge_many([("", "r", ["x"])])


def test_rewards_say_once_what_was_refused(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "judger"):
        assert rewards([InvalidRequest("report", "is odd"), InvalidRequest("query", "is odd")]) == [None, None]
        assert rewards([]) == []
    assert [record.getMessage() for record in caplog.records] == [
        "2 of 2 items were refused and have no reward: report: is odd"
    ]


@pytest.mark.parametrize("mapping", list(Mapping))
async def test_the_components_of_the_roles_sum_to_the_normalized_reward(client: Client, mapping: Mapping) -> None:
    rubric = [
        {"text": "[[fully]]", "weight": 3},
        {"text": "[[partially]]", "weight": 2, "role": "implicit"},
        {"text": "[[partially]]", "weight": -1, "fatal": True},
        {"text": "[[not]]", "weight": -2},
    ]
    judgement = await client.judge("", "A report.", rubric, mapping=mapping)
    components = judgement.components()
    assert set(components) == set(Role)
    assert sum(components.values()) == pytest.approx(judgement.reward.normalized)
    if mapping is Mapping.STRICT:
        assert components == {Role.EXPLICIT: 3 / 5, Role.IMPLICIT: 0.0, Role.NEGATIVE: -1 / 5}
    unscored = await client.judge("", "A report.", [*rubric, "[[unscored=deadline]]"], mapping=mapping)
    assert unscored.components() == {}
    assert unscored.unscored == {"c5": Unscored(Reason.DEADLINE, "scripted")}


async def test_a_judgement_as_a_dict_is_what_the_command_line_prints(client: Client) -> None:
    rubric = ["[[fully]]", "[[unscored=too_long]]", {"text": "[[not]]", "weight": -1}]
    for allow_unscored in (False, True):
        judgement = await client.judge("", "A report.", rubric, request_id="r", allow_unscored=allow_unscored)
        found = judgement.to_dict()
        json.dumps(found, allow_nan=False)
        printed = json.loads(wire.to_json(wire.write_response(judgement)))
        del printed["index"]
        assert without_none(found) == printed
        assert found["reward"]["value"] == (1.0 if allow_unscored else None)
        assert [one["unscored"] is None for one in found["verdicts"]] == [True, False, True]


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(member) for key, member in value.items() if member is not None}
    return [without_none(member) for member in value] if isinstance(value, list) else value


async def test_a_judgement_of_the_wire_alone_does_not_know_its_components(client: Client) -> None:
    raw = await client.judge_raw(pb.JudgeRequest(report="r", criteria=[pb.Criterion(text="[[fully]]")]))
    with pytest.raises(ValueError, match="rubric"):
        wire.read_response(raw).components()


@pytest.mark.parametrize("page", ["README.md", "docs/client.md"])
async def test_the_reward_function_of_the_pages_works_as_trl_calls_it(page: str, scripted_server: Running) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    [code] = [block for block in blocks if "async def checklist_reward" in block]
    names: dict[str, Any] = {"judger": judger}
    exec(code.replace("localhost:50051", scripted_server.address), names)
    found = await names["checklist_reward"](
        prompts=["q"] * 4,
        completions=["an apple", "", "a pear", "an apple"],
        completion_ids=[[1], [], [2], [3]],
        rubric=[RUBRIC, RUBRIC, json.dumps(RUBRIC), ["[[unscored=too_long]]"]],
    )
    assert found == [0.5, None, -0.5, None]
    await names["judge"].close()


async def test_the_blocking_client_answers_item_by_item_too(scripted_server: Running) -> None:
    def program() -> None:
        with connect_blocking(scripted_server.address, timeout=20.0) as client:
            assert shown(client.judge_group_all("", ["an apple", "", "\ud800"], ["apple"], blank=0)) == [
                *(1.0, 0.0, "reports[2]")
            ]
            reports = ("an apple", "", "a pear")
            assert rewards(client.judge_many(zip(("q",) * 3, reports, (["apple"],) * 3, strict=True))) == [1, None, 0]
            assert shown([one for _, one in sorted(client.judge_stream([("", "", ["x"])], lane="bulk"))]) == [None]

    await asyncio.to_thread(program)
