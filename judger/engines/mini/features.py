"""Evidence for one criterion in one report: late interaction, words, numbers, names, negation; and which units hold it.

Late interaction follows ColBERT (Khattab and Zaharia 2020, arXiv 2004.12832, section 3): the best similarity of each
criterion token to any report token. It is taken over the whole report, over single units and over the few units that
are selected for the reader. Every feature is a maximum, a share or a quantile, so that none grows with the report.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from judger.engines.mini import criterion as reading
from judger.engines.mini.text import Ints, Tokens

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]
PASSAGE_TOKENS = 96
PASSAGE_TOKENS_MAX = 224
BIGRAM = 1 << 16
SIDE_TOKENS = 48
"""Report tokens on the reader's second side, at most."""
CRITERION_TOKENS = 160
"""Criterion tokens on its first side, at most (the core's last ones are dropped first)."""
MARKS = 7

NAMES = (
    *("all_mean", "all_min", "all_q10", "all_q25", "all_q50", "all_worst3"),
    *("pas_mean", "pas_min", "pas_q10", "pas_q25", "pas_q50", "pas_worst3"),
    *("unit_mean", "unit2_mean", "pair_mean", "back_mean", "pas_back_mean"),
    *("cos_unit1", "cos_unit2", "cos_core1", "cos_trio", "cos_passage", "cos_core_passage"),
    *("word_all", "word_pas", "word_unit", "bigram_all", "bigram_pas", "heavy_miss_all", "heavy_miss_pas", "order"),
    *("num_all", "num_pas", "num_has", "num_missing", "num_extra"),
    *("name_all", "name_pas", "name_has", "name_missing"),
    *("neg_criterion", "neg_unit", "neg_differs", "question", "wrapped", "omission", "contradiction"),
    *("log_tokens", "log_core"),
)


@dataclass(slots=True)
class Criterion:
    """A criterion made ready. states (n, d) unit length; weight (n,): idf of the core's tokens, else 0, sums to 1."""

    text: str
    tokens: Tokens
    states: Tensor
    vector: Tensor
    core_vector: Tensor
    weight: Floats
    reading: reading.Reading
    numbers: frozenset[str]
    names: frozenset[str]
    negated: bool


@dataclass(slots=True)
class Report:
    """A report made ready. states (n, d) unit length; vectors (u, d) of units, trios (u, d) of units and neighbours."""

    text: str
    tokens: Tokens
    states: Tensor
    vectors: Tensor
    trios: Tensor
    grams: Longs
    numbers: frozenset[str]
    words: frozenset[str]


@dataclass(slots=True)
class Evidence:
    """What `examine` found. units: the selected ones, in order; best: the one that decided."""

    values: Floats
    units: list[int]
    best: int
    own: Longs
    """(k,) criterion tokens of the reader's first side, then report tokens of its second."""
    other: Longs
    """(k,) what each is aligned with: report tokens, then criterion tokens."""
    side: int
    """How many are of the first side."""
    marks: Floats
    """(k, MARKS) similarity, equality, weight, whether in the core, whether the alignment moves on, side."""
    vectors: Floats
    """(3, d) of unit length: the core of the criterion, the deciding unit with its neighbours, the passage."""


@dataclass(frozen=True, slots=True)
class Similarity:
    """tokens (n_c, n_r); by unit (u,): cosine of the criterion, of its core, of its core with the unit's trio."""

    tokens: Floats
    whole: Floats
    core: Floats
    trio: Floats


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
    return Criterion(
        text,
        tokens,
        unit_length(raw - mean),
        unit_length(raw.mean(0)),
        unit_length(raw[inside].mean(0)),
        weight,
        read,
        reading.numbers(body),
        reading.names(body),
        reading.is_negated(body),
    )


def make_report(text: str, tokens: Tokens, raw: Tensor, mean: Tensor) -> Report:
    """raw (n, d) as in `make_criterion`."""
    lengths = torch.from_numpy(tokens.units[:, 1] - tokens.units[:, 0]).to(raw.device)
    sums = torch.segment_reduce(raw, "sum", lengths=lengths.long(), axis=0)
    trios = sums.clone()
    trios[1:] += sums[:-1]
    trios[:-1] += sums[1:]
    return Report(
        text,
        tokens,
        unit_length(raw - mean),
        unit_length(sums),
        unit_length(trios),
        bigrams(tokens.ids),
        reading.numbers(text),
        reading.words(text),
    )


def similarities(report: Report, criteria: list[Criterion]) -> list[Similarity]:
    """All criteria against the report in one product."""
    sim = (torch.cat([c.states for c in criteria]) @ report.states.T).cpu().numpy()
    whole = torch.stack([c.vector for c in criteria])
    core = torch.stack([c.core_vector for c in criteria])
    cosines = [
        (a @ b.T).cpu().numpy() for a, b in ((whole, report.vectors), (core, report.vectors), (core, report.trios))
    ]
    edges = np.cumsum([0, *(len(c.tokens) for c in criteria)])
    return [Similarity(sim[edges[i] : edges[i + 1]], *(c[i] for c in cosines)) for i in range(len(criteria))]


def unit_text(report: Report, unit: int) -> str:
    """The characters of one unit."""
    start, end = report.tokens.units[unit]
    return report.text[report.tokens.spans[start, 0] : report.tokens.spans[end - 1, 1]]
