"""The openai engine against a real HTTP server on a loopback port that speaks the chat completions protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from judger.config import Reading
from judger.engines.base import VERDICT_TIER, SelfBatching, Tier
from judger.engines.explained import TRIAL_TEMPERATURE
from judger.engines.openai import OpenAIEngine
from judger.errors import EngineError
from judger.judge import Judge
from judger.prompt.fence import FenceKey
from judger.types import Case, Criterion, Explain, Options, Probabilities, Reason, Unscored
from judger.verdict import IDENTITY, Calibration
from tests.judger.engines.generative.endpoint import Endpoint, Reply, completion, failure, serving


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving() as made:
        yield made


@pytest.fixture
async def engine(endpoint: Endpoint) -> AsyncIterator[OpenAIEngine]:
    made = OpenAIEngine("org/teacher", base_url=endpoint.url, concurrency=3, max_retries=2)
    yield made
    await asyncio.to_thread(made.close)


def case(number: int = 1, report: str = "Wind costs 40 euros. Nothing else is said.") -> Case:
    return Case(
        id="case",
        query="What does wind cost?",
        report=report,
        criteria=tuple(Criterion(id=f"c{i}", text=f"Statement {i}.") for i in range(number)),
    )


async def test_log_probabilities_of_the_label_word_become_the_verdict(endpoint: Endpoint, engine: OpenAIEngine) -> None:
    candidates = {"part": 0.5, "fully": 0.2, " Fully": 0.1, "not": 0.1, "maybe": 0.1}
    endpoint.answer = lambda request: completion(
        "partially",
        [("part", candidates), ("ially", {"ially": 1.0})],
        prompt_tokens_details={"cached_tokens": 60},
    )
    (outcome,) = await engine.judge(case(), VERDICT_TIER)
    assert isinstance(engine, SelfBatching)
    assert isinstance(outcome.result, Probabilities)
    assert outcome.result.p_not == pytest.approx(0.1 / 0.9)
    assert outcome.result.p_partial == pytest.approx(0.5 / 0.9)
    assert outcome.result.p_full == pytest.approx(0.3 / 0.9)
    assert (outcome.prompt_tokens, outcome.shared_tokens) == (100, 60)
    assert (engine.prompt_tokens, engine.completion_tokens) == (100, 2)
    (request,) = endpoint.requests
    assert request["path"] == "/v1/chat/completions"
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert "Statement 0." in request["messages"][1]["content"]
    assert request["temperature"] == 0


async def test_an_endpoint_without_log_probabilities_is_asked_for_structured_output(
    endpoint: Endpoint, engine: OpenAIEngine
) -> None:
    endpoint.answer = lambda request: completion(
        json.dumps({"verdict": "not"}) if "response_format" in request else "not"
    )
    for _ in range(2):
        (outcome,) = await engine.judge(case(), VERDICT_TIER)
        assert outcome.result == Probabilities(1.0, 0.0, 0.0)
    assert ["response_format" in request for request in endpoint.requests] == [False, True, True]


async def test_an_endpoint_that_refuses_log_probabilities_is_asked_for_structured_output(
    endpoint: Endpoint, engine: OpenAIEngine
) -> None:
    endpoint.answer = lambda request: (
        failure(400, "logprobs are not supported") if "logprobs" in request else completion('{"verdict": "fully"}')
    )
    (outcome,) = await engine.judge(case(), VERDICT_TIER)
    assert outcome.result == Probabilities(0.0, 0.0, 1.0)


@pytest.mark.parametrize("reading", ["auto", "logprobs", "choice", "structured"])
@pytest.mark.parametrize("answer", ["maybe", "", "fully or not", "The report is fully fine", "not fully"])
async def test_words_off_the_menu_are_unparsable(endpoint: Endpoint, reading: Reading, answer: str) -> None:
    engine = OpenAIEngine("org/teacher", base_url=endpoint.url, reading=reading)
    endpoint.answer = lambda request: completion(answer, [("x", {"x": 1.0})])
    (outcome,) = await engine.judge(case(), VERDICT_TIER)
    assert isinstance(outcome.result, Unscored)
    assert outcome.result.reason is Reason.UNPARSABLE


async def test_what_is_worth_a_retry_is_retried(endpoint: Endpoint, engine: OpenAIEngine) -> None:
    whole = completion("fully", [("fully", {"fully": 1.0})])
    replies = iter([failure(429, "slow down"), failure(503, "later"), (200, b'{"choices": [{"mess'), whole])
    endpoint.answer = lambda request: next(replies)
    (outcome,) = await engine.judge(case(), VERDICT_TIER)
    assert outcome.result == Probabilities(0.0, 0.0, 1.0)
    assert len(endpoint.requests) == 4


async def test_a_criterion_that_keeps_failing_is_unscored_and_the_others_are_judged(endpoint: Endpoint) -> None:
    engine = OpenAIEngine("teacher", base_url=endpoint.url, max_retries=0)
    endpoint.answer = lambda request: (
        failure(500, "broken")
        if "Statement 1." in request["messages"][1]["content"]
        else completion("fully", [("fully", {"fully": 1.0})])
    )
    first, second, third = await engine.judge(case(3), VERDICT_TIER)
    assert isinstance(second.result, Unscored)
    assert second.result.reason is Reason.ENGINE_ERROR
    assert isinstance(first.result, Probabilities)
    assert isinstance(third.result, Probabilities)
    await asyncio.to_thread(engine.close)


async def test_an_over_long_prompt_is_too_long(endpoint: Endpoint, engine: OpenAIEngine) -> None:
    message = "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens"
    endpoint.answer = lambda request: failure(400, message)
    (outcome,) = await engine.judge(case(), VERDICT_TIER)
    assert isinstance(outcome.result, Unscored)
    assert outcome.result.reason is Reason.TOO_LONG
    assert "8192" in outcome.result.detail


async def test_a_refused_key_fails_the_engine(endpoint: Endpoint, engine: OpenAIEngine) -> None:
    endpoint.answer = lambda request: failure(401, "no such key")
    with pytest.raises(EngineError, match="refuses"):
        await engine.judge(case(4), VERDICT_TIER)


async def test_no_more_requests_than_allowed_are_in_flight(endpoint: Endpoint, engine: OpenAIEngine) -> None:
    full = threading.Barrier(3, timeout=60)

    def slow(request: dict[str, Any]) -> Reply:
        full.wait()  # none is answered before three are there
        time.sleep(0.02)  # and a fourth, where there was one, has time to come
        return completion("fully", [("fully", {"fully": 1.0})])

    endpoint.answer = slow
    outcomes = await engine.judge(case(12), VERDICT_TIER)
    assert [outcome.result for outcome in outcomes] == [Probabilities(0.0, 0.0, 1.0)] * 12
    assert endpoint.most_in_flight == 3


async def test_an_explained_verdict_carries_reason_and_checked_quote(endpoint: Endpoint, engine: OpenAIEngine) -> None:
    text = "Reason: It is said not once but fully.\nQuote: Wind costs 40 euros.\nVerdict: fully"
    tokens = [(text[:-5], {text[:-5]: 1.0}), ("fully", {"fully": 0.75, "not": 0.25})]
    endpoint.answer = lambda request: completion(text, tokens)
    subject = case()
    (outcome,) = await engine.judge(subject, Tier(explain=Explain.ALWAYS))
    assert isinstance(outcome.result, Probabilities)
    assert outcome.result.p_full == pytest.approx(0.75)
    assert outcome.rationale == "It is said not once but fully."
    (span,) = outcome.evidence
    assert subject.report[span.start : span.end] == "Wind costs 40 euros."


async def test_three_trials_are_averaged(endpoint: Endpoint, engine: OpenAIEngine) -> None:
    words = iter(["fully", "fully", "not"])
    endpoint.answer = lambda request: completion(f"Reason: So.\nQuote: none\nVerdict: {next(words)}")
    (outcome,) = await engine.judge(case(), Tier(explain=Explain.ALWAYS, trials=3))
    assert isinstance(outcome.result, Probabilities)
    assert outcome.result.p_full == pytest.approx(2 / 3)
    assert outcome.prompt_tokens == 300
    assert sorted(request["seed"] for request in endpoint.requests) == [0, 1, 2]
    assert all(request["temperature"] == TRIAL_TEMPERATURE for request in endpoint.requests)


async def test_the_label_is_found_behind_tokens_that_are_parts_of_characters(
    endpoint: Endpoint, engine: OpenAIEngine
) -> None:
    text = "Reason: It says \u201cfully\u201d, but not more.\nQuote: none\nVerdict: partially"
    head, tail = text[: text.index("\u201c")], text[text.index("\u201d") + 1 : -len("partially")]
    halves = [[("bytes:\\xe2\\x80", "\u201c".encode()[:2]), ("bytes:\\x9c", "\u201c".encode()[2:])]]
    halves.append([("bytes:\\xe2\\x80", "\u201d".encode()[:2]), ("bytes:\\x9d", "\u201d".encode()[2:])])
    spelled = [(head, head.encode()), *halves[0], ("fully", b"fully"), *halves[1], (tail, tail.encode())]
    tokens: list[tuple[str, dict[str, float]]] = [(token, {token: 1.0}) for token, _ in spelled]
    tokens.append((" part", {" part": 0.8, " fully": 0.2}))
    status, body = completion(f"\n{text}", [("\n", {"\n": 1.0}), *tokens, ("ially", {"ially": 1.0})])
    content = body["choices"][0]["logprobs"]["content"]
    for token, (_, raw) in zip(content[1:], spelled, strict=False):
        token["bytes"] = list(raw)
    endpoint.answer = lambda request: (status, body)
    (outcome,) = await engine.judge(case(), Tier(explain=Explain.ALWAYS))
    assert outcome.result == Probabilities(0.0, pytest.approx(0.8), pytest.approx(0.2))


async def test_only_close_verdicts_are_explained_under_a_margin(endpoint: Endpoint, engine: OpenAIEngine) -> None:
    def answer(request: dict[str, Any]) -> Reply:
        user = request["messages"][1]["content"]
        if "Quote:" in user:
            return completion("Reason: So.\nQuote: none\nVerdict: not")
        sure = {"fully": 0.95, "not": 0.05} if "Statement 0." in user else {"fully": 0.55, "not": 0.45}
        return completion("fully", [("fully", sure)])

    endpoint.answer = answer
    sure, close = await engine.judge(case(2), Tier(explain=Explain.UNDER_MARGIN, explain_margin=0.1))
    assert sure.rationale is None
    assert close.rationale == "So."
    assert close.result == Probabilities(1.0, 0.0, 0.0)


@pytest.mark.parametrize(("fully", "is_explained"), [(0.70, True), (0.52, False)])
async def test_what_is_under_the_margin_is_told_by_the_judges_calibration_and_not_the_engines_own(
    endpoint: Endpoint, engine: OpenAIEngine, fully: float, is_explained: bool
) -> None:
    def answer(request: dict[str, Any]) -> Reply:
        if "Quote:" in request["messages"][1]["content"]:
            return completion("Reason: So.\nQuote: none\nVerdict: fully")
        return completion("fully", [("fully", {"fully": fully, "not": 1.0 - fully})])

    endpoint.answer = answer
    judge = Judge(engine, calibration=Calibration(positive_threshold=0.69))  # 0.70 lies 0.01 above it, 0.52 far below
    judgement = await judge.judge(case(), Options(explain=Explain.UNDER_MARGIN, explain_margin=0.05))
    assert (judgement.verdicts[0].rationale == "So.") is is_explained
    await judge.close()


NO_COMPLETIONS = {
    "no choices": {"choices": []},
    "null choices": {"choices": None},
    "null": None,
    "an empty object": {},
    "a list": [],
    "a number": 3,
    "a string": "fully",
    "an error with status 200": {"error": {"message": "overloaded", "code": 503}},
    "a choice that is null": {"choices": [None]},
    "a choice that is a string": {"choices": ["fully"]},
    "no message": {"choices": [{"index": 0}]},
    "a null message": {"choices": [{"message": None}]},
    "content that is a list": {"choices": [{"message": {"content": [{"text": "fully"}]}}]},
    "content that is a number": {"choices": [{"message": {"content": 1}}]},
    "tokens that are a number": {"choices": [{"message": {"content": "fully"}, "logprobs": {"content": 7}}]},
    "tokens that are null": {"choices": [{"message": {"content": "fully"}, "logprobs": {"content": [None]}}]},
    "a token without a text": {
        "choices": [{"message": {"content": "fully"}, "logprobs": {"content": [{"top_logprobs": [{"logprob": 0}]}]}}]
    },
    "a log-probability that is a text": {
        "choices": [{"message": {"content": "x"}, "logprobs": {"content": [{"token": "x", "logprob": "high"}]}}]
    },
    "usage that is a text": {"choices": [{"message": {"content": "fully"}}], "usage": "much"},
    "HTML": b"<html><body>502 Bad Gateway</body></html>",
    "nothing": b"",
    "half of an object": b'{"choices": [{"mess',
    "bytes that are no text": b"\xff\xfe\x00",
    "brackets without end": b"[" * 100_000,
}


@pytest.mark.parametrize("content_type", ["application/json", "text/html"])
@pytest.mark.parametrize("what", NO_COMPLETIONS)
async def test_an_answer_that_is_no_completion_is_lost_alone(endpoint: Endpoint, what: str, content_type: str) -> None:
    engine = OpenAIEngine("teacher", base_url=endpoint.url, max_retries=0)
    endpoint.content_type = content_type
    endpoint.answer = lambda request: (
        (200, NO_COMPLETIONS[what])
        if "Statement 1." in request["messages"][1]["content"]
        else completion("fully", [("fully", {"fully": 1.0})])
    )
    outcomes = await engine.judge(case(6), VERDICT_TIER)
    for index, outcome in enumerate(outcomes):
        if index == 1:
            assert isinstance(outcome.result, Unscored)
            assert outcome.result.reason is Reason.ENGINE_ERROR
            assert outcome.result.detail.startswith("the endpoint's answer is no")
        else:
            assert outcome.result == Probabilities(0.0, 0.0, 1.0)
    await asyncio.to_thread(engine.close)


async def test_counts_that_are_none_and_halves_of_characters_do_no_harm(endpoint: Endpoint) -> None:
    engine = OpenAIEngine("teacher", base_url=endpoint.url)
    text = "Reason: So \ud83d it is.\nQuote: none\nVerdict: fully"
    endpoint.answer = lambda request: completion(
        text, [("fully", {"fully": 1.0})], prompt_tokens=10**30, prompt_tokens_details={"cached_tokens": -1}
    )
    (outcome,) = await engine.judge(case(), Tier(explain=Explain.ALWAYS))
    assert outcome.rationale == "So ? it is."
    assert (outcome.prompt_tokens, outcome.shared_tokens) == (0, 0)


WAYS = {"structured_outputs": "choice", "response_format": "structured"}


def way_of(request: dict[str, Any]) -> str:
    """How a request asks for its label."""
    return next((way for key, way in WAYS.items() if key in request), "logprobs")


def chatty(request: dict[str, Any], knows: tuple[str, ...]) -> Reply:
    """A model that chats unless it is held to an answer, on an endpoint that knows these ways to hold it."""
    way = way_of(request)
    if way not in knows:
        chat = "Sure! Let me look at the report first."
        return completion(chat, [(chat, {chat: 1.0})])
    quoted = {"reason": "So.\nIt is.", "quote": "Wind costs 40 euros.", "verdict": "partially"}
    plain = "Quote:" not in request["messages"][1]["content"]
    if way == "structured":
        head, tail = json.dumps({"verdict": ""} if plain else {**quoted, "verdict": ""})[:-2], '"}'
    else:
        head, tail = "" if plain else "Reason: So. It is.\nQuote: Wind costs 40 euros.\nVerdict: ", ""
    tokens = [(head, {head: 1.0})] if head else []
    tokens += [("part", {"part": 0.03, "not": 0.01, "Sure": 0.96}), ("ially", {"ially": 1.0})]
    return completion(f"{head}partially{tail}", [*tokens, *([(tail, {tail: 1.0})] if tail else [])])


@pytest.mark.parametrize("explain", [Explain.NEVER, Explain.ALWAYS])
@pytest.mark.parametrize("way", ["choice", "structured"])
async def test_a_model_that_would_say_more_is_held_to_its_labels(
    endpoint: Endpoint, engine: OpenAIEngine, way: str, explain: Explain
) -> None:
    endpoint.answer = lambda request: chatty(request, (way,))
    (outcome,) = await engine.judge(case(), Tier(explain=explain))
    assert isinstance(outcome.result, Probabilities)
    assert outcome.result.p_partial == pytest.approx(0.75)
    assert outcome.label_mass == pytest.approx(0.04)
    if explain is Explain.ALWAYS:
        assert outcome.rationale == "So. It is."
        assert outcome.evidence
    await engine.judge(case(2), Tier(explain=explain))
    tried = ["logprobs", "choice", "structured"]
    assert [way_of(request) for request in endpoint.requests] == [*tried[: tried.index(way) + 1], way, way]


async def test_a_way_that_has_worked_is_left_only_for_the_criterion_it_fails_on(
    endpoint: Endpoint, engine: OpenAIEngine
) -> None:
    def answer(request: dict[str, Any]) -> Reply:
        if "Statement 1." in request["messages"][1]["content"]:
            return chatty(request, ("choice",))
        return completion("fully", [("fully", {"fully": 1.0})])

    endpoint.answer = answer
    await engine.judge(case(1), VERDICT_TIER)
    for _ in range(2):
        assert all(isinstance(one.result, Probabilities) for one in await engine.judge(case(3), VERDICT_TIER))
    asked = [way_of(request) for request in endpoint.requests]
    assert (asked.count("logprobs"), asked.count("choice")) == (7, 2)


async def test_an_endpoint_that_refuses_what_it_does_not_know_is_asked_in_the_next_way(
    endpoint: Endpoint, engine: OpenAIEngine
) -> None:
    endpoint.answer = lambda request: (
        failure(400, "Unrecognized request argument supplied: structured_outputs")
        if way_of(request) == "choice"
        else chatty(request, ("structured",))
    )
    (outcome,) = await engine.judge(case(), VERDICT_TIER)
    assert isinstance(outcome.result, Probabilities)


@pytest.mark.parametrize("reading", ["logprobs", "choice", "structured"])
async def test_a_way_that_is_named_is_the_only_one(endpoint: Endpoint, reading: Reading) -> None:
    engine = OpenAIEngine("teacher", base_url=endpoint.url, reading=reading)
    endpoint.answer = lambda request: chatty(request, ())
    (outcome,) = await engine.judge(case(), VERDICT_TIER)
    assert isinstance(outcome.result, Unscored)
    assert outcome.result.reason is Reason.UNPARSABLE
    assert [way_of(request) for request in endpoint.requests] == [reading]


async def test_labels_that_hold_next_to_nothing_of_the_distribution_are_no_verdict(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: completion("not", [("not", {"not": 0.004, "fully": 0.001, "the": 0.9})])
    for least, scored in ((0.0, True), (0.005, True), (0.01, False)):
        engine = OpenAIEngine("teacher", base_url=endpoint.url, min_label_mass=least)
        (outcome,) = await engine.judge(case(), VERDICT_TIER)
        assert outcome.label_mass == pytest.approx(0.005)
        assert isinstance(outcome.result, Probabilities if scored else Unscored)
        if isinstance(outcome.result, Unscored):
            assert outcome.result.reason is Reason.UNPARSABLE
            assert "0.005" in outcome.result.detail


async def test_who_it_is_follows_endpoint_model_and_settings(endpoint: Endpoint) -> None:
    def judge_id(**changes: Any) -> str:
        settings: dict[str, Any] = {"model": "m", "base_url": "http://a/v1", **changes}
        return OpenAIEngine(settings.pop("model"), **settings).identity.judge_id(IDENTITY)

    assert judge_id() == judge_id(base_url="http://a/v1/")
    changes: list[dict[str, Any]] = [
        {"base_url": "http://b/v1"},
        {"model": "n"},
        {"reason_tokens": 100},
        {"reading": "structured"},
        {"min_label_mass": 0.5},
        {"extra_body": {"a": 1}},
        {"fence": FenceKey(b"another")},
    ]
    assert len({judge_id(), *(judge_id(**change) for change in changes)}) == 1 + len(changes)


def test_the_stand_in_has_a_place_for_every_connection_of_a_burst() -> None:
    """Its own thread may be busy for as long as it likes: the kernel takes them."""
    made = Endpoint()
    address = made.server.server_address
    with contextlib.ExitStack() as stack:
        stack.callback(made.server.server_close)
        for _ in range(64):
            stack.enter_context(socket.create_connection(("127.0.0.1", int(address[1])), timeout=60))
