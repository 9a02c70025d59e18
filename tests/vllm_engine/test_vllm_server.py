"""The openai engine against vLLM's own OpenAI server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from judger.engines.base import PAIR_TIER, VERDICT_TIER, Outcome
from judger.engines.openai import OpenAIEngine
from judger.pairwise import duels
from judger.types import Case, Probabilities, Reason, Unscored
from tests.judger.engines.generative import tiny
from tests.vllm_engine.served import served


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    tiny.save(folder, hidden_size=128, head_dim=64, initializer_range=0.08, max_position_embeddings=2048)
    with served(folder) as server:
        yield server.url


def judge(url: str, case: Case, tier: Any = VERDICT_TIER, **options: Any) -> list[Outcome]:
    async def ask() -> list[Outcome]:
        engine = OpenAIEngine("tiny", base_url=url, **options)
        try:
            return await engine.judge(case, tier)
        finally:
            await engine._client.close()

    return asyncio.run(ask())


def test_structured_output_gives_a_label_from_any_model(url: str) -> None:
    for outcome in judge(url, tiny.case(4), reading="structured"):
        assert isinstance(outcome.result, Probabilities)
        assert max(outcome.result.p_not, outcome.result.p_partial, outcome.result.p_full) == 1.0
        assert outcome.prompt_tokens > 100


@pytest.mark.parametrize("pairwise", [False, True])
def test_log_probabilities_of_the_label_word_become_the_verdict(url: str, pairwise: bool) -> None:
    words = ["first", "second", "equal"] if pairwise else ["not", "partially", "fully"]
    case = duels(tiny.case(1), tiny.case(1, seed=3))[0] if pairwise else tiny.case(3)
    body = {"structured_outputs": {"choice": words}, "chat_template_kwargs": {"enable_thinking": False}}
    for outcome in judge(url, case, PAIR_TIER if pairwise else VERDICT_TIER, extra_body=body):
        assert isinstance(outcome.result, Probabilities)
        values = (outcome.result.p_not, outcome.result.p_partial, outcome.result.p_full)
        assert sum(values) == pytest.approx(1.0)


def test_a_reply_off_the_menu_is_unparsable_and_a_prompt_over_the_limit_too_long(url: str) -> None:
    (outcome,) = judge(url, tiny.case(1), reading="logprobs")
    assert isinstance(outcome.result, Unscored)
    assert outcome.result.reason is Reason.UNPARSABLE
    (outcome,) = judge(url, tiny.case(1))  # a random model says no label unless it is held to one
    assert isinstance(outcome.result, Probabilities)
    (outcome,) = judge(url, tiny.case(1, report_words=6000))
    assert isinstance(outcome.result, Unscored)
    assert outcome.result.reason is Reason.TOO_LONG
