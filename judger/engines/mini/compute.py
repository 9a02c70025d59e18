"""From texts to states, and from evidence to probabilities: everything that is batched across cases and requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from judger.engines.mini.encoder import CLS, PAD, SEP, Encoder
from judger.engines.mini.examine import examine
from judger.engines.mini.features import MARKS, Criterion, Evidence, Report, similarities
from judger.engines.mini.forest import Forest
from judger.engines.mini.model import OMISSION, Reader, polarity
from judger.engines.mini.text import Floats, Tokens

ENCODE_TOKENS = 4096
"""Padded tokens of one encoder batch."""
READ_TOKENS = 8192
FOREST_SHARE = 0.5
SIMILARITY_CELLS = 1 << 24
"""Criterion tokens x report tokens of one product: 64 MiB."""


@dataclass(slots=True)
class Pair:
    """One criterion in one report, ready to be read."""

    report: Report
    criterion: Criterion
    evidence: Evidence


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


def read(readers: Iterable[Reader], forest: Forest | None, pairs: Sequence[Pair], device: str | torch.device) -> Floats:
    """Probabilities (pairs, 3) of not, partially, fully: readers' mean log-probabilities, and the forest's say."""
    readers = list(readers)
    out = np.zeros((len(pairs), 3), np.float32)
    for batch in batches([len(pair.evidence.own) for pair in pairs], READ_TOKENS):
        chosen = [pairs[i] for i in batch]
        inputs = collate(chosen, device)
        logs = torch.stack([polarity(reader(*inputs), inputs[4]).log_softmax(-1) for reader in readers]).mean(0)
        out[batch] = blend(logs.log_softmax(-1).cpu().numpy(), inputs[4].cpu().numpy(), forest)
    return out


def blend(logs: Floats, figures: Floats, forest: Forest | None) -> Floats:
    """Probabilities (n, 3) from log-probabilities (n, 3), their strict bit moved half way to the forest's logit.

    The strict bit is the core's: "fully" against the rest, and of an omission "not" against the rest.
    """
    if forest is None:
        return np.asarray(np.exp(logs), np.float32)
    omission = figures[:, OMISSION] > 0.5
    p = np.exp(np.where(omission[:, None], logs[:, ::-1], logs)).astype(np.float64)
    full = np.clip(p[:, 2], 1e-6, 1 - 1e-6)
    logit = (1 - FOREST_SHARE) * np.log(full / (1 - full)) + FOREST_SHARE * forest(figures)
    moved = 1 / (1 + np.exp(-logit))
    rest = p[:, :2] / np.maximum(p[:, :2].sum(1, keepdims=True), 1e-12)
    p = np.concatenate([rest * (1 - moved)[:, None], moved[:, None]], 1)
    return np.asarray(np.where(omission[:, None], p[:, ::-1], p), np.float32)


def collate(pairs: Sequence[Pair], device: str | torch.device) -> tuple[Tensor, ...]:
    """The reader's inputs, padded, in the order of `Reader.forward`."""
    length = max(len(pair.evidence.own) for pair in pairs)
    width = pairs[0].report.states.shape[1]
    own = torch.zeros(len(pairs), length, width, device=device)
    other = torch.zeros_like(own)
    marks = torch.zeros(len(pairs), length, MARKS)
    mask = torch.zeros(len(pairs), length, dtype=torch.bool)
    for row, pair in enumerate(pairs):
        found, first = pair.evidence, pair.evidence.side
        size = len(found.own)
        mine, theirs = torch.from_numpy(found.own).to(device), torch.from_numpy(found.other).to(device)
        own[row, :first] = pair.criterion.states[mine[:first]]
        own[row, first:size] = pair.report.states[mine[first:]]
        other[row, :first] = pair.report.states[theirs[:first]]
        other[row, first:size] = pair.criterion.states[theirs[first:]]
        marks[row, :size] = torch.from_numpy(found.marks)
        mask[row, :size] = True
    figures = torch.from_numpy(np.stack([pair.evidence.values for pair in pairs]))
    vectors = torch.from_numpy(np.stack([pair.evidence.vectors for pair in pairs]))
    return own, other, marks.to(device), mask.to(device), figures.to(device), vectors.to(device)
