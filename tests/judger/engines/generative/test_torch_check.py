"""The proof at load: exact in float32 whatever the precision, and half precision against its own rounding."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from judger.engines.torch import attention, check
from judger.engines.torch.check import alone, in_float32, self_check, small_tree, spread
from judger.engines.torch.load import prepare
from judger.errors import EngineError
from tests.judger.engines.generative import tiny

HALVES = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize("kind", tiny.MODELS)
def test_a_half_precision_model_computes_in_float32_and_has_its_own_bits_back(kind: str) -> None:
    model = tiny.model(kind, dtype=torch.bfloat16)
    wide = copy.deepcopy(model).float()
    before = copy.deepcopy(model.state_dict())
    tree, columns = small_tree(model)
    with torch.inference_mode():
        with in_float32(model):
            inside = alone(model, tree, columns)
        torch.testing.assert_close(inside, alone(wide, tree, columns), atol=1e-5, rtol=0)
        assert spread(alone(model, tree, columns) - inside) > 0
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("kind", ["qwen3", "llama", "gemma3", "gpt-oss"])
def test_a_sound_model_is_taken_however_coarsely_it_rounds(kind: str, dtype: torch.dtype) -> None:
    coarsest = 0.0
    for seed in range(4):
        attention.register()
        model = tiny.model(kind, seed=seed, initializer_range=0.6, dtype=dtype)
        model.requires_grad_(False)
        self_check(model, "tiny")
        tree, columns = small_tree(model)
        with torch.inference_mode():
            half = alone(model, tree, columns)
            with in_float32(model):
                coarsest = max(coarsest, float((half - alone(model, tree, columns)).abs().max()))
    if dtype == torch.bfloat16 and kind in ("qwen3", "llama"):
        assert coarsest > 0.3  # what was once the limit on it


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES])
def test_a_wrong_mask_is_found_in_any_precision(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    together = check.together

    def leaking(model: Any, tree: Any, columns: list[int], trim: bool) -> Any:
        """As if a branch saw one more token than its own path."""
        grown = tuple((polarity, (7, *ids)) for polarity, ids in tree.branches)
        return together(
            model,
            type(tree)(shared=tree.shared, report=tree.report, polarities=tree.polarities, branches=grown),
            columns,
            trim,
        )

    monkeypatch.setattr(check, "together", leaking)
    with pytest.raises(EngineError, match="can't be judged in one pass"):
        prepare(tiny.model("qwen3", dtype=dtype), tiny.tokenizer(), name="tiny")


@pytest.mark.parametrize("dtype", HALVES)
def test_kernels_that_are_wrong_in_half_precision_alone_are_found(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    attend = attention.attend

    def wrong(q: Any, *args: Any, **settings: Any) -> Any:
        out, lse = attend(q, *args, **settings)
        return (out, lse) if q.dtype == torch.float32 else (out, lse * 0.5)

    monkeypatch.setattr(attention, "attend", wrong)
    with pytest.raises(EngineError, match="in half precision"):
        prepare(tiny.model("qwen3", dtype=dtype), tiny.tokenizer(), name="tiny")
