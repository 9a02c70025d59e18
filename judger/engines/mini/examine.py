"""From similarities to evidence: the figures of one criterion, the units that hold it, the reader's input."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from judger.engines.mini import criterion as reading
from judger.engines.mini.features import (
    CRITERION_TOKENS,
    PASSAGE_TOKENS,
    PASSAGE_TOKENS_MAX,
    SIDE_TOKENS,
    Criterion,
    Evidence,
    Floats,
    Longs,
    Report,
    Similarity,
    bigrams,
    unit_length,
    unit_text,
)
from judger.engines.mini.text import Ints


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
    grams = bigrams(cids[core])
    gram_shares = [_member_share(grams, g) for g in (report.grams, bigrams(ids[rows]))]
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
