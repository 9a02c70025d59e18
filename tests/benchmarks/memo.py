"""An encoder that remembers sentences, for benchmarks that judge one report in many versions.

The built-in judge encodes each sentence alone, so that a version with a paragraph moved holds nothing new. States
differ from those of a fresh run in the last bits only, as they do between batches.
"""

from __future__ import annotations

import torch
from torch import Tensor

from judger.engines.mini.encoder import PAD, Encoder


class Remembering:
    """Stands for the encoder of a `judger.engines.mini.checkpoint.Model`."""

    def __init__(self, encoder: Encoder, most: int = 400_000) -> None:
        """most: tokens that are kept, 1.5 KB each; with more all are forgotten."""
        self.shape = encoder.shape
        self.encoded = 0
        """Sentences that the encoder has seen."""
        self._encoder = encoder
        self._most = most
        self._held = 0
        self._states: dict[bytes, Tensor] = {}

    def __call__(self, ids: Tensor, mask: Tensor, upto: tuple[int, ...]) -> list[Tensor]:
        """As `Encoder.forward` for one layer."""
        (layer,) = upto
        sizes = mask.sum(1).tolist()
        keys = [bytes([layer]) + row[:size].numpy().tobytes() for row, size in zip(ids.cpu(), sizes, strict=True)]
        new = list(dict.fromkeys(row for row, key in enumerate(keys) if key not in self._states))
        if self._held > self._most:
            self._states.clear()
            self._held, new = 0, list(range(len(keys)))
        if new:
            length = max(sizes[row] for row in new)
            (out,) = self._encoder(ids[new, :length], mask[new, :length], upto)
            for row, states in zip(new, out, strict=True):
                self._states[keys[row]] = states[: sizes[row]].clone()
                self._held += sizes[row]
            self.encoded += len(new)
        full = torch.full((*ids.shape, self.shape.width), float(PAD), device=ids.device)
        for row, key in enumerate(keys):
            full[row, : sizes[row]] = self._states[key]
        return [full]
