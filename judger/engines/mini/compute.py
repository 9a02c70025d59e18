"""From texts to states, and from readings to log-probabilities: what is batched across cases and requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from judger.engines.mini.encoder import CLS, PAD, SEP, Encoder
from judger.engines.mini.examine import examine
from judger.engines.mini.features import Criterion, Evidence, Report, similarities
from judger.engines.mini.model import Reader, collate
from judger.engines.mini.passage import Reading
from judger.engines.mini.text import Floats, Tokens

ENCODE_TOKENS = 4096
"""Padded tokens of one encoder batch."""
READ_TOKENS = 4096
SIMILARITY_CELLS = 1 << 24
"""Criterion tokens x report tokens of one product: 64 MiB."""


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices in batches of similar length, padded size at most `budget` (or one alone)."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def encode(encoder: Encoder, texts: Sequence[Tokens], device: str | torch.device) -> list[Tensor]:
    """The last states (n, d) of each text's tokens: every unit alone, beside those of the others."""
    units = [(text, int(a), int(b)) for text, tokens in enumerate(texts) for a, b in tokens.units]
    states = [torch.zeros(len(tokens), encoder.shape.width, device=device) for tokens in texts]
    for batch in batches([b - a + 2 for _, a, b in units], ENCODE_TOKENS):
        length = max(units[i][2] - units[i][1] + 2 for i in batch)
        ids = np.full((len(batch), length), PAD, np.int64)
        sizes = []
        for row, i in enumerate(batch):
            text, a, b = units[i]
            ids[row, 0], ids[row, 1 : b - a + 1], ids[row, b - a + 1] = CLS, texts[text].ids[a:b], SEP
            sizes.append(b - a + 2)
        mask = torch.arange(length) < torch.tensor(sizes)[:, None]
        (out,) = encoder(torch.from_numpy(ids).to(device), mask.to(device), (encoder.shape.layers,))
        for row, i in enumerate(batch):
            text, a, b = units[i]
            states[text][a:b] = out[row, 1 : b - a + 1]
    return states


def examine_all(report: Report, criteria: Sequence[Criterion], idf: Floats) -> list[Evidence]:
    """Evidence for each criterion, the similarities in pieces that fit into memory."""
    found: list[Evidence] = []
    at = 0
    while at < len(criteria):
        end, size = at + 1, len(criteria[at].tokens)
        while end < len(criteria) and (size + len(criteria[end].tokens)) * len(report.tokens) <= SIMILARITY_CELLS:
            size += len(criteria[end].tokens)
            end += 1
        chunk = list(criteria[at:end])
        found += [examine(report, c, s, idf) for c, s in zip(chunk, similarities(report, chunk), strict=True)]
        at = end
    return found


def read(reader: Reader, readings: Sequence[Reading], device: str | torch.device = "cpu") -> Floats:
    """Log-probabilities (readings, 3) of not, partially, fully."""
    out = np.zeros((len(readings), 3), np.float32)
    for batch in batches([len(reading.ids) for reading in readings], READ_TOKENS):
        logits = reader(*collate([readings[i] for i in batch], device))
        out[batch] = logits.log_softmax(-1).cpu().numpy()
    return out
