"""Two data-parallel copies of a model, on a core each: a report's criteria all go to the copy that has its cache."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from judger.engines.base import VERDICT_TIER, Outcome
from judger.types import Probabilities
from tests.judger.engines.generative import tiny


def test_a_report_stays_with_one_of_two_copies(make_engine: Callable[..., Any]) -> None:
    engine = make_engine(data_parallel_size=2)

    async def judge() -> list[list[Outcome]]:
        return [await engine.judge(tiny.case(5, seed=seed, report_words=700), VERDICT_TIER) for seed in range(11, 15)]

    for outcomes in asyncio.run(judge()):
        assert all(isinstance(outcome.result, Probabilities) for outcome in outcomes)
        assert all(outcome.shared_tokens > 500 for outcome in outcomes[1:])
