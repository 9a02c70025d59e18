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


def _grams(ids: Ints) -> Longs:
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
        _grams(tokens.ids),
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


def _shape(best: Floats, weight: Floats) -> list[float]:
    """best (n,): similarity by criterion token -> weighted mean, minimum, quantiles, worst run of three."""
    use = weight > 1e-3 * weight.max()
    values, w = best[use], weight[use]
    order = np.argsort(values)
    cumulative = np.cumsum(w[order]) / w.sum()
    q = [float(values[order[min(int(np.searchsorted(cumulative, x)), len(values) - 1)]]) for x in (0.1, 0.25, 0.5)]
    three = np.ones(min(3, len(w)))
    runs = np.convolve(values * w, three, "valid") / np.convolve(w, three, "valid")
    return [float((values * w).sum() / w.sum()), float(values.min()), *q, float(runs.min())]


def select(unit_best: Floats, cosine: Floats, weight: Floats, units: Ints, budget: int) -> list[int]:
    """Units for the reader: the best first, then by what they add, each with its neighbours, while the budget lasts."""
    lengths = units[:, 1] - units[:, 0]
    if int(lengths.sum()) <= budget:
        return list(range(len(units)))
    bonus = 0.5 * cosine + 0.25 * (weight @ unit_best)
    chosen: set[int] = set()
    covered = np.zeros(len(weight), np.float32)
    room = budget
    for _ in range(4):
        gain = weight @ np.maximum(unit_best, covered[:, None]) + bonus
        gain[list(chosen)] = -9
        top = int(gain.argmax())
        for unit in (top, top + 1, top - 1):
            if 0 <= unit < len(units) and unit not in chosen and (lengths[unit] <= room or not chosen):
                chosen.add(unit)
                room -= int(lengths[unit])
                covered = np.maximum(covered, unit_best[:, unit])
        if room < 8:
            break
    return sorted(chosen)


def _share(want: frozenset[str], have: frozenset[str]) -> float:
    return len(want & have) / len(want) if want else 1.0


def examine(report: Report, crit: Criterion, sims: Similarity, idf: Floats) -> Evidence:
    """The features of one criterion (in the order of `NAMES`) and the units that hold its evidence."""
    units, ids, sim = report.tokens.units, report.tokens.ids, sims.tokens
    weight, cids = crit.weight, crit.tokens.ids
    core = weight > 0
    unit_best = np.maximum.reduceat(sim, units[:, 0], axis=1)
    alone = weight @ unit_best
    best = int((1.25 * alone + 0.5 * sims.core).argmax())  # `select` takes it first
    chosen = select(unit_best, sims.core, weight, units, min(PASSAGE_TOKENS + len(cids), PASSAGE_TOKENS_MAX))
    rows = np.concatenate([np.arange(*units[u]) for u in chosen])
    unit_rows = np.arange(*units[best])
    neighbours = np.maximum(unit_best[:, 1:], unit_best[:, :-1])
    pair = float((weight @ neighbours).max()) if len(units) > 1 else float(alone.max())
    ranked = np.sort(alone)[::-1]

    def back(where: Longs) -> float:
        w = np.maximum(idf[ids[where]] - 1.0, 1e-3)
        return float((w * sim[core][:, where].max(0)).sum() / w.sum())

    heavy = weight / weight.max()
    in_all, in_pas, in_unit = (_isin(cids, x, len(idf)) for x in (ids, ids[rows], ids[unit_rows]))
    grams = _grams(cids[core])
    gram_shares = [_member_share(grams, g) for g in (report.grams, _grams(ids[rows]))]
    near = sim[:, rows]
    aligned = near.argmax(1)
    moves = np.diff(aligned[core]) > 0
    order = float(moves.mean()) if len(moves) else 1.0
    own, other, side, marks = _align(near, aligned, rows, unit_rows, crit, ids, idf)
    part = " \n ".join(unit_text(report, u) for u in chosen)
    best_text = unit_text(report, best)
    part_numbers, part_words = reading.numbers(part), reading.words(part)
    negated = reading.is_negated(best_text)
    vector = unit_length(report.vectors[chosen].mean(0))
    cos = np.sort(sims.whole)[::-1]
    values = [
        *_shape(sim.max(1), weight),
        *_shape(unit_best[:, chosen].max(1), weight),
        *(float(ranked[0]), float(ranked[min(1, len(ranked) - 1)]), pair, back(unit_rows), back(rows)),
        *(float(cos[0]), float(cos[min(1, len(cos) - 1)]), float(sims.core.max()), float(sims.trio.max())),
        *(float(vector @ crit.vector), float(vector @ crit.core_vector)),
        *(float(weight @ in_all), float(weight @ in_pas), float(weight @ in_unit), *gram_shares),
        *(float((heavy * ~in_all).max()), float((heavy * ~in_pas).max()), order),
        *(_share(crit.numbers, report.numbers), _share(crit.numbers, part_numbers), float(bool(crit.numbers))),
        float(bool(crit.numbers - part_numbers)),
        float(bool(crit.numbers) and bool(reading.numbers(best_text) - crit.numbers)),
        *(_share(crit.names, report.words), _share(crit.names, part_words), float(bool(crit.names))),
        float(bool(crit.names - part_words)),
        *(float(crit.negated), float(negated), float(crit.negated != negated), float(crit.reading.question)),
        *(float(crit.reading.wrapped), float(crit.reading.omission), float(crit.reading.contradiction)),
        *(float(np.log1p(len(cids))), float(np.log1p(core.sum()))),
    ]
    vectors = torch.stack([crit.core_vector, report.trios[best], vector]).cpu().numpy()
    return Evidence(np.asarray(values, np.float32), chosen, best, own, other, side, marks, vectors)


