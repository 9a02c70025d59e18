"""Two data-parallel copies of a model, on a core each: a report's criteria all go to the copy that has its cache."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from judger.engines.base import VERDICT_TIER, Outcome
from judger.types import Probabilities
from tests.judger.engines.generative import tiny


def test_a_report_stays_with_one_of_two_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    from judger.engines.vllm import VllmEngine

    checkpoint = tiny.save(tmp_path, hidden_size=128, head_dim=64, initializer_range=0.08)
    engine = VllmEngine(
        checkpoint,
        dtype="float32",
        data_parallel_size=2,
        max_prompt_tokens=2000,
        engine_args={"enforce_eager": True, "disable_log_stats": True},
    )

    async def judge() -> list[list[Outcome]]:
        return [await engine.judge(tiny.case(5, seed=seed, report_words=700), VERDICT_TIER) for seed in range(11, 15)]

    try:
        for outcomes in asyncio.run(judge()):
            assert all(isinstance(outcome.result, Probabilities) for outcome in outcomes)
            assert all(outcome.shared_tokens > 500 for outcome in outcomes[1:])
    finally:
        engine.close()
