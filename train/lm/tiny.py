"""A model of the Llama family of any size with fresh weights, and the sizes that learn on two CPU cores in minutes.

Its first two layers begin as induction heads (Olsson et al. 2022, arXiv 2209.11895): they find where the words just
said stood before, and say what came then. From random weights a small model needs most of its training to find that.
The heads hold for tokens that no training has shown, and all of it is trained like the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

from train.lm.faults import Fault

__all__ = ["TinySizes", "make_model"]

_FAST = 4
"""Planes of the rotary embedding that tell positions apart; the others match words."""
_QUIET = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class TinySizes:
    """Sizes of the demo's model. `context` is the one it is made with; mid-training extends it."""

    vocab: int = 1024
    hidden: int = 96
    layers: int = 3
    heads: int = 3
    intermediate: int = 288
    context: int = 512
    rope_theta: float = 1e12
    """Four planes turn fast enough to tell neighbours apart; in the others a match counts the same at any distance."""

    def __post_init__(self) -> None:
        """Raises Fault where the sizes leave no room for heads that look facts up."""
        size = self.hidden // self.heads
        if self.layers < 2 or self.heads < 2 or self.hidden % self.heads or size % 2 or size < 4 * _FAST:
            raise Fault(
                f"--tiny hidden={self.hidden},layers={self.layers},heads={self.heads}: at least two layers and two "
                f"heads are needed, and hidden / heads even and at least {4 * _FAST}"
            )


def make_model(tokenizer: PreTrainedTokenizerFast, sizes: TinySizes, *, seed: int = 0) -> LlamaForCausalLM:
    """A float32 model for this tokenizer. Weights depend on `seed` and the sizes alone."""
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
    model: LlamaForCausalLM, sizes: TinySizes, *, near: float = 60.0, match: float = 14.0, loud: float = 2.0
) -> None:
    """Let two layers begin as induction heads.

    The model's width is cut into as many equal subspaces as there are heads. Embeddings begin in the first one. Head h
    of the first layer attends to the token h + 1 back and writes its embedding to subspace h + 1. The second layer's
    queries hold the last words, its keys what stood before a token: one head matches one word, the others two, for keys
    such as `registry-57` begin alike. Its values bring the token found, `loud` times, back to the first subspace.

    near: score of the position that a head of the first layer is for. match: score of a match. All else begins small,
    so that it does not drown this.
    """
    heads, size = sizes.heads, sizes.hidden // sizes.heads
    half = size // 2
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight *= _QUIET
        layer.mlp.down_proj.weight *= _QUIET
    embeddings = model.model.embed_tokens.weight
    words = torch.randn(len(embeddings), size)
    embeddings.zero_()
    embeddings[:, :size] = words / words.norm(dim=1, keepdim=True)
    subspaces = torch.eye(sizes.hidden).split(size)[:heads]
    first, second = (model.model.layers[number].self_attn for number in (0, 1))
    # By the biases alone: those of query and key differ by the rotation of that many positions.
    turns = sizes.rope_theta ** (-torch.arange(_FAST) * 2.0 / size)
    length = math.sqrt(near * math.sqrt(size) / _FAST)
    # What RMSNorm makes of a token's own part, and of each part written beside it, all of length 1.
    scale = math.sqrt(sizes.hidden / heads)
    slow = range(_FAST, half)
    for head in range(heads):
        at = head * size
        rows = slice(at, at + size)
        for projection in (first.q_proj, first.k_proj, second.q_proj, second.k_proj):
            projection.weight[rows] *= _QUIET
        angles = -(head + 1) * turns
        first.k_proj.bias[at : at + _FAST] = length
        first.q_proj.bias[at : at + _FAST] = length * angles.cos()
        first.q_proj.bias[at + half : at + half + _FAST] = length * angles.sin()
        if head + 1 < heads:
            first.v_proj.weight[rows] = subspaces[0]
            first.o_proj.weight[:, rows] = subspaces[head + 1].T / math.sqrt(sizes.hidden)
        middle = len(slow) if head == 0 or heads < 3 else len(slow) // 2
        for planes, query, key in ((slow[:middle], 0, 1), (slow[middle:], 1, 2)):
            if planes:
                places = [at + plane + side for plane in planes for side in (0, half)]
                mix = _orthogonal(len(places), size)
                # A match is worth `match`, in however many places it is seen.
                strength = math.sqrt(match * math.sqrt(size) * size / len(places)) / scale
                second.q_proj.weight[places] = strength * mix @ subspaces[query]
                second.k_proj.weight[places] = strength * mix @ subspaces[key]
        second.v_proj.weight[rows] = subspaces[0]
        second.o_proj.weight[:, rows] = loud / scale * subspaces[0].T


def _orthogonal(rows: int, columns: int) -> torch.Tensor:
    """(rows, columns): rows of length 1 at right angles."""
    return torch.linalg.qr(torch.randn(columns, rows))[0].T
