"""Both decision protocols: the pure translation, and the `openai` package's own client against our doors."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest
from openai.types import decision as sdk

from judger.errors import InvalidRequest, JudgerError, TooLarge, Unsupported
from judger.http.decisions import read_decision
from judger.http.systemone import read_state

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEVELS = [{"label": "none"}, {"label": "some", "description": "a part of it"}, {"label": "all"}]


def predicate(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "predicate", "instructions": text} | more


def noul(text: Any, **more: Any) -> dict[str, Any]:
    return {"type": "noul", "instructions": text} | more


async def test_openais_client_reads_our_answers_as_its_own_types(http: httpx.AsyncClient) -> None:
    questions: list[Any] = [
        predicate("[[p=0.1,0.2,0.7]]", name="yes"),
        {"type": "score", "instructions": "[[p=0.1,0.2,0.7]]", "levels": LEVELS},
        predicate("[[unscored=too_long]]", name="long"),
    ]
    async with openai.AsyncOpenAI(base_url=f"{http.base_url}/v1", api_key="none", max_retries=0) as client:
        decided = await client.decisions.create(model="any name", input="an apple", questions=questions)
    yes, rated, refused = decided.answers
    assert isinstance(yes, sdk.AnswerAnswerResourcePredicate)
    assert (yes.name, yes.probability) == ("yes", 0.7)
    assert isinstance(rated, sdk.AnswerAnswerResourceScore)
    assert rated.score == pytest.approx(1.6)
    assert [(share.value, share.label, share.probability) for share in rated.probabilities] == [
        (0, "none", 0.1),
        (1, "some", 0.2),
        (2, "all", 0.7),
    ]
    assert isinstance(refused, sdk.AnswerAnswerResourceRefusal)
    assert refused.name == "long"
    assert refused.model_extra == {"reason": "too_long", "detail": "scripted"}
    assert decided.model.startswith("scripted-")
    assert decided.usage.input_tokens > 0


async def test_openais_client_raises_its_own_errors(http: httpx.AsyncClient) -> None:
    async with openai.AsyncOpenAI(base_url=f"{http.base_url}/v1", api_key="none", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError, match=r"questions\[0\]\.instructions") as caught:
            await client.decisions.create(model="m", input="text", questions=[predicate(" ")])  # type: ignore[list-item]
        assert caught.value.code == "invalid_argument"
        choice = {"type": "choice", "instructions": "i", "choices": [{"value": "a"}, {"value": "b"}]}
        with pytest.raises(openai.APIStatusError, match="choice") as other:
            await client.decisions.create(model="m", input="text", questions=[choice])  # type: ignore[list-item]
        assert other.value.status_code == 501


async def test_system_one_answers_under_its_own_ids_and_leaves_out_what_is_unscored(http: httpx.AsyncClient) -> None:
    asked = {
        "model": "jev-latest",
        "state": {"report": "an apple"},
        "questions": {
            "is apple": noul("[[p=0.2,0.2,0.6]]"),
            "how much": {"type": "score", "instructions": "[[partially]]", "criteria": ["none", "some", "all"]},
            "lost": noul("[[unscored=unparsable]]"),
            "lost too": {"type": "score", "instructions": "[[unscored=deadline]]", "criteria": ["a", "b", "c"]},
        },
    }
    answers = (await http.post("/v1/systemone", json=asked)).json()["answers"]
    assert list(answers) == ["is apple", "how much", "lost", "lost too"]
    assert answers["is apple"] == {"type": "noul", "noul": 0.6}
    assert answers["how much"]["score"] == pytest.approx(1.0)
    assert answers["how much"]["legend"] == {"0": "none", "1": "some", "2": "all"}
    assert answers["lost"] == {"type": "noul", "unscored": {"reason": "unparsable", "detail": "scripted"}}
    assert "score" not in answers["lost too"]


async def test_a_state_over_the_limit_is_413(http: httpx.AsyncClient) -> None:
    state = "x" * (2 * 2**20 + 1)
    answer = await http.post("/v1/systemone", json={"state": state, "questions": {"q": noul("i")}})
    assert (answer.status_code, answer.json()["code"]) == (413, "resource_exhausted")
    answer = await http.post("/v1/decisions", json={"input": state, "questions": [predicate("i")]})
    assert answer.status_code == 413


async def test_criteria_and_levels_become_lines_of_the_criterion() -> None:
    sides = {"true": "It names R290", "false": {"not": ["a", "word"]}}
    score = {"type": "score", "instructions": "How well?", "criteria": ["bad", "fair", "good"]}
    case, _, _ = read_state(
        {
            "state": ["a", {"b": "ü"}],
            "instructions": "Judge it",
            "questions": {"a": noul("It?", criteria=sides), "b": score},
        }
    )
    assert case.report == '[\n  "a",\n  {\n    "b": "ü"\n  }\n]'
    assert case.query == "Judge it"
    assert case.criteria[0].text == 'It?\nTrue: It names R290\nFalse: {\n  "not": [\n    "a",\n    "word"\n  ]\n}'
    assert case.criteria[1].text == "How well?\nNot satisfied: bad\nPartially satisfied: fair\nFully satisfied: good"
    case, _, _ = read_decision(
        {"input": "text", "questions": [{"type": "score", "instructions": "How well?", "levels": LEVELS}]}
    )
    assert case.criteria[0].text.splitlines()[2] == "Partially satisfied: some: a part of it"


SAID = {"type": "output_text", "text": "said"}


async def test_messages_become_report_and_query() -> None:
    one = [
        {"role": "system", "content": "Be strict."},
        {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_json", "data": {"b": 1}}]},
    ]
    case, _, _ = read_decision({"input": one, "questions": [predicate("i")]})
    assert (case.query, case.report) == ("Be strict.", 'a\n\n{\n  "b": 1\n}')
    several = [
        {"role": "user", "content": "ask"},
        {"type": "function_call", "call_id": "1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "found"},
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "said"}, {"type": "refusal", "refusal": "no"}],
        },
    ]
    case, _, _ = read_decision({"input": several, "questions": [predicate("i")]})
    assert case.report.startswith('user: ask\n\ntool: {\n  "type": "function_call"')
    assert case.report.endswith("assistant: said\n\nno")


IMAGE = {"type": "input_image", "image_url": "data:,"}


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        ({"input": "x", "questions": []}, InvalidRequest, "questions: is empty"),
        ({"input": "x", "questions": [predicate("i")] * 513}, InvalidRequest, "questions: has 513 entries"),
        ({"input": "x"}, InvalidRequest, "questions: is missing"),
        ({"input": " ", "questions": [predicate("i")]}, InvalidRequest, "input: is blank"),
        ({"input": 3, "questions": [predicate("i")]}, InvalidRequest, "input: "),
        ({"input": "x", "questions": [predicate("i", weight=2)]}, InvalidRequest, "questions[0].weight: is no field"),
        ({"input": "x", "questions": [{"type": "prediction"}]}, InvalidRequest, "questions[0]: "),
        ({"input": "x", "questions": [predicate("\ud800")]}, InvalidRequest, "questions[0].instructions: char"),
        (
            {"input": "x", "questions": [predicate("i" * 40_000)]},
            InvalidRequest,
            "questions[0].instructions: has 40,000",
        ),
        (
            {"input": [{"role": "usr", "content": "a"}], "questions": [predicate("i")]},
            InvalidRequest,
            "input[0].role: ",
        ),
        ({"input": "x", "questions": [predicate([IMAGE])]}, Unsupported, "questions[0].instructions[0]: only texts"),
        (
            {"input": "x", "questions": [{"type": "score", "instructions": "i", "levels": LEVELS[:2]}]},
            Unsupported,
            "questions[0]: a judge of checklists has three levels, not 2",
        ),
        ({"input": "x" * (2**21 + 1), "questions": [predicate("i")]}, TooLarge, "input: has 2,097,153"),
    ],
)
async def test_what_cannot_be_decided_is_refused_with_its_place(
    values: dict[str, Any], kind: type[JudgerError], said: str
) -> None:
    with pytest.raises(kind) as caught:
        read_decision(values)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("questions", "kind", "said"),
    [
        ({}, InvalidRequest, "questions: "),
        ({"q": noul("i", criteria={"yes": "a"})}, InvalidRequest, "questions.q.criteria.yes: "),
        ({"q": noul("i", criteria=["a"])}, InvalidRequest, "questions.q.criteria: "),
        ({"q": noul("")}, InvalidRequest, "questions.q.instructions: is empty"),
        ({"q": {"type": "score", "criteria": {"a": 1}}}, InvalidRequest, "questions.q.criteria: "),
        ({"q": {"type": "choice", "criteria": {"a": None}}}, Unsupported, "questions.q: "),
        ({"q": noul("i", chat_template="x")}, InvalidRequest, "questions.q.chat_template: is no field"),
    ],
)
async def test_what_system_one_cannot_be_asked_is_refused_with_its_place(
    questions: dict[str, Any], kind: type[JudgerError], said: str
) -> None:
    with pytest.raises(kind) as caught:
        read_state({"state": "s", "questions": questions})
    assert str(caught.value).startswith(said)
