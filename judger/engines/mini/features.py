"""Evidence for one criterion in one report: late interaction, words, numbers, names, negation; and which units hold it.

Late interaction follows ColBERT (Khattab and Zaharia 2020, arXiv 2004.12832, section 3): the best similarity of each
criterion token to any report token. It is taken over single units and over the few that `selection` chooses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from judger.engines.mini import criterion as reading
from judger.engines.mini.text import Floats, Ints, Tokens

Longs = NDArray[np.int64]
BIGRAM = 1 << 16
PARTS, PART_TOKENS, PART_WEIGHT = 8, 3, 0.05
"""Sentences of a criterion that are looked for one by one, at most; of a criterion's tokens and weight, at least."""

NAMES = (
    *("pas_mean", "pas_min", "pas_q10", "pas_q25", "pas_q50", "pas_worst3"),
    *("unit_mean", "unit_min", "unit_q25", "unit2_mean", "back_mean", "pas_back_mean"),
    *("cos_unit", "cos_core", "cos_passage", "cos_core_passage"),
    *("word_pas", "word_unit", "word_back", "bigram_pas", "bigram_unit", "heavy_miss_pas", "heavy_miss_unit", "order"),
    *("num_pas", "num_unit", "num_has", "num_missing", "num_extra"),
    *("name_pas", "name_unit", "name_has", "name_missing"),
    *("neg_criterion", "neg_unit", "neg_differs", "question", "wrapped", "omission", "contradiction"),
    *("log_tokens", "log_core", "log_unit"),
    *("part_min", "part_mean", "part_cos_min", "part_word_min", "part_pas_min", "log_parts"),
)


@dataclass(slots=True)
class Criterion:
    """A criterion made ready. states (n, d) unit length; weight (n,): idf of the core's tokens, else 0, sums to 1.

    parts (p, n): the same of each sentence of the core, or of the whole core where it is one; part_vectors (p, d).
    """

    text: str
    tokens: Tokens
    states: Tensor
    vector: Tensor
    core_vector: Tensor
    weight: Floats
    parts: Floats
    part_vectors: Tensor
    reading: reading.Reading
    numbers: frozenset[str]
    names: frozenset[str]
    negated: bool


@dataclass(slots=True)
class Report:
    """A report made ready. states (n, d) unit length; vectors (u, d) of units."""

    text: str
    tokens: Tokens
    states: Tensor
    vectors: Tensor


@dataclass(slots=True)
class Evidence:
    """What `examine` found. units: the selected ones, the one that decided first; score (u,) of every unit."""

    values: Floats
    units: list[int]
    score: Floats


@dataclass(frozen=True, slots=True)
class Similarity:
    """tokens (n_c, n_r); by unit (u,): cosine of the criterion, of its core; parts (p, u): of its core's sentences."""

    tokens: Floats
    whole: Floats
    core: Floats
    parts: Floats


def unit_length(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=-1, eps=1e-6)


def bigrams(ids: Ints) -> Longs:
    """The pairs of neighbouring tokens, sorted."""
    return np.unique(ids[:-1].astype(np.int64) * BIGRAM + ids[1:])


def make_criterion(text: str, tokens: Tokens, raw: Tensor, mean: Tensor, idf: Floats) -> Criterion:
    """raw (n, d): the encoder's last states of the criterion's tokens; mean (d,): the corpus mean of such states."""
    read = reading.read(text)
    core = tokens.spans[:, 0] >= read.start
    if not core.any():
        core[:] = True
    weight = np.where(core, np.maximum(idf[tokens.ids] - 1.0, 1e-3), 0).astype(np.float32)
    weight = weight / weight.sum()
    body = text[read.start :]
    inside = torch.from_numpy(core).to(raw.device)
    parts = _parts(weight, tokens)
    sentences = torch.from_numpy(parts > 0).to(raw.device, raw.dtype) @ raw
    return Criterion(
        text,
        tokens,
        unit_length(raw - mean),
        unit_length(raw.mean(0)),
        unit_length(raw[inside].mean(0)),
        weight,
        parts,
        unit_length(sentences),
        read,
        reading.numbers(body),
        reading.names(body),
        reading.is_negated(body),
    )


def _parts(weight: Floats, tokens: Tokens) -> Floats:
    """(p, n) the weight by sentence, each row summing to 1: the heaviest ones, none that weighs next to nothing."""
    rows = []
    for start, end in tokens.units:
        inside = np.zeros(len(weight), np.bool_)
        inside[start:end] = weight[start:end] > 0
        if inside.sum() >= PART_TOKENS and weight[inside].sum() >= PART_WEIGHT:
            rows.append(np.where(inside, weight, 0))
    if len(rows) <= 1:
        return weight[None]
    heaviest = sorted(range(len(rows)), key=lambda i: -float(rows[i].sum()))[:PARTS]
    kept = np.stack([rows[i] for i in sorted(heaviest)])
    return np.asarray(kept / kept.sum(1, keepdims=True), np.float32)


def make_report(text: str, tokens: Tokens, raw: Tensor, mean: Tensor) -> Report:
    """raw (n, d) as in `make_criterion`."""
    lengths = torch.from_numpy(tokens.units[:, 1] - tokens.units[:, 0]).to(raw.device)
    sums = torch.segment_reduce(raw, "sum", lengths=lengths.long(), axis=0)
    return Report(
        text,
        tokens,
        unit_length(raw - mean),
        unit_length(sums),
    )


def similarities(report: Report, criteria: list[Criterion]) -> list[Similarity]:
    """All criteria against the report in one product."""
    sim = (torch.cat([c.states for c in criteria]) @ report.states.T).cpu().numpy()
    whole = torch.stack([c.vector for c in criteria])
    core = torch.stack([c.core_vector for c in criteria])
    parts = (torch.cat([c.part_vectors for c in criteria]) @ report.vectors.T).cpu().numpy()
    by_whole, by_core = ((side @ report.vectors.T).cpu().numpy() for side in (whole, core))
    edges = np.cumsum([0, *(len(c.tokens) for c in criteria)])
    pieces = np.cumsum([0, *(len(c.parts) for c in criteria)])
    return [
        Similarity(sim[edges[i] : edges[i + 1]], by_whole[i], by_core[i], parts[pieces[i] : pieces[i + 1]])
        for i in range(len(criteria))
    ]


def unit_text(report: Report, unit: int) -> str:
    """The characters of one unit."""
    start, end = report.tokens.units[unit]
    return report.text[report.tokens.spans[start, 0] : report.tokens.spans[end - 1, 1]]
