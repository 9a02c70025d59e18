"""The decisions engine against vLLM's own /v1/systemone, with a random model of an architecture that it reads."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from judger.client import connect
from judger.config import ServeConfig
from judger.engines.base import VERDICT_TIER, Outcome
from judger.engines.decisions import DecisionsEngine
from judger.errors import DeadlineExceeded, EngineError
from judger.server.process import running
from judger.types import Case, Criterion, Probabilities, Reason, Unscored
from tests.judger.engines.generative import tiny
from tests.vllm_engine.served import Served, served

SHAPE = {"hidden_size": 128, "head_dim": 64, "initializer_range": 0.08, "max_position_embeddings": 2048}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("decider")
    tiny.save(folder, is_qwen=True, **SHAPE)
    with served(folder) as made:
        yield made


@asynccontextmanager
async def made(url: str, **options: Any) -> AsyncIterator[DecisionsEngine]:
    # A random model says no label: what little of it lies there is read all the same.
    engine = DecisionsEngine("tiny", base_url=url, **({"min_label_mass": 0.0, "max_retries": 0} | options))
    try:
        yield engine
    finally:
        await engine._client.close()


async def judge(url: str, case: Case, **options: Any) -> list[Outcome]:
    async with made(url, **options) as engine:
        return await engine.judge(case, VERDICT_TIER)


def probabilities(outcome: Outcome) -> tuple[float, float, float]:
    assert isinstance(outcome.result, Probabilities), outcome.result
    return outcome.result.p_not, outcome.result.p_partial, outcome.result.p_full


async def test_the_protocol_is_found_out_and_more_criteria_than_a_request_takes_are_judged(server: Served) -> None:
    async with made(server.url) as engine:
        outcomes = await engine.judge(tiny.case(150), VERDICT_TIER)
        assert (engine._api, engine._scores) == ("systemone", True)
    assert len(outcomes) == 150
    found = [probabilities(outcome) for outcome in outcomes]
    assert all(sum(one) == pytest.approx(1.0) for one in found)
    assert len(set(found)) > 100  # each its own question
    assert all(outcome.prompt_tokens > 100 for outcome in outcomes)


@pytest.mark.parametrize("scores", [True, False])
async def test_a_criterion_is_judged_alike_in_whatever_company(server: Served, scores: bool) -> None:
    case = tiny.case(6, seed=5)
    together = [probabilities(outcome) for outcome in await judge(server.url, case, scores=scores)]
    for criterion, expected in zip(case.criteria, together, strict=True):
        (alone,) = await judge(server.url, replace(case, criteria=(criterion,)), scores=scores)
        assert probabilities(alone) == pytest.approx(expected, abs=1e-4)


async def test_a_report_without_room_is_too_long_and_a_criterion_without_room_is_so_alone(server: Served) -> None:
    for outcome in await judge(server.url, tiny.case(9, report_words=6000)):
        assert isinstance(outcome.result, Unscored)
        assert outcome.result.reason is Reason.TOO_LONG
    case = tiny.case(9)
    long = Criterion(id="long", text=tiny.words(3000))
    *others, last = await judge(server.url, replace(case, criteria=(*case.criteria, long)))
    assert isinstance(last.result, Unscored)
    assert last.result.reason is Reason.TOO_LONG
    assert [probabilities(one) for one in others]
    near = await judge(server.url, tiny.case(3, report_words=1200))  # near the limit
    assert all(probabilities(one) and one.prompt_tokens > 1200 for one in near)


async def test_a_model_that_speaks_no_labels_is_unparsable_at_the_default_bound(server: Served) -> None:
    for outcome in await judge(server.url, tiny.case(3), min_label_mass=0.5):
        assert isinstance(outcome.result, Unscored)
        assert outcome.result.reason is Reason.UNPARSABLE
        assert "lies on the labels" in outcome.result.detail


async def test_another_models_name_is_an_engine_that_failed(server: Served) -> None:
    engine = DecisionsEngine("other", base_url=server.url, api="systemone", max_retries=0)
    with pytest.raises(EngineError, match="refuses"):
        await engine.judge(tiny.case(2), VERDICT_TIER)
    await engine._client.close()


async def test_a_server_that_stalls_costs_a_call_its_deadline_and_is_asked_again_after(server: Served) -> None:
    engine = DecisionsEngine("tiny", base_url=server.url, min_label_mass=0.0, max_retries=0)
    asked = [criterion.text for criterion in tiny.case(3).criteria]
    async with (
        running(ServeConfig(engine="scripted", port=0, grace=1.0), engine) as ours,
        connect(ours.address) as client,
    ):
        assert (await client.judge("", "the report", asked, timeout=60)).reward.value is not None
        server.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(DeadlineExceeded):
                async with asyncio.timeout(30):
                    await client.judge("", "the report names cost", asked, timeout=1.0)
        finally:
            server.process.send_signal(signal.SIGCONT)
        assert (await client.judge("", "the report names wind", asked, timeout=60)).reward.value is not None


async def test_a_model_whose_labels_are_no_single_tokens_is_an_engine_that_failed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("mute")
    tiny.save(folder, **SHAPE)
    with served(folder) as mute, pytest.raises(EngineError, match="does not support the structured decision API"):
        await judge(mute.url, tiny.case(2))