def _isin(wanted: Ints, have: Ints, vocabulary: int) -> NDArray[np.bool_]:
    flags = np.zeros(vocabulary, np.bool_)
    flags[have] = True
    return flags[wanted]


def _member_share(wanted: Longs, have: Longs) -> float:
    """Share of `wanted` in the sorted `have`."""
    if not len(wanted) or not len(have):
        return 0.0
    at = np.minimum(np.searchsorted(have, wanted), len(have) - 1)
    return float((have[at] == wanted).mean())


def _align(
    near: Floats, aligned: Longs, rows: Longs, unit_rows: Longs, crit: Criterion, ids: Ints, idf: Floats
) -> tuple[Longs, Longs, int, Floats]:
    """The reader's input: criterion tokens with their best report tokens, and the best unit's tokens with theirs."""
    cids, core = crit.tokens.ids, crit.weight > 0
    first = np.arange(len(cids))[:CRITERION_TOKENS]
    place = np.searchsorted(rows, unit_rows[unit_rows <= rows[-1]])
    second = place[np.isin(rows[np.minimum(place, len(rows) - 1)], unit_rows)]
    if len(second) < SIDE_TOKENS:  # short units: read on in the passage
        around = np.argsort(np.abs(np.arange(len(rows)) - (second.mean() if len(second) else 0)), kind="stable")
        second = np.sort(around[:SIDE_TOKENS])
    second = second[:SIDE_TOKENS]
    back = np.where(core[:, None], near[:, second], -2).argmax(0)
    step = np.diff(aligned, prepend=aligned[:1] - 1)
    jump = np.diff(back, prepend=back[:1] - 1)
    weight = crit.weight / crit.weight.max()
    rare = np.maximum(idf[ids[rows[second]]] - 1, 0) / 10

    def mark(sim: Floats, equal: NDArray[np.bool_], w: Floats, inside: Floats, moved: Longs, side: float) -> Floats:
        columns = (sim, equal, w, inside, moved == 1, np.clip(moved / 8, -1, 1), np.full(len(sim), side))
        return np.stack(columns, 1).astype(np.float32)

    marks = np.concatenate(
        [
            mark(
                near[first, aligned[first]],
                cids[first] == ids[rows[aligned[first]]],
                weight[first],
                core[first].astype(np.float32),
                step[first],
                0.0,
            ),
            mark(
                near[back, second],
                cids[back] == ids[rows[second]],
                rare,
                np.isin(rows[second], unit_rows).astype(np.float32),
                jump,
                1.0,
            ),
        ]
    )
    own, other = np.concatenate([first, rows[second]]), np.concatenate([rows[aligned[first]], back])
    return own, other, len(first), marks


def unit_text(report: Report, unit: int) -> str:
    """The characters of one unit."""
    start, end = report.tokens.units[unit]
    return report.text[report.tokens.spans[start, 0] : report.tokens.spans[end - 1, 1]]
