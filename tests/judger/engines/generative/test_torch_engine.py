"""The torch engine behind its Protocol: loading, refusing, precision, limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from judger.engines.base import VERDICT_TIER, Engine
from judger.engines.explained import label_probabilities
from judger.engines.torch.cascade import Cascade
from judger.engines.torch.engine import TorchEngine
from judger.engines.torch.kernels import attend, math_attend, merge
from judger.engines.torch.load import load_model, prepare, refusal, rope_types
from judger.errors import EngineError, InvalidRequest
from judger.types import Probabilities, Reason, Unscored
from tests.judger.engines.generative import tiny


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.save(tmp_path_factory.mktemp("tiny-qwen3"))


def test_it_judges_a_checkpoint_from_a_folder(checkpoint: str) -> None:
    engine = TorchEngine.load(checkpoint, device="cpu")
    assert isinstance(engine, Engine)
    case = tiny.case(4)
    plan = engine.plan(case, VERDICT_TIER)
    (outcomes,) = engine.run([plan])
    assert len(outcomes) == 4
    for outcome in outcomes:
        assert isinstance(outcome.result, Probabilities)
        total = outcome.result.p_not + outcome.result.p_partial + outcome.result.p_full
        assert total == pytest.approx(1.0)
        assert 0 < outcome.shared_tokens < outcome.prompt_tokens
    assert engine.identity.engine == "torch"
    assert "/" not in engine.identity.model
    assert engine.identity.precision == "float32"
    engine.close()


def test_identity_follows_the_weights_and_not_the_folder(checkpoint: str, tmp_path: Path) -> None:
    one = TorchEngine.load(checkpoint, device="cpu").identity
    same = TorchEngine.load(tiny.save(tmp_path / "copy"), device="cpu").identity
    other = TorchEngine.load(tiny.save(tmp_path / "other", seed=1), device="cpu").identity
    half = TorchEngine.load(checkpoint, device="cpu", dtype="bfloat16").identity
    assert one.weights == same.weights
    assert one.weights != other.weights
    assert half.precision == "bfloat16"


def test_a_prompt_over_the_limit_is_refused_with_both_counts(checkpoint: str) -> None:
    engine = TorchEngine.load(checkpoint, device="cpu")
    case = tiny.case(3)
    counts = [engine.plan(case, VERDICT_TIER).payload.lone_tokens(i) for i in range(3)]  # type: ignore[attr-defined]
    limit = sorted(counts)[1]
    short = TorchEngine.load(checkpoint, device="cpu", max_prompt_tokens=limit)
    plan = short.plan(case, VERDICT_TIER)
    assert set(plan.refused) == {i for i, count in enumerate(counts) if count > limit}
    (outcomes,) = short.run([plan])
    for outcome, count in zip(outcomes, counts, strict=True):
        if count > limit:
            assert outcome.result == Unscored(Reason.TOO_LONG, f"the prompt has {count} tokens, the limit is {limit}")
        else:
            assert isinstance(outcome.result, Probabilities)
    assert short.capabilities.prompt_tokens == limit


def test_the_models_own_limit_holds_without_being_asked_for(tmp_path: Path) -> None:
    engine = TorchEngine.load(tiny.save(tmp_path, max_position_embeddings=128), device="cpu")
    (outcomes,) = engine.run([engine.plan(tiny.case(2), VERDICT_TIER)])
    assert {outcome.result.reason for outcome in outcomes if isinstance(outcome.result, Unscored)} == {"too_long"}
    assert len(outcomes) == 2


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "llama", "mistral-window", "gemma", "gemma2", "gemma3"])
def test_half_precision_stays_near_float32(kind: str, dtype: str) -> None:
    plain = TorchEngine(prepare(tiny.model(kind), tiny.tokenizer(), name="tiny"))
    model = tiny.model(kind).to(getattr(torch, dtype))
    half = TorchEngine(prepare(model, tiny.tokenizer(), name="tiny"))
    case = tiny.case(4)
    (expected,) = plain.run([plain.plan(case, VERDICT_TIER)])
    (outcomes,) = half.run([half.plan(case, VERDICT_TIER)])
    for got, want in zip(outcomes, expected, strict=True):
        assert isinstance(got.result, Probabilities)
        assert isinstance(want.result, Probabilities)
        assert abs(got.result.p_full - want.result.p_full) < 0.05


@pytest.mark.parametrize("config", ["MambaConfig", "RwkvConfig", "Qwen3NextConfig", "JambaConfig"])
def test_recurrent_architectures_are_refused_by_name(config: str) -> None:
    architecture = transformers.AutoModelForCausalLM._model_mapping[getattr(transformers, config)]
    fake = architecture.__new__(architecture)
    torch.nn.Module.__init__(fake)
    fake.config = getattr(transformers, config)()
    assert architecture.__name__ in refusal(fake)
    assert "recurrent" in refusal(fake)


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("BloomConfig", {"n_layer": 2, "n_head": 4}, "AttentionInterface"),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "dynamic"),
    ],
)
def test_what_cannot_be_exact_is_refused_at_load(kind: str, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        prepare(tiny.model(kind, **changes), tiny.tokenizer(), name="tiny")


def test_rope_types_are_found_by_layer_type_too() -> None:
    nested = {"full_attention": {"rope_type": "yarn"}, "sliding_attention": {"rope_type": "default"}}
    assert rope_types(nested) == {"yarn", "default"}
    assert rope_types(None) == set()


def test_torn_weights_are_told_and_no_traceback(tmp_path: Path) -> None:
    folder = Path(tiny.save(tmp_path / "torn"))
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(EngineError, match="can't be loaded"):
        load_model(str(folder), device="cpu")


def test_a_missing_model_and_an_unknown_dtype_say_so(tmp_path: Path, checkpoint: str) -> None:
    with pytest.raises(InvalidRequest, match="can't be loaded"):
        load_model(str(tmp_path / "nowhere"), device="cpu")
    with pytest.raises(EngineError, match="dtype"):
        load_model(checkpoint, device="cpu", dtype="int4")


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    path = Path(tiny.save(tmp_path))
    (path / "model.safetensors").unlink()
    torch.save(tiny.model("qwen3").state_dict(), path / "pytorch_model.bin")
    with pytest.raises(EngineError, match="safetensors"):
        load_model(str(path), device="cpu")


def test_the_cascade_runs_a_forest_without_wanted_branches(checkpoint: str) -> None:
    engine = TorchEngine.load(checkpoint, device="cpu")
    tree = engine.plan(tiny.case(2), VERDICT_TIER).payload
    empty, full = Cascade(engine._cascade._model, step_tokens=64, cache_bytes=0).log_probs(
        [(tree, []), (tree, [0])],  # type: ignore[list-item]
        [3, 4, 5],
    )
    assert (empty.shape, full.shape) == ((0, 3), (1, 3))


@pytest.mark.parametrize(
    "log_probs", [[float("nan"), -1.0, -2.0], [float("inf"), 0.0, 0.0], [-float("inf")] * 3, [-1.0, -2.0]]
)
def test_log_probabilities_that_are_no_numbers_become_unscored(log_probs: list[float]) -> None:
    result = label_probabilities(log_probs)
    assert isinstance(result, Unscored)
    assert result.reason is Reason.ENGINE_ERROR


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize("masked", [False, True])
def test_parts_of_a_softmax_merge_to_the_whole(heads: tuple[int, int], masked: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(2, heads[0], 9, 8, generator=generator)
    k, v = (torch.randn(2, heads[1], 13, 8, generator=generator) for _ in range(2))
    mask = torch.rand(1, 1, 9, 13, generator=generator) > 0.5 if masked else None
    if mask is not None:
        mask[..., 3, :5] = False  # a query that sees nothing in the first part
    whole = math_attend(q, k, v, scale=0.3, mask=mask)
    parts = [
        attend(q, k[:, :, at], v[:, :, at], scale=0.3, mask=None if mask is None else mask[..., at])
        for at in (slice(0, 5), slice(5, 13))
    ]
    for got, want in zip(merge(*parts), whole, strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=0)


def test_the_plain_path_goes_over_queries_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = (torch.randn(1, 2, 20, 8) for _ in range(3))
    whole = math_attend(q, k, v, scale=0.3, causal=True, softcap=5.0)
    monkeypatch.setattr("judger.engines.torch.kernels.SCORES_AT_ONCE", 200)
    for got, want in zip(math_attend(q, k, v, scale=0.3, causal=True, softcap=5.0), whole, strict=True):
        torch.testing.assert_close(got, want)
