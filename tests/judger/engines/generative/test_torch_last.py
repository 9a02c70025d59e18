"""The last layer is computed where it is read; exactness is `test_torch_exact`'s, for every architecture."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from judger.engines.base import VERDICT_TIER
from judger.engines.torch.attention import NAME, register
from judger.engines.torch.cascade import Cascade
from judger.engines.torch.engine import TorchEngine
from judger.engines.torch.load import prepare
from tests.judger.engines.generative import tiny
from tests.judger.engines.generative.test_torch_exact import KINDS, LABELS, lone_log_probs


def tokens_through(layer: torch.nn.Module) -> list[int]:
    """Fills, as the model runs, with how many tokens passed the layer's feed-forward part."""
    seen: list[int] = []
    layer.mlp.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))  # type: ignore[union-attr]
    return seen


@pytest.mark.parametrize("kind", [*KINDS, "phi3", "olmo2"])
def test_of_the_last_layer_only_the_read_places_are_computed(kind: str) -> None:
    loaded = prepare(tiny.model(kind), tiny.tokenizer(), name="tiny")
    assert loaded.trim
    first, *_, last = loaded.model.model.layers
    engine = TorchEngine(loaded, step_tokens=200)
    plan = engine.plan(tiny.case(6, report_words=150), VERDICT_TIER)
    whole, few = tokens_through(first), tokens_through(last)
    engine.run([plan])
    assert sum(whole) == plan.tokens
    assert len(whole) > 3  # and steps that hold nothing but a piece of the prefix never reach it
    assert sum(few) == 6
    assert len(few) < len(whole)


def test_written_reasons_and_the_verdict_after_them_share_the_trimmed_model() -> None:
    loaded = prepare(tiny.model("qwen3"), tiny.tokenizer(), name="tiny")
    whole = Cascade(loaded.model, step_tokens=4096, cache_bytes=2**26, trim=False)
    trimmed = Cascade(loaded.model, step_tokens=4096, cache_bytes=2**26)
    tree = TorchEngine(loaded)._prompter.tree(tiny.case(3), explain=True)

    def write(cascade: Cascade) -> list[tuple[int, ...]]:
        return cascade.write(tree, range(3), max_tokens=10, guide=lambda ids: ids[-1:])

    assert write(trimmed) == write(whole)
    assert write(trimmed) == write(whole)  # the prefix is in the cache now, its last layer's keys too


def test_a_model_whose_layers_are_not_told_apart_is_computed_whole() -> None:
    loaded = prepare(tiny.model("GPTNeoXConfig"), tiny.tokenizer(), name="tiny")
    assert not loaded.trim
    assert_exact(loaded.model, tiny.model("GPTNeoXConfig"), trim=loaded.trim)


class Tilted(torch.nn.Module):
    """A decoder layer that looks at the whole row's positions behind its keywords' back."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.self_attn = layer.self_attn
        self.layer = layer
        self.positions = torch.zeros(1, 0)

    def forward(self, hidden_states: torch.Tensor, **others: Any) -> Any:
        return self.layer(hidden_states + torch.sin(self.positions).unsqueeze(-1), **others)


def test_a_last_layer_that_does_not_bear_it_is_computed_whole() -> None:
    def tilted() -> Any:
        model = tiny.model("qwen3")
        tilt = Tilted(model.model.layers[-1])
        model.model.layers[-1] = tilt

        def note(_: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            ids, positions = named["input_ids"], named.get("position_ids")
            tilt.positions = torch.arange(ids.shape[1])[None] if positions is None else positions

        model.register_forward_pre_hook(note, with_kwargs=True)
        return model

    loaded = prepare(tilted(), tiny.tokenizer(), name="tilted")
    assert not loaded.trim
    assert_exact(loaded.model, tilted(), trim=loaded.trim)


def assert_exact(ours: Any, own: Any, *, trim: bool) -> None:
    register()
    ours.set_attn_implementation(NAME)
    tree = TorchEngine(prepare(tiny.model("qwen3"), tiny.tokenizer(), name="tiny"))._prompter.tree(tiny.case(4))
    (got,) = Cascade(ours, step_tokens=100, cache_bytes=0, trim=trim).log_probs([(tree, range(4))], LABELS)
    torch.testing.assert_close(got, lone_log_probs(own, tree, range(4)), atol=1e-4, rtol=0)
