"""Every door of a running judge, in process and through a gateway."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.judger.http.conftest import FRONTS, front

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASE = {"report": "an apple", "criteria": [{"text": "apple", "weight": 2}, {"text": "[[not]]", "weight": -1}]}
UNSCORED = {"report": "an apple", "criteria": [{"text": "apple"}, {"text": "[[unscored=too_long]]"}]}


@pytest.mark.parametrize("path", ["/v1/judge", "/judger.v1.Judger/Judge"])
async def test_a_report_is_judged_in_snake_case_with_defaults_printed(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.post(path, json=CASE | {"requestId": "r1", "mapping": "ternary", "lane": "BULK"})
    assert answer.status_code == 200
    judged = answer.json()
    assert judged["request_id"] == "r1"
    assert judged["reward"]["value"] == 1.0
    assert judged["reward"]["mapping"] == "TERNARY"
    assert judged["reward"]["fatal"] is False
    assert [verdict["score"]["label"] for verdict in judged["verdicts"]] == ["FULLY_SATISFIED", "NOT_SATISFIED"]


async def test_an_unscored_criterion_leaves_the_value_out(http: httpx.AsyncClient) -> None:
    reward = (await http.post("/v1/judge", json=UNSCORED)).json()["reward"]
    assert "value" not in reward
    assert reward["positive_weight"] == 2.0


async def test_a_group_comes_in_the_order_of_its_reports(http: httpx.AsyncClient) -> None:
    asked = {"reports": ["an apple", "a pear", "an apple and a pear"], "criteria": [{"text": "pear"}]}
    answer = await http.post("/v1/judge-group", json=asked)
    responses = answer.json()["responses"]
    assert [response["index"] for response in responses] == [0, 1, 2]
    assert [response["reward"]["value"] for response in responses] == [0.0, 1.0, 1.0]


async def test_a_group_without_spread_says_so(http: httpx.AsyncClient) -> None:
    asked = {"reports": ["an apple", "an apple a day"], "criteria": [{"text": "apple"}]}
    [told] = (await http.post("/v1/judge-group", json=asked)).json()["warnings"]
    assert told.startswith("no spread: all 2 reports of the group have the reward 1")
    lines = await http.post("/v1/judge-group", json=asked, headers={"accept": "application/x-ndjson"})
    *responses, last = map(json.loads, lines.text.splitlines())
    assert sorted(response["index"] for response in responses) == [0, 1]
    assert last == {"warnings": [told]}
    asked["reports"] = ["an apple", "a pear"]
    assert "warnings" not in (await http.post("/v1/judge-group", json=asked)).json()


async def test_a_group_comes_in_lines_where_these_are_taken(http: httpx.AsyncClient) -> None:
    asked = {"reports": ["an apple", "a pear"], "criteria": [{"text": "pear"}]}
    answer = await http.post("/v1/judge-group", json=asked, headers={"accept": "application/x-ndjson"})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert {line["index"]: line["reward"]["value"] for line in lines} == {0: 0.0, 1: 1.0}


async def test_a_group_in_lines_that_is_refused_has_its_status_code(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/judge-group", json={"reports": []}, headers={"accept": "application/x-ndjson"})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("reports: ")


@pytest.mark.parametrize("path", ["/v1/compare", "/judger.v1.Judger/Compare"])
async def test_two_reports_are_compared(http: httpx.AsyncClient, path: str) -> None:
    asked = {"report_a": "a pear", "report_b": "an apple", "criteria": [{"text": "apple"}]}
    assert (await http.post(path, json=asked)).json()["preference"] == "B"


async def test_without_criteria_a_comparison_is_unimplemented_by_an_engine_without_one(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/compare", json={"report_a": "a", "report_b": "b"})
    assert (answer.status_code, answer.json()["code"]) == (501, "unimplemented")


async def test_the_judge_says_who_it_is(http: httpx.AsyncClient) -> None:
    info = (await http.post("/judger.v1.Judger/GetJudge", json={})).json()
    assert info["judge_id"].startswith("scripted-")
    assert info["limits"]["criteria"] == 512


async def test_a_pin_to_another_judge_is_a_bad_request(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/judge", json=CASE | {"judge_id": "mini-1"})
    assert (answer.status_code, answer.json()["code"]) == (400, "failed_precondition")
    wanted = {"state": "s", "questions": {"q": {"type": "noul", "instructions": "i"}}, "model": f"mini-{'0' * 24}"}
    answer = await http.post("/v1/systemone", json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (400, "failed_precondition")


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (CASE | {"reprot": "x"}, "reprot"),
        (CASE | {"criteria": [{"text": "t", "wieght": 1}]}, "criteria[0].wieght"),
        (CASE | {"criteria": [{"text": "t", "weight": "heavy"}]}, "criteria[0].weight"),
        (CASE | {"criteria": [{"text": "t", "weight": True}]}, "criteria[0].weight"),
        (CASE | {"criteria": [{"text": "t", "weight": "NaN"}]}, "criteria[0].weight"),
        (CASE | {"criteria": ["t"]}, "criteria[0]"),
        (CASE | {"criteria": []}, "criteria"),
        (CASE | {"mapping": "stern"}, "mapping"),
        (CASE | {"trials": 1.5}, "trials"),
        (CASE | {"report": 3}, "report"),
        (CASE | {"report": " "}, "report"),
        (CASE | {"report": "\ud800"}, "report"),
        (CASE | {"request_id": "a", "requestId": "b"}, "requestId"),
        ([], "body"),
        ("text", "body"),
    ],
)
async def test_a_bad_request_is_400_with_the_field(http: httpx.AsyncClient, asked: Any, field: str) -> None:
    answer = await http.post("/v1/judge", content=json.dumps(asked), headers={"content-type": "application/json"})
    assert answer.status_code == 400
    refused = answer.json()
    assert refused["code"] == "invalid_argument"
    assert refused["details"][0]["debug"]["field_violations"][0]["field"] == field


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"report": "a", "report": "b"}',
        b'{"criteria": [{"text": "t", "weight": NaN}]}',
        b'{"criteria": [{"text": "t", "weight": 1e999}]}',
        b"[" * 5000,
        b'{"a":' * 5000,
        b'{"trials": ' + b"9" * 5000 + b"}",
    ],
)
async def test_a_body_that_is_no_json_is_400(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/v1/judge", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")
    assert (await http.post("/v1/judge", json=CASE)).status_code == 200


async def test_other_media_types_methods_and_paths_are_refused_in_the_same_shape(http: httpx.AsyncClient) -> None:
    answers = [
        (await http.post("/v1/judge", content=b"{}", headers={"content-type": "text/plain"}), 415, "invalid_argument"),
        (await http.post("/v1/judge", content=b"{}"), 415, "invalid_argument"),
        (await http.post("/v1/judge", json=CASE, headers={"content-encoding": "gzip"}), 501, "unimplemented"),
        (await http.get("/v1/judge"), 405, "unimplemented"),
        (await http.post("/v1/nothing", json={}), 404, "not_found"),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer, _, _ in answers] == [
        (status, code) for _, status, code in answers
    ]


async def test_it_is_alive_ready_and_described(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/readyz")).json() == {"ready": True}
    assert "openapi.json" in (await http.get("/")).text
    described = (await http.get("/openapi.json")).json()
    assert {"/v1/judge", "/v1/decisions", "/get_reward", "/healthz"} <= described["paths"].keys()
    schemas = described["components"]["schemas"]
    named = [part.partition('"')[0] for part in json.dumps(described).split("#/components/schemas/")[1:]]
    assert set(named) <= schemas.keys()
    assert schemas["JudgeRequest"]["properties"]["criteria"]["items"]["$ref"].endswith("/Criterion")


@pytest.mark.parametrize("kind", FRONTS)
async def test_an_overloaded_judge_is_429_with_when_to_come_back(kind: str) -> None:
    async with front(kind, max_queued_tokens=1) as client:
        asked = [CASE | {"report": f"report {i}", "criteria": [{"text": "[[slow=0.3]]"}]} for i in range(6)]
        answers = await asyncio.gather(*(client.post("/v1/judge", json=one) for one in asked))
    assert {answer.status_code for answer in answers} == {200, 429}
    answer = next(answer for answer in answers if answer.status_code == 429)
    assert answer.json()["code"] == "resource_exhausted"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["details"][0]["type"] == "google.rpc.RetryInfo"


async def test_nothing_is_judged_twice_whichever_way_it_is_asked() -> None:
    async with front("in process") as client:
        await client.post("/v1/judge", json=CASE)
        again = (await client.post("/judger.v1.Judger/Judge", json=CASE)).json()
    assert again["usage"]["cached_criteria"] == 2
