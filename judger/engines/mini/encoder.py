"""A BERT encoder that can stop and go on at any layer (Devlin et al. 2018, arXiv 1810.04805; post-norm).

Written out, and not taken from transformers, because the judge needs what that one hides: states in the middle
(a report is encoded once, and the upper layers read a criterion beside a passage) and one file for CPU and CUDA.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLS, SEP, PAD = 101, 102, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderShape:
    """Sizes of the encoder; the defaults are MiniLM-L6-H384's."""

    vocabulary: int = 30522
    width: int = 384
    layers: int = 6
    heads: int = 12
    inner: int = 1536
    positions: int = 512


class Layer(nn.Module):
    """One transformer layer: (batch, length, width) with a key mask (batch, length), true where there is a token."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width, eps=1e-12)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        a = a.transpose(1, 2).reshape(batch, length, width)
        x = self.norm1(x + self.dropout(self.out(a)))
        return self.norm2(x + self.dropout(self.down(F.gelu(self.up(x)))))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Embeddings and layers. `forward` gives the states after layers `upto`, in the order asked."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.words = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.positions, shape.width)
        self.kind = nn.Parameter(torch.zeros(shape.width))
        self.norm = nn.LayerNorm(shape.width, eps=1e-12)
        self.layers = nn.ModuleList(Layer(shape.width, shape.heads, shape.inner) for _ in range(shape.layers))

    def forward(self, ids: Tensor, mask: Tensor, upto: tuple[int, ...]) -> list[Tensor]:
        """ids (batch, length), mask (batch, length) bool -> states (batch, length, width) after each of `upto`."""
        position = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.words(ids) + self.positions(position) + self.kind)
        states = {0: x}
        for number, layer in enumerate(self.layers, 1):
            if number > max(upto):
                break
            x = layer(x, mask)
            states[number] = x
        return [states[n] for n in upto]


def from_bert(weights: dict[str, Tensor], shape: EncoderShape) -> Encoder:
    """An encoder from a `BertModel` state dict (names of transformers)."""
    encoder = Encoder(shape)
    state: dict[str, Tensor] = {
        "words.weight": weights["embeddings.word_embeddings.weight"],
        "positions.weight": weights["embeddings.position_embeddings.weight"],
        "kind": weights["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": weights["embeddings.LayerNorm.weight"],
        "norm.bias": weights["embeddings.LayerNorm.bias"],
    }
    names = {
        "out": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "up": "intermediate.dense",
        "down": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for i in range(shape.layers):
        old, new = f"encoder.layer.{i}.", f"layers.{i}."
        for kind in ("weight", "bias"):
            parts = [weights[f"{old}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            state[f"{new}qkv.{kind}"] = torch.cat(parts)
            for mine, theirs in names.items():
                state[f"{new}{mine}.{kind}"] = weights[f"{old}{theirs}.{kind}"]
    encoder.load_state_dict(state)
    return encoder.eval()
