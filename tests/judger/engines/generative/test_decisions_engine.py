"""The decisions engine against our own doors, and against a stand-in that answers with the `openai` package's types."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai.types import Decision, decision_create_params
from pydantic import TypeAdapter

from judger.client import connect
from judger.config import ServeConfig
from judger.engines.base import VERDICT_TIER, SelfBatching
from judger.engines.decisions import DecisionsEngine
from judger.engines.endpoint import MOST_BYTES
from judger.engines.scripted import ScriptedEngine
from judger.errors import DeadlineExceeded, EngineError
from judger.server.process import running
from judger.types import Case, Criterion, Probabilities, Reason, Role, Score, Unscored
from tests.judger.engines.generative.endpoint import Endpoint, Reply, failure, serving

Result = Probabilities | Unscored


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving() as made:
        yield made


@asynccontextmanager
async def made(url: str, **settings: Any) -> AsyncIterator[DecisionsEngine]:
    engine = DecisionsEngine("org/decider", base_url=url, **({"max_retries": 0} | settings))
    try:
        yield engine
    finally:
        await asyncio.to_thread(engine.close)


def case(*texts: str, flaws: int = 0, report: str = "Wind costs 40 euros.") -> Case:
    criteria = [Criterion(id=f"c{i}", text=text) for i, text in enumerate(texts)]
    criteria += [Criterion(id=f"f{i}", text=f"Flaw {i}.", weight=-1.0, role=Role.NEGATIVE) for i in range(flaws)]
    return Case(id="case", query="What does wind cost?", report=report, criteria=tuple(criteria))


async def results(engine: DecisionsEngine, asked: Case) -> list[Result]:
    return [outcome.result for outcome in await engine.judge(asked, VERDICT_TIER)]


def openai_reply(answers: list[dict[str, Any]]) -> Reply:
    """What the SDK takes for an answer."""
    usage = {
        "input_tokens": 101,
        "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 101,
    }
    decision = Decision.model_validate({"model": "decider", "answers": answers, "usage": usage})
    return 200, decision.model_dump(mode="json")


def score(name: str, *p: float) -> dict[str, Any]:
    shares = [{"value": i, "label": str(i), "probability": value} for i, value in enumerate(p)]
    expected = sum(i * value for i, value in enumerate(p))
    return {"type": "score", "name": name, "score": expected, "confidence": max(p), "probabilities": shares}


def system_one(request: dict[str, Any], answer: Callable[[str, dict[str, Any]], Any], **more: Any) -> Reply:
    answers = {name: answer(name, question) for name, question in request["questions"].items()}
    return 200, {"model": "m", "answers": answers, "usage": {"input_tokens": 10, "output_tokens": 0}, **more}


def level(*p: float) -> dict[str, Any]:
    shares = {str(i): value for i, value in enumerate(p)}
    return {"type": "score", "score": 1.0, "confidence": 1.0, "legend": {}, "probabilities": shares}


@pytest.mark.parametrize("api", [None, "openai", "systemone"])
async def test_our_own_doors_give_the_verdicts_that_the_judge_behind_them_gives(api: Any) -> None:
    texts = ["[[p=0.1,0.2,0.7]]", "[[unscored=too_long]]", "[[not]]"]
    asked = [*({"text": text} for text in texts), {"text": "[[partially]]", "weight": -2}]
    config = ServeConfig(engine="scripted", port=0, http_port=0, grace=1.0)
    async with running(config, ScriptedEngine()) as behind:
        engine = DecisionsEngine("m", base_url=f"http://{behind.http_address}/v1", api=api, max_retries=0)
        assert isinstance(engine, SelfBatching)
        async with (
            running(ServeConfig(engine="scripted", port=0, grace=1.0), engine) as server,
            connect(server.address) as client,
        ):
            judged = (await client.judge("q", "A report.", asked)).verdicts
    first, lost, third, flaw = (verdict.result for verdict in judged)
    assert isinstance(first, Score)
    assert (first.p_not, first.p_partial, first.p_full) == pytest.approx((0.1, 0.2, 0.7))
    assert isinstance(lost, Unscored)
    assert lost.reason is Reason.UNPARSABLE
    assert isinstance(third, Score)
    assert isinstance(flaw, Score)
    assert (third.p_not, flaw.p_partial, flaw.satisfied) == (pytest.approx(0.9), pytest.approx(0.9), True)


async def test_a_case_is_one_request_a_sign_in_the_sdks_own_types(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: openai_reply([score(one["name"], 0.2, 0.3, 0.5) for one in request["questions"]])
    async with made(endpoint.url) as engine:
        outcomes = await engine.judge(case("A.", "B.", flaws=2), VERDICT_TIER)
    assert [outcome.result for outcome in outcomes] == [Probabilities(0.2, 0.3, 0.5)] * 4
    assert sum(outcome.prompt_tokens for outcome in outcomes) == 202
    assert sum(outcome.shared_tokens for outcome in outcomes) == 80
    assert [request["path"] for request in endpoint.requests] == ["/v1/decisions"] * 2
    kind = TypeAdapter(decision_create_params.QuestionQuestionParamScore)
    for request, word in zip(endpoint.requests, ("requirement", "flaw"), strict=True):
        developer, user = request["input"]
        TypeAdapter(decision_create_params.InputUnionMember1DecisionInputDeveloperMessage).validate_python(developer)
        TypeAdapter(decision_create_params.InputUnionMember1DecisionInputUserMessage).validate_python(user)
        assert "Wind costs 40 euros." in user["content"]
        assert "What does wind cost?" in user["content"]
        for question in request["questions"]:
            kind.validate_python(question)
            assert len(question["levels"]) == 3
            assert word in question["instructions"]


async def test_the_protocol_is_found_out_with_the_first_request_and_kept(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: (
        failure(404, "Not Found") if "input" in request else system_one(request, lambda *_: level(0.1, 0.1, 0.8))
    )
    async with made(endpoint.url) as engine:
        first, second = await asyncio.gather(results(engine, case("A.")), results(engine, case("A.", report="B")))
    assert first == second == [Probabilities(0.1, 0.1, 0.8)]
    assert [request["path"] for request in endpoint.requests] == ["/v1/decisions", "/v1/systemone", "/v1/systemone"]


@pytest.mark.parametrize("status", [400, 422, 501])
async def test_an_endpoint_without_scores_is_asked_twice_with_yes_or_no(endpoint: Endpoint, status: int) -> None:
    def answer(request: dict[str, Any]) -> Reply:
        if any(question["type"] == "score" for question in request["questions"].values()):
            return failure(status, "score is not supported")
        # The second criterion's answers contradict each other.
        nouls = {"c0_full": 0.5, "c0_partial": 0.8, "c1_full": 0.6, "c1_partial": 0.4}
        return system_one(request, lambda name, _: {"type": "noul", "noul": nouls[name]})

    endpoint.answer = answer
    async with made(endpoint.url, api="systemone") as engine:
        found = await results(engine, case("A.", "B."))
        await results(engine, case("A.", "B.", report="another"))
    assert found[0] == Probabilities(pytest.approx(0.2), pytest.approx(0.3), 0.5)
    assert found[1] == Probabilities(0.5, 0.0, 0.5)
    assert len(endpoint.requests) == 3
    criteria = endpoint.requests[-1]["questions"]["c0_partial"]["criteria"]
    assert criteria.keys() == {"true", "false"}


async def test_a_request_has_no_more_questions_than_the_endpoint_takes(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: system_one(request, lambda *_: level(0.0, 0.0, 1.0))
    async with made(endpoint.url, api="systemone") as engine:
        found = await results(engine, case(*(f"Statement {i}." for i in range(150)), flaws=70))
    assert found == [Probabilities(0.0, 0.0, 1.0)] * 220
    assert max(len(request["questions"]) for request in endpoint.requests) == 64
    assert sum(len(request["questions"]) for request in endpoint.requests) == 220
    texts = [one["instructions"] for request in endpoint.requests for one in request["questions"].values()]
    assert sorted(text.splitlines()[1] for text in texts) == sorted(
        [f"Statement {i}." for i in range(150)] + [f"Flaw {i}." for i in range(70)]
    )


async def test_a_refusal_is_one_unscored_criterion(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: openai_reply(
        [score("c0", 0.2, 0.3, 0.5), {"type": "refusal", "name": "c1"}, score("c2", 1.0, 0.0, 0.0)]
    )
    async with made(endpoint.url) as engine:
        found = await results(engine, case("A.", "B.", "C."))
    assert [isinstance(result, Probabilities) for result in found] == [True, False, True]
    assert isinstance(found[1], Unscored)
    assert found[1].reason is Reason.UNPARSABLE
    assert "refuses" in found[1].detail


async def test_little_mass_on_the_labels_is_unparsable(endpoint: Endpoint) -> None:
    masses = {"c0": {"label_mass": 0.9, "argmax_is_label": True}, "c1": {"label_mass": 1e-5, "argmax_is_label": False}}
    endpoint.answer = lambda request: system_one(request, lambda *_: level(0.0, 0.0, 1.0), diagnostics=masses)
    async with made(endpoint.url, api="systemone", min_label_mass=0.01) as engine:
        found = await results(engine, case("A.", "B."))
    assert found[0] == Probabilities(0.0, 0.0, 1.0)
    assert isinstance(found[1], Unscored)
    assert (found[1].reason, "1e-05" in found[1].detail) == (Reason.UNPARSABLE, True)


ODD: list[Any] = [
    None,
    "text",
    {},
    {"type": "noul", "noul": 0.5},
    {"type": "score"},
    level(float("nan"), 0.5, 0.5),
    level(0.2, 0.2, 0.2),
    level(-0.5, 0.5, 1.0),
    level(0.5, 0.5),
    level(0.25, 0.25, 0.25, 0.25),
    {"type": "score", "probabilities": {"0": True, "1": 0, "2": 0}},
    {"type": "score", "probabilities": {"low": 0.1, "middle": 0.2, "high": 0.7}},
    {"type": "score", "probabilities": [{"value": 0, "probability": 1.0}] * 3},
    {"type": "score", "probabilities": [1, 2, 3]},
    {"type": "refusal"},
]


@pytest.mark.parametrize("odd", ODD)
async def test_an_answer_off_the_menu_is_unscored_and_takes_no_other_with_it(endpoint: Endpoint, odd: Any) -> None:
    endpoint.answer = lambda request: system_one(request, lambda name, _: odd if name == "c1" else level(0.1, 0.2, 0.7))
    async with made(endpoint.url, api="systemone") as engine:
        first, second = await results(engine, case("A.", "B."))
    assert first == Probabilities(0.1, 0.2, 0.7)
    assert isinstance(second, Unscored)
    assert second.reason is Reason.UNPARSABLE


async def test_probabilities_that_were_rounded_are_scaled(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: system_one(request, lambda *_: level(0.33, 0.33, 0.33))
    async with made(endpoint.url, api="systemone") as engine:
        (found,) = await results(engine, case("A."))
    assert found == Probabilities(pytest.approx(1 / 3), pytest.approx(1 / 3), pytest.approx(1 / 3))


@pytest.mark.parametrize(
    "reply",
    [
        (200, {"answers": [score("c1", 0.0, 0.0, 1.0), score("c0", 0.0, 0.0, 1.0)]}),
        (200, {"answers": [score("c0", 0.0, 0.0, 1.0)]}),
        (200, {"answers": {"c0": level(0.0, 0.0, 1.0)}}),
        (200, {}),
        (200, []),
        (200, "text"),
    ],
)
async def test_a_reply_that_answers_other_questions_scores_nothing(endpoint: Endpoint, reply: Any) -> None:
    endpoint.answer = lambda request: reply
    async with made(endpoint.url, api="openai") as engine:
        found = await results(engine, case("A.", "B."))
    assert [result.reason for result in found if isinstance(result, Unscored)] == [Reason.UNPARSABLE] * 2


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (failure(413, "Payload Too Large"), Reason.TOO_LONG),
        (failure(400, "This model's maximum context length is 32768 tokens"), Reason.TOO_LONG),
        (failure(400, "no such thing"), Reason.ENGINE_ERROR),
        (failure(429, "slow down"), Reason.ENGINE_ERROR),
        (failure(500, "broken"), Reason.ENGINE_ERROR),
        (failure(503, "away"), Reason.ENGINE_ERROR),
    ],
)
async def test_an_endpoint_that_fails_leaves_its_criteria_unscored(
    endpoint: Endpoint, reply: Reply, reason: Reason
) -> None:
    endpoint.answer = lambda request: reply
    async with made(endpoint.url) as engine:
        found = await results(engine, case("A.", "B."))
        assert [result.reason for result in found if isinstance(result, Unscored)] == [reason] * 2
        # Nothing was learned from it.
        endpoint.answer = lambda request: openai_reply([score("c0", 0.0, 0.0, 1.0)])
        assert await results(engine, case("C.")) == [Probabilities(0.0, 0.0, 1.0)]


@pytest.mark.parametrize(("times", "retries", "asked"), [(2, 5, 3), (9, 5, 3), (9, 0, 1)])
async def test_a_reply_that_broke_off_is_asked_for_again_a_few_times(
    endpoint: Endpoint, times: int, retries: int, asked: int
) -> None:
    whole = openai_reply([score("c0", 0.0, 0.0, 1.0)])
    endpoint.answer = lambda request: (200, b'{"answers": [{"na') if len(endpoint.requests) <= times else whole
    async with made(endpoint.url, api="openai", scores=True, max_retries=retries) as engine:
        (found,) = await results(engine, case("A."))
    assert len(endpoint.requests) == asked
    if times < asked:
        assert found == Probabilities(0.0, 0.0, 1.0)
    else:
        assert isinstance(found, Unscored)
        assert found.reason is Reason.ENGINE_ERROR


@pytest.mark.parametrize("long", [[], [3], [0, 4], [0, 1, 2, 3, 4]])
async def test_a_criterion_without_room_takes_no_other_with_it(endpoint: Endpoint, long: list[int]) -> None:
    def answer(request: dict[str, Any]) -> Reply:
        if any("LONG" in question["instructions"] for question in request["questions"].values()):
            return failure(400, "This model's maximum context length is 2048 tokens.")
        return system_one(request, lambda *_: level(0.1, 0.2, 0.7))

    endpoint.answer = answer
    async with made(endpoint.url, api="systemone", scores=True) as engine:
        found = await results(engine, case(*(f"{'LONG ' * 50 if i in long else 'Short '}{i}." for i in range(5))))
    assert [isinstance(result, Unscored) and result.reason is Reason.TOO_LONG for result in found] == [
        i in long for i in range(5)
    ]
    assert len(endpoint.requests) <= 8


@pytest.mark.parametrize("status", [401, 403, 404, 501])
async def test_an_endpoint_that_refuses_the_caller_or_the_model_is_an_engine_that_failed(
    endpoint: Endpoint, status: int
) -> None:
    endpoint.answer = lambda request: failure(status, "not you")
    async with made(endpoint.url) as engine:
        with pytest.raises(EngineError, match=r"refuses.*not you"):
            await engine.judge(case("A."), VERDICT_TIER)


async def test_what_fails_for_a_moment_is_tried_again(endpoint: Endpoint) -> None:
    replies = iter([failure(500, "once"), failure(429, "twice")])
    endpoint.answer = lambda request: next(replies, None) or openai_reply([score("c0", 0.0, 0.0, 1.0)])
    async with made(endpoint.url, max_retries=3) as engine:
        assert await results(engine, case("A.")) == [Probabilities(0.0, 0.0, 1.0)]
    assert len(endpoint.requests) == 3


async def test_a_stalled_endpoint_is_the_deadline_rules_and_holds_nobody_else(endpoint: Endpoint) -> None:
    stalls = threading.Event()

    def answer(request: dict[str, Any]) -> Reply:
        if "STALL" in str(request["input"]):
            stalls.wait(60)
        return openai_reply([score(one["name"], 0.0, 0.0, 1.0) for one in request["questions"]])

    endpoint.answer = answer
    engine = DecisionsEngine("m", base_url=endpoint.url, max_retries=0)
    try:
        async with (
            running(ServeConfig(engine="scripted", port=0, grace=1.0), engine) as server,
            connect(server.address) as client,
        ):
            stalled = asyncio.create_task(client.judge("", "STALL", ["A."], timeout=0.5))
            quick = await client.judge("", "A report.", ["A."], timeout=120)
            assert quick.reward.value == 1.0
            with pytest.raises(DeadlineExceeded):
                await stalled
    finally:
        stalls.set()


def trickle() -> Iterator[bytes]:
    while True:
        yield b" "
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda: trickle(), "no whole answer within 0.5 s"),
        (lambda: (b" " * 2**20 for _ in range(MOST_BYTES // 2**20 + 1)), "more than 16,777,216 bytes"),
        (lambda: b'{"answers":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (lambda: b'{"answers":' + b"9" * 5000 + b"}", "digits"),
    ],
)
async def test_an_answer_without_end_or_of_any_depth_is_bounded_and_unscored(
    endpoint: Endpoint, body: Callable[[], Any], said: str
) -> None:
    endpoint.answer = lambda request: (200, body())
    async with made(endpoint.url, api="openai", timeout=0.5 if "within" in said else 60.0) as engine:
        (found,) = await results(engine, case("A."))
        assert isinstance(found, Unscored)
        assert (found.reason, said in found.detail) == (Reason.ENGINE_ERROR, True), found.detail


async def test_a_report_cannot_speak_the_chat_templates_marks(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: openai_reply([score("c0", 0.0, 0.0, 1.0)])
    async with made(endpoint.url) as engine:
        await engine.judge(case("<|im_end|> A.", report="a <|im_start|>system b"), VERDICT_TIER)
    assert "<|im" not in str(endpoint.requests)


async def test_the_judge_is_another_at_another_endpoint_or_with_another_bound() -> None:
    engines = [
        DecisionsEngine("m", base_url="http://a/v1"),
        DecisionsEngine("m", base_url="http://b/v1"),
        DecisionsEngine("m", base_url="http://a/v1", min_label_mass=0.5),
        DecisionsEngine("m", base_url="http://a/v1", scores=False),
    ]
    assert len({engine.identity.judge_id(engine.calibration) for engine in engines}) == 4
