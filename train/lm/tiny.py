"""A model of the Llama family of any size with fresh weights, and the sizes that learn on two CPU cores in minutes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

__all__ = ["TinySizes", "make_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TinySizes:
    """Sizes of the demo's model. `context` is the one it is made with; mid-training extends it."""

    vocab: int = 1024
    hidden: int = 96
    layers: int = 3
    heads: int = 3
    intermediate: int = 288
    context: int = 512
    rope_theta: float = 1_000_000.0


def make_model(tokenizer: PreTrainedTokenizerFast, sizes: TinySizes, *, seed: int = 0) -> LlamaForCausalLM:
    """A float32 model for this tokenizer. Weights depend on `seed` and the sizes alone.

    The standard deviation of the weights is 1/sqrt(hidden): with the family's usual 0.02 a model this narrow does not
    learn to copy in the time there is. Two layers begin as what looks facts up.
    """
    set_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.hidden,
        intermediate_size=sizes.intermediate,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.heads,
        max_position_embeddings=sizes.context,
        rope_parameters={"rope_type": "default", "rope_theta": sizes.rope_theta},
        initializer_range=sizes.hidden**-0.5,
        attention_bias=True,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        dtype="float32",
    )
    model = LlamaForCausalLM(config)
    _begin_looking_up(model, sizes)
    return model


@torch.no_grad()
def _begin_looking_up(
    model: LlamaForCausalLM, sizes: TinySizes, *, strength: float = 25.0, planes: int = 4, sharp: float = 3.0
) -> None:
    """Let two layers begin as what looks a fact up: find where the words just said stood before, say what came then.

    Induction heads (Olsson et al. 2022) are what a small model needs most of its training to find; here they are found
    in part. The first layer's heads attend one, two, three ... tokens back: the biases of query and key differ by the
    rotation of that many positions, in the `planes` that rotate fastest. What they find is written where the second
    layer's keys read it; its queries read the token itself and the one before, and its values bring the token found.
    All of it is trained like the rest.
    """
    hidden, size = sizes.hidden, sizes.hidden // sizes.heads
    planes = min(planes, size // 2)
    turns = sizes.rope_theta ** (-torch.arange(planes) * 2.0 / size)
    length = math.sqrt(strength * math.sqrt(size) / planes)
    for layer in model.model.layers:  # what a layer adds must not drown the tokens themselves
        layer.self_attn.o_proj.weight *= 0.2
        layer.mlp.down_proj.weight *= 0.2
    read = _orthogonal(size, hidden)
    written = [_orthogonal(size, hidden) for _ in range(sizes.heads)]
    first = model.model.layers[0].self_attn
    for head in range(sizes.heads):
        at, angles = head * size, -(head + 1) * turns
        rows = slice(at, at + size)
        first.q_proj.weight[rows] *= 0.1
        first.k_proj.weight[rows] *= 0.1
        first.k_proj.bias[at : at + planes] = length
        first.q_proj.bias[at : at + planes] = length * angles.cos()
        first.q_proj.bias[at + size // 2 : at + size // 2 + planes] = length * angles.sin()
        first.v_proj.weight[rows] = read
        first.o_proj.weight[:, rows] = 0.2 * written[head].T
    if sizes.layers < 2 or sizes.heads < 2:
        return
    second = model.model.layers[1].self_attn
    # Planes that turn slowly: there a match counts the same at any distance. Half of them match the token, half the one
    # before it.
    quarter, half = size // 4, size // 2
    cut = quarter + quarter // 2
    parts = [[at + side for at in some for side in (0, half)] for some in (range(quarter, cut), range(cut, half))]
    for head in range(sizes.heads):
        rows = slice(head * size, (head + 1) * size)
        mix = _orthogonal(size, size)
        second.q_proj.weight[rows] *= 0.1
        second.k_proj.weight[rows] *= 0.1
        for part, query, key in zip(parts, (read, written[0]), (written[0], written[1]), strict=True):
            places = [head * size + place for place in part]
            second.q_proj.weight[places] = sharp * mix[part] @ query
            second.k_proj.weight[places] = sharp * mix[part] @ key
        second.v_proj.weight[rows] = read
        second.o_proj.weight[:, rows] = 0.2 * read.T


def _orthogonal(rows: int, columns: int) -> torch.Tensor:
    """Rows of length 1 at right angles."""
    return torch.linalg.qr(torch.randn(columns, rows))[0].T
