"""Memory: a forward stays within what it is given, whatever the length of a report and the number of criteria."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from judger.cli.options import engine_flags, engine_settings
from judger.config import EngineConfig
from judger.engines import build_engine
from judger.engines.base import VERDICT_TIER
from judger.engines.torch.budget import step_budget
from judger.engines.torch.engine import TorchEngine
from judger.engines.torch.load import LoadedModel, load_model, prepare
from judger.errors import EngineError
from judger.types import Probabilities
from tests.judger.engines.generative import tiny

MIB = 2**20


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return prepare(tiny.model("qwen3", hidden_size=64, intermediate_size=1024), tiny.tokenizer(), name="tiny")


def forwards(engine: TorchEngine) -> list[tuple[int, int]]:
    """Fills, as the engine runs, with the tokens and the read branches of each forward."""
    seen: list[tuple[int, int]] = []
    inner = engine._cascade._forward

    def noted(layout: object, keep: object, ends: list[int]) -> torch.Tensor:
        seen.append((len(layout.ids), len(ends)))  # type: ignore[attr-defined]
        return inner(layout, keep, ends)  # type: ignore[arg-type]

    engine._cascade._forward = noted  # type: ignore[assignment,method-assign]
    return seen


def test_a_long_report_is_computed_in_steps_under_the_budget_and_exactly(loaded: LoadedModel) -> None:
    case = tiny.case(40, report_words=900)
    whole = TorchEngine(loaded)
    small = TorchEngine(loaded, step_bytes=4 * MIB)
    tokens, leaf_tokens = step_budget(loaded, 4 * MIB)
    seen = forwards(small)
    (expected,), (got,) = (engine.run([engine.plan(case, VERDICT_TIER)]) for engine in (whole, small))
    assert len(seen) > 4
    assert max(count for count, _ in seen) <= tokens
    # A branch's logits count, too: at most one branch may begin on the last of a step's room.
    assert max(count + ends * leaf_tokens for count, ends in seen) <= tokens + leaf_tokens
    for one, other in zip(got, expected, strict=True):
        assert isinstance(one.result, Probabilities)
        assert isinstance(other.result, Probabilities)
        assert abs(one.result.p_full - other.result.p_full) < 1e-5


def test_a_large_vocabulary_counts_for_every_branch_that_is_read() -> None:
    small, large = (
        prepare(tiny.model("qwen3", vocab_size=size), tiny.tokenizer(), name="tiny") for size in (1200, 60_000)
    )
    assert step_budget(large, 64 * MIB)[0] == step_budget(small, 64 * MIB)[0]
    assert step_budget(large, 64 * MIB)[1] > 40 * step_budget(small, 64 * MIB)[1]
    case = tiny.case(100, report_words=20)
    engine = TorchEngine(large, step_bytes=8 * MIB)
    seen = forwards(engine)
    (outcomes,) = engine.run([engine.plan(case, VERDICT_TIER)])
    assert all(isinstance(outcome.result, Probabilities) for outcome in outcomes)
    assert max(ends for _, ends in seen) * 60_000 * 12 <= 8 * MIB + 60_000 * 12


def test_a_budget_without_room_for_a_step_is_refused(loaded: LoadedModel) -> None:
    with pytest.raises(EngineError, match="step_bytes=100000"):
        TorchEngine(loaded, step_bytes=100_000)


def test_the_budgets_of_the_command_line_reach_the_engine(tmp_path: Path) -> None:
    path = tiny.save(tmp_path)
    flags = ["--engine", "torch", "--model", path, "--device", "cpu"]
    flags += ["--kv-cache-mb", "1", "--step-mb", "2", "--reason-tokens", "99"]
    engine = build_engine(EngineConfig.model_validate(engine_settings(engine_flags().parse_args(flags))))
    assert isinstance(engine, TorchEngine)
    assert engine._cascade.cache.budget == MIB
    assert engine._cascade._step_tokens == step_budget(load_model(path, device="cpu"), 2 * MIB)[0]
    assert engine._reason_tokens == 99
    for seed in range(4):
        engine.run([engine.plan(tiny.case(1, report_words=400, seed=seed), VERDICT_TIER)])
        assert 0 < engine._cascade.cache.nbytes <= MIB


def growth(work: Callable[[], object]) -> int:
    """Bytes by which the resident memory of this process grows at most while `work` runs."""

    def resident(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    work()
    return resident("VmHWM") - before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_grows_by_the_budget_and_not_with_the_report(loaded: LoadedModel) -> None:
    engine = TorchEngine(loaded, step_bytes=16 * MIB, cache_bytes=0, max_prompt_tokens=8000)
    engine.run([engine.plan(tiny.case(30, report_words=200), VERDICT_TIER)])
    plan = engine.plan(tiny.case(30, report_words=6000), VERDICT_TIER)
    assert plan.tokens > 6000
    kept = plan.tokens * 2 * 2 * 2 * 8 * 4  # keys and values, layers, heads, their size, float32
    assert growth(lambda: engine.run([plan])) < 16 * MIB + 2 * kept + 8 * MIB
