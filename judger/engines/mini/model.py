"""The trained part: reads a criterion beside its passage, word by word, and says not / partially / fully.

A cross-encoder (Nogueira and Cho 2019, arXiv 1901.04085): both texts in one sequence, every layer of the base encoder
tuned for it. Its word embeddings stay the base's, which are stored once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from judger.engines.mini.encoder import PAD, EncoderShape, Layer
from judger.engines.mini.passage import Reading


class Reader(nn.Module):
    """Readings -> logits (batch, 3) of not, partially, fully."""

    def __init__(self, shape: EncoderShape, words: nn.Embedding, dropout: float = 0.0) -> None:
        """words: the base encoder's embeddings, shared and not trained."""
        super().__init__()
        self.shape = shape
        self._words = [words]  # in a list: not a part of this module's weights
        width = shape.width
        self.positions = nn.Embedding(shape.positions, width)
        self.kind = nn.Parameter(torch.zeros(width))
        self.second = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(Layer(width, shape.heads, shape.inner, dropout) for _ in range(shape.layers))
        self.pool = nn.Linear(2 * width, width)
        self.out = nn.Linear(width, 3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor, mask: Tensor, second: Tensor) -> Tensor:
        """ids (batch, length); mask, true where there is a token; second, 1 in the passage -> (batch, 3)."""
        place = self.positions.weight[: ids.shape[1]]
        x = self._words[0](ids) + place + self.kind + second[..., None] * self.second
        x = self.dropout(self.norm(x))
        for layer in self.layers:
            x = layer(x, mask)
        weight = mask[..., None].to(x.dtype)
        mean = (x * weight).sum(1) / weight.sum(1)
        pooled = torch.tanh(self.pool(self.dropout(torch.cat([x[:, 0], mean], -1))))
        return self.out(self.dropout(pooled)).float()  # type: ignore[no-any-return]


def collate(readings: Sequence[Reading], device: str | torch.device = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """The reader's inputs, padded."""
    length = max(len(reading.ids) for reading in readings)
    ids = np.full((len(readings), length), PAD, np.int64)
    mask = np.zeros((len(readings), length), np.bool_)
    second = np.zeros((len(readings), length), np.float32)
    for row, reading in enumerate(readings):
        size = len(reading.ids)
        ids[row, :size], mask[row, :size], second[row, reading.second : size] = reading.ids, True, 1.0
    return (
        torch.from_numpy(ids).to(device),
        torch.from_numpy(mask).to(device),
        torch.from_numpy(second).to(device),
    )
