"""The trainers' doors: OpenRLHF's batches and slime's bare number."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from judger.client.completions import answer_of
from judger.errors import InvalidRequest, TooLarge
from judger.http.rewards import read_batch
from tests.judger.http.conftest import FRONTS, front

pytestmark = pytest.mark.asyncio(loop_scope="module")

RUBRIC = json.dumps([{"text": "apple", "weight": 3}, {"text": "[[fully]]", "weight": -1}])
LOST = {"rubrics": [{"criterion": "apple", "points": 1}, {"criterion": "[[unscored=deadline]]", "points": 1}]}


async def test_a_batch_has_a_reward_for_each_query_in_order(http: httpx.AsyncClient) -> None:
    prompt = "<|im_start|>user\nfruit?<|im_end|>\n<|im_start|>assistant\n"
    asked = {
        "query": [f"{prompt}an apple<|im_end|>", f"<s>{prompt}<think>apple</think>a pear</s>"],
        "prompts": [prompt, prompt],
        "labels": [RUBRIC, json.loads(RUBRIC)],
    }
    answer = (await http.post("/get_reward", json=asked)).json()
    assert answer["rewards"] == [pytest.approx(2 / 3), pytest.approx(-1 / 3)]
    assert answer["scores"] == [pytest.approx(2 / 3), 0.0]
    assert answer["extra_logs"] == {"unscored": [0.0, 0.0]}


async def test_a_bare_number_is_the_reward_without_thoughts(http: httpx.AsyncClient) -> None:
    asked = {"prompt": [{"role": "user", "content": "fruit?"}], "response": "<think>apple</think>pear", "label": RUBRIC}
    answer = await http.post("/reward", json=asked, headers={"judger-lane": "evaluation"})
    assert answer.json() == pytest.approx(-1 / 3)


async def test_without_a_reward_the_answer_is_422_with_the_reasons(http: httpx.AsyncClient) -> None:
    answer = await http.post("/reward", json={"response": "an apple", "label": LOST})
    assert answer.status_code == 422
    assert answer.json()["message"] == "there is no reward: c2 is unscored (deadline: scripted)"
    asked = {"query": ["Pa", "Pb"], "prompts": ["P", "P"], "labels": [RUBRIC, LOST]}
    answer = await http.post("/get_reward", json=asked)
    assert answer.status_code == 422
    assert answer.json()["message"].startswith("query[1]: there is no reward")


async def test_a_blank_response_has_no_reward_and_says_so(http: httpx.AsyncClient) -> None:
    for blank in ("", " \n", "<think>only"):
        answer = await http.post("/reward", json={"response": blank, "label": ["a"]})
        assert answer.status_code == 422
        assert answer.json()["message"].startswith(
            "there is no reward: c1 is unscored (not_judgeable: the report is blank"
        )
    answer = await http.post(
        "/get_reward", json={"query": ["Pa", "P"], "prompts": ["P", "P"], "labels": [["a"], ["a"]]}
    )
    assert answer.status_code == 422
    assert answer.json()["message"].startswith("query[1]: there is no reward")


@pytest.mark.parametrize("kind", FRONTS)
async def test_a_number_for_what_is_unscored_is_only_what_was_chosen(kind: str) -> None:
    async with front(kind, unscored=-0.25) as client:
        assert (await client.post("/reward", json={"response": "an apple", "label": LOST})).json() == -0.25
        asked = {"query": ["Pa"], "prompts": ["P"], "labels": [LOST]}
        answer = (await client.post("/get_reward", json=asked)).json()
        assert (await client.post("/reward", json={"response": "", "label": ["apple"]})).json() == -0.25
        asked = {"query": ["Papple", "P"], "prompts": ["P", "P"], "labels": [["apple"], ["apple"]]}
        beside = (await client.post("/get_reward", json=asked)).json()
    assert answer == {"rewards": [-0.25], "scores": [0.0], "extra_logs": {"unscored": [1.0]}}
    assert beside == {"rewards": [1.0, -0.25], "scores": [1.0, 0.0], "extra_logs": {"unscored": [0.0, 1.0]}}


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        ("/reward", {"response": "r"}, "label: is missing"),
        ("/reward", {"response": "r", "label": None}, "label: must be a list of criteria"),
        ("/reward", {"response": "r", "label": "yes"}, "label: is not JSON"),
        ("/reward", {"response": "r", "label": [{"text": "t", "weight": 0}]}, "label[0].weight: "),
        ("/reward", {"response": "", "label": []}, "label: is empty"),
        ("/reward", {"response": "r", "label": ["a"], "metadata": {}}, "metadata: is no field"),
        ("/get_reward", {"query": [], "prompts": [], "labels": []}, "query: is empty"),
        ("/get_reward", {"query": ["Pa"], "prompts": [], "labels": [["a"]]}, "prompts: must have as many"),
        ("/get_reward", {"query": ["other a"], "prompts": ["P"], "labels": [["a"]]}, "query[0]: does not begin"),
        ("/get_reward", {"query": ["Pa"], "prompts": ["P"], "labels": ["[]"]}, "labels[0]: is empty"),
    ],
)
async def test_what_is_no_reward_request_is_400_with_the_field(
    http: httpx.AsyncClient, path: str, asked: dict[str, Any], said: str
) -> None:
    answer = await http.post(path, json=asked)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(said)


async def test_an_unknown_lane_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/reward", json={"response": "r", "label": ["a"]}, headers={"judger-lane": "fast"})
    assert (answer.status_code, answer.json()["message"].partition(":")[0]) == (400, "judger-lane")


async def test_a_response_is_what_follows_the_prompt_without_marks_at_its_ends() -> None:
    assert answer_of("<s> P answer</s><|endoftext|>\n", "P", "q") == " answer"
    assert answer_of("P a <s> b", "P", "q") == " a <s> b"
    with pytest.raises(InvalidRequest, match="does not begin with its prompt"):
        answer_of("before P answer", "P", "q")


async def test_a_batch_of_more_than_a_group_may_have_is_too_large() -> None:
    with pytest.raises(TooLarge):
        read_batch({"query": ["Pa"] * 1025, "prompts": ["P"] * 1025, "labels": [["a"]] * 1025})
