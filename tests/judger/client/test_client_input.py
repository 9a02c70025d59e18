"""What a caller may give, in whatever shape a library holds it, and the typed error for everything else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from judger.client import Client, connect, connect_blocking, make_criteria
from judger.client.cases import make_options
from judger.errors import InvalidRequest, Unsupported
from judger.server.process import Running
from judger.types import Case, Criterion, Label, Mapping, Options, Role

CASE = Case(id="a", query="", report="A report.", criteria=(Criterion(id="c", text="[[partially]]"),))


@pytest.fixture
async def client(scripted_server: Running) -> AsyncIterator[Client]:
    async with connect(scripted_server.address, timeout=20.0) as client:
        yield client


async def field_of(call: Awaitable[object]) -> str:
    with pytest.raises(InvalidRequest) as caught:
        await call
    return caught.value.field


async def test_options_are_keywords_of_every_call_and_go_before_an_options_object(client: Client) -> None:
    for options in ({"options": Options(mapping=Mapping.TERNARY)}, {"mapping": "ternary"}):
        assert (await client.judge_case(CASE, **options)).reward.value == 0.5
        [(_, answer)] = [pair async for pair in client.judge_stream([CASE], **options)]
        assert answer.reward.value == 0.5  # type: ignore[union-attr]
    both = await client.judge_case(CASE, Options(mapping=Mapping.TERNARY), mapping="strict", lane="bulk")
    assert both.reward.value == 0.0
    assert (await client.judge_case(CASE, Options(mapping="TERNARY"))).reward.value == 0.5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"options": Options(lane="bulky")}, "lane"),  # type: ignore[arg-type]
        ({"options": Options(trials="5")}, "trials"),  # type: ignore[arg-type]
        ({"options": Options(mapping=None)}, "mapping"),  # type: ignore[arg-type]
        ({"options": {"lane": "bulk"}}, "options"),
        ({"lane": "bulky"}, "lane"),
        ({"trials": np.int64(99)}, "trials"),
        ({"temperature": 1.0}, "temperature"),
        ({"timeout": "5"}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"timeout": np.float32("nan")}, "timeout"),
    ],
)
async def test_a_wrong_option_is_a_typed_error_of_every_call(
    unused_address: str, options: dict[str, Any], field: str
) -> None:
    async with connect(unused_address) as client:
        assert await field_of(client.judge_case(CASE, **options)) == field
        assert await field_of(anext(client.judge_stream([CASE], **options))) == field
        if "options" not in options:
            assert await field_of(client.judge("", "r", ["x"], **options)) == field
            assert await field_of(client.judge_many([CASE], **options)) == field
            assert await field_of(client.judge_group_all("", ["r"], ["x"], **options)) == field
            assert await field_of(client.compare("", "a", "b", ["x"], **options)) == field
            with pytest.raises(InvalidRequest):
                connect_blocking(unused_address).judge_case(CASE, **options)


@pytest.mark.parametrize("rubric", [None, 5, b"x", "one text", "{}", "5", '"x"', "[1]", {}, {"text": "x"}, object()])
async def test_what_is_no_rubric_is_a_typed_error_of_every_call(unused_address: str, rubric: Any) -> None:
    async with connect(unused_address) as client:
        for call in (
            client.judge("", "r", rubric),
            client.judge_group_all("", ["r"], rubric),
            client.compare("", "a", "b", rubric),
            client.judge_case(Case(id="a", query="", report="r", criteria=rubric)),
        ):
            assert (await field_of(call)).startswith("criteria")


@pytest.mark.parametrize("cases", [None, 5, "text", CASE, {"report": "r"}])
async def test_what_is_no_list_of_cases_is_a_typed_error(unused_address: str, cases: Any) -> None:
    async with connect(unused_address) as client:
        assert await field_of(client.judge_many(cases)) == "cases"
        assert await field_of(anext(client.judge_stream(cases))) == "cases"
        with pytest.raises(InvalidRequest):
            connect_blocking(unused_address).judge_stream(cases)
        assert await field_of(client.judge_many([CASE], in_flight="2")) == "in_flight"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "rubric",
    [
        ["[[fully]]", {"text": "[[not]]", "weight": -2.0}],
        (Criterion(id="c1", text="[[fully]]"), {"text": "[[not]]", "role": "NEGATIVE", "weight": -2}),
        [{"criterion": "[[fully]]", "points": 1}, {"criterion": "[[not]]", "points": -2, "tags": []}],
        json.dumps([{"text": "[[fully]]"}, {"text": "[[not]]", "weight": -2}]),
        {"id": "r", "criteria": [{"text": "[[fully]]"}, {"text": "[[not]]", "weight": -2}]},
        json.dumps({"rubrics": [{"criterion": "[[fully]]"}, {"criterion": "[[not]]", "weight": -2}]}),
        np.array([{"text": "[[fully]]", "weight": None}, {"text": "[[not]]", "weight": np.float32(-2)}], dtype=object),
        [
            {"text": np.str_("[[fully]]"), "weight": np.int64(1), "fatal": np.bool_(False)},
            {"text": "[[not]]", "weight": torch.tensor(-2), "fatal": np.False_},
        ],
        [
            {"text": "[[fully]]", "weight": Fraction(1, 1)},
            Criterion(id="c2", text="[[not]]", weight=-2, role="negative"),
        ],  # type: ignore[arg-type]
        ({"text": text, "weight": weight} for text, weight in (("[[fully]]", 1), ("[[not]]", np.float64(-2)))),
    ],
)
async def test_a_rubric_is_taken_in_whatever_shape_it_comes(client: Client, rubric: Any) -> None:
    made = make_criteria(rubric)
    assert [(one.id, one.text, one.weight, one.role) for one in made] == [
        ("c1", "[[fully]]", 1.0, Role.EXPLICIT),
        ("c2", "[[not]]", -2.0, Role.NEGATIVE),
    ]
    assert all(type(one.weight) is float for one in made)
    assert (await client.judge_case(Case(id="a", query="", report="r", criteria=made))).reward.value == 1.0


async def test_numpy_and_torch_scalars_are_numbers_wherever_a_number_is_taken(client: Client) -> None:
    judgement = await client.judge(
        "",
        "A report.",
        ["[[partially]]"],
        timeout=np.float32(20),
        trials=np.int32(1),
        explain_margin=torch.tensor(0.0),
        allow_unscored=np.bool_(True),
        mapping=np.str_("ternary"),
        blank=np.float64(0),
    )
    assert judgement.reward.value == 0.5
    made = make_options({"explain": "under_margin", "trials": np.int32(2), "explain_margin": torch.tensor(0.5)})
    assert (made.trials, made.explain_margin) == (2, 0.5)
    async with connect("localhost:1", timeout=np.int64(3), max_attempts=np.int8(2), backoff=np.float16(1)) as other:
        assert (other.settings.timeout, other.settings.max_attempts, other.settings.backoff) == (3, 2, 1.0)


@pytest.mark.parametrize(
    ("criterion", "field"),
    [
        ({"text": "x", "wieght": 3}, "criteria[0].wieght"),
        ({"text": "x", "Weight": 3}, "criteria[0].Weight"),
        ({"text": "x", "weights": 3}, "criteria[0].weights"),
        ({"text": "x", " weight": 3}, "criteria[0]. weight"),
        ({"text": "x", "fatl": True}, "criteria[0].fatl"),
        ({"text": "x", "roles": "negative"}, "criteria[0].roles"),
        ({"txet": "x", "texts": "x"}, "criteria[0].texts"),
        ({"text": "x", "weigh\ud800t": 3}, r"criteria[0].weigh\ud800t"),
    ],
)
async def test_a_key_that_looks_like_one_of_ours_is_refused(
    unused_address: str, criterion: dict[str, Any], field: str
) -> None:
    async with connect(unused_address) as client:
        assert await field_of(client.judge("", "r", [criterion])) == field
        assert await field_of(client.judge("", "r", json.dumps([criterion]))) == field


def test_keys_that_are_ones_own_are_carried_along() -> None:
    own = {"meta": {}, "source": "s", "rule": "R1", "weight_within_axis": 0.5, "labels": [1], "total": 2, 5: 6, "": 0}
    [made] = make_criteria([{"text": "x", "weights": 9, "weight": 2, **own}])
    assert made == Criterion(id="c1", text="x", weight=2.0)


def test_what_stands_beside_the_text_says_what_is_meant() -> None:
    made = make_criteria(
        [
            {"text": "Cost", "description": "names a price in euros"},
            {"text": "Names a price.", "explanation": " in euros "},
            {"description": "names a price"},
            {"text": "names a price", "explanation": ""},
            {"text": "names a price", "explanation": "it says 3 euros", "label": "fully_satisfied"},
            {"text": "names a price", "description": np.array(["not", "a", "text"])},
        ]
    )
    assert [one.text for one in made] == [
        "Cost: names a price in euros",
        "Names a price. in euros",
        "names a price",
        "names a price",
        "names a price",  # beside a label an explanation may be the labeller's reason
        "names a price",
    ]
    assert made[4].label is Label.FULLY_SATISFIED


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ({"query": "\ud83d"}, "query"),
        ({"report": "cut \ud83d"}, "report"),
        ({"criteria": ["\ud83d"]}, "criteria[0].text"),
        ({"criteria": [{"text": "x", "id": "\ud83d"}]}, "criteria[0].id"),
        ({"criteria": [{"text": "x", "axis": "\ud83d"}]}, "criteria[0].axis"),
        ({"criteria": [{"text": "x", "description": "\ud83d"}]}, "criteria[0].text"),
        ({"criteria": [{"text": "x", "role": "\ud83d"}]}, "criteria[0].role"),
        ({"request_id": "\ud83d"}, "request_id"),
        ({"language": "\ud83d"}, "language"),
        ({"mapping": "\ud83d"}, "mapping"),
    ],
)
async def test_half_a_character_is_refused_wherever_a_text_is_given_with_words_that_can_be_printed(
    unused_address: str, texts: dict[str, Any], field: str
) -> None:
    async with connect(unused_address) as client:
        with pytest.raises(InvalidRequest) as caught:
            await client.judge(**{"query": "", "report": "r", "criteria": ["x"], **texts})
    assert caught.value.field == field
    str(caught.value).encode()


def test_outside_asyncio_the_async_client_says_what_to_use_instead(unused_address: str) -> None:
    client = connect(unused_address)
    coroutines: list[Any] = [
        client.judge_case(CASE),
        client.judge_group_all("", ["r"], ["x"]),
        client.judge_many([CASE]),
        client.wait_ready(1.0),
    ]
    for coroutine in coroutines:  # driven by hand, as by any event loop that is not asyncio's
        with pytest.raises(Unsupported, match="trio"):
            coroutine.send(None)
