"""The trained part: reads aligned pairs of tokens and the evidence's figures, says not / partially / fully.

Each token of the criterion comes with the report token that it aligns with best, and each token of the deciding unit
with its criterion token: [a, b, |a - b|, a * b], as in ESIM (Chen et al. 2017, arXiv 1609.06038, section 3.2), in
the frozen encoder's space. A small transformer reads this sequence; its pooled state meets the figures of `features`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from judger.engines.mini.features import MARKS, NAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderShape:
    """Sizes of the reader."""

    states: int = 384
    width: int = 128
    layers: int = 2
    heads: int = 4
    figures: int = len(NAMES)
    dropout: float = 0.2
    token_dropout: float = 0.1


OMISSION = NAMES.index("omission")


def polarity(logits: Tensor, figures: Tensor) -> Tensor:
    """The reader speaks of the core; of an omission the answer is turned round. Both (batch, ...)."""
    omission = figures[:, OMISSION, None] > 0.5
    return torch.where(omission, logits.flip(-1), logits)


class Reader(nn.Module):
    """(batch, k) aligned tokens and (batch, figures) -> logits (batch, 3) of not, partially, fully."""

    def __init__(self, shape: ReaderShape) -> None:
        super().__init__()
        self.shape = shape
        d = shape.width
        self.register_buffer("centre", torch.zeros(shape.figures))
        self.register_buffer("scale", torch.ones(shape.figures))
        self.look = nn.Linear(shape.states, d, bias=False)
        self.mix = nn.Linear(4 * d + MARKS, d)
        layer = nn.TransformerEncoderLayer(
            d, shape.heads, 2 * d, shape.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, shape.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(d)
        self.pool = nn.Linear(d, 1)
        self.sense = nn.Linear(shape.states, d, bias=False)
        self.senses = nn.Sequential(nn.Linear(4 * d, d), nn.GELU(), nn.Dropout(shape.dropout))
        self.figures = nn.Sequential(nn.Linear(shape.figures, d), nn.GELU(), nn.Dropout(shape.dropout))
        self.head = nn.Sequential(nn.Dropout(shape.dropout), nn.Linear(5 * d, d), nn.GELU(), nn.Dropout(shape.dropout))
        self.out = nn.Linear(d, 3)

    def standard(self, figures: Tensor) -> Tensor:
        """Figures in the training set's units, clipped: what was never seen must not carry far."""
        return ((figures - self.centre) / self.scale).clamp(-4, 4)  # type: ignore[no-any-return,operator]

    def forward(
        self, own: Tensor, other: Tensor, marks: Tensor, mask: Tensor, figures: Tensor, vectors: Tensor
    ) -> Tensor:
        """One logit a label.

        own, other (batch, k, states) centred unit vectors; marks (batch, k, MARKS); mask (batch, k), true where there
        is a token; figures (batch, figures); vectors (batch, 3, states): core, deciding unit, passage.
        """
        a, b = self.look(own) * 8, self.look(other) * 8
        x = self.mix(torch.cat([a, b, (a - b).abs(), a * b, marks], -1))
        x = nn.functional.gelu(x)
        x = self.norm(self.layers(x, src_key_padding_mask=~mask))
        first = mask & (marks[..., -1] < 0.5)
        attention = self.pool(x).squeeze(-1).masked_fill(~mask, -torch.inf).softmax(-1)
        low = x.masked_fill(~first[..., None], torch.inf).amin(1)
        high = x.masked_fill(~mask[..., None], -torch.inf).amax(1)
        pooled = torch.cat([torch.einsum("bk,bkd->bd", attention, x), low, high], -1)
        wide = self.figures(self.standard(figures))
        core, unit, passage = (self.sense(vectors) * 8).unbind(1)
        senses = self.senses(torch.cat([core * unit, (core - unit).abs(), core * passage, (core - passage).abs()], -1))
        return self.out(self.head(torch.cat([pooled, wide, senses], -1)))  # type: ignore[no-any-return]
