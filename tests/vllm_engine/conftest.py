"""Where vLLM is not installed, each of these tests is skipped by name and left to `make test-vllm`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    has_vllm = importlib.util.find_spec("vllm") is not None
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            if not has_vllm:
                item.add_marker(pytest.mark.skip(reason="left to make test-vllm"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random model."""
    from tests.judger.engines.generative import tiny

    # head_dim 64: vLLM's CPU attention takes multiples of 32 only
    return tiny.save(tmp_path_factory.mktemp("tiny-qwen3"), hidden_size=128, head_dim=64, initializer_range=0.08)


@pytest.fixture(scope="module")
def make_engine(checkpoint: str) -> Iterator[Callable[..., Any]]:
    """Makes vLLM engines of that model, which end with the module."""
    from judger.engines.vllm import VllmEngine

    made = []

    def make(**options: Any) -> VllmEngine:
        quick = {"enforce_eager": True, "disable_log_stats": True}
        made.append(VllmEngine(checkpoint, dtype="float32", max_prompt_tokens=2000, engine_args=quick, **options))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        yield make
        for engine in made:
            engine.close()
