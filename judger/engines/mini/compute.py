"""From texts to states, and from readings to log-probabilities: what is batched across cases and requests."""

from __future__ import annotations

from collections import defaultdict
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
    """The last states (n, d) of each text's tokens: every unit alone, beside those of the others.

    A unit that is there several times is encoded once: a group's reports share their criteria.
    """
    places: dict[bytes, list[tuple[int, int, int]]] = defaultdict(list)
    for text, tokens in enumerate(texts):
        for a, b in tokens.units:
            places[tokens.ids[a:b].tobytes()].append((text, int(a), int(b)))
    units = list(places.values())
    lengths = [b - a + 2 for ((_, a, b), *_) in units]
    states = [torch.zeros(len(tokens), encoder.shape.width, device=device) for tokens in texts]
    for batch in batches(lengths, ENCODE_TOKENS):
        length = max(lengths[i] for i in batch)
        ids = np.full((len(batch), length), PAD, np.int64)
        for row, i in enumerate(batch):
            text, a, b = units[i][0]
            ids[row, 0], ids[row, 1 : b - a + 1], ids[row, b - a + 1] = CLS, texts[text].ids[a:b], SEP
        mask = torch.arange(length) < torch.tensor([lengths[i] for i in batch])[:, None]
        (out,) = encoder(torch.from_numpy(ids).to(device), mask.to(device), (encoder.shape.layers,))
        for row, i in enumerate(batch):
            for text, a, b in units[i]:
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
