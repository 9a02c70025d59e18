"""From similarities to evidence: the figures of one criterion, and the units that hold it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from judger.engines.mini import criterion as reading
from judger.engines.mini.features import (
    Criterion,
    Evidence,
    Longs,
    Report,
    Similarity,
    bigrams,
    unit_length,
    unit_text,
)
from judger.engines.mini.selection import scores, select
from judger.engines.mini.text import Floats, Ints, Tokens


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


def _share(want: frozenset[str], have: frozenset[str]) -> float:
    return len(want & have) / len(want) if want else 1.0


def examine(report: Report, crit: Criterion, sims: Similarity, idf: Floats) -> Evidence:
    """The features of one criterion (in the order of `NAMES`) and the units that hold its evidence."""
    units, ids, sim = report.tokens.units, report.tokens.ids, sims.tokens
    weight, cids = crit.weight, crit.tokens.ids
    core = weight > 0
    unit_best = np.maximum.reduceat(sim, units[:, 0], axis=1)
    by_part = scores(unit_best, sims.parts, crit.parts)
    score = by_part.max(0)
    chosen = select(score, units)
    best, second = chosen[0], chosen[min(1, len(chosen) - 1)]
    rows = np.concatenate([np.arange(*units[u]) for u in chosen])
    unit_rows = np.arange(*units[best])

    def back(where: Longs) -> float:
        w = np.maximum(idf[ids[where]] - 1.0, 1e-3)
        return float((w * sim[core][:, where].max(0)).sum() / w.sum())

    heavy = weight / weight.max()
    in_pas, in_unit = (_isin(cids, ids[where], len(idf)) for where in (rows, unit_rows))
    rare = np.maximum(idf[ids[unit_rows]] - 1.0, 1e-3)
    word_back = float((rare * _isin(ids[unit_rows], cids[core], len(idf))).sum() / rare.sum())
    grams = bigrams(cids[core])
    pas_grams = np.unique(np.concatenate([bigrams(ids[slice(*units[u])]) for u in chosen]))
    near = sim[:, rows]
    aligned = near.argmax(1)
    moves = np.diff(aligned[core]) > 0
    order = float(moves.mean()) if len(moves) else 1.0
    best_text = unit_text(report, best)
    part = " \n ".join(unit_text(report, u) for u in chosen)
    part_numbers, part_words = reading.numbers(part), reading.words(part)
    unit_numbers, unit_words = reading.numbers(best_text), reading.words(best_text)
    negated = reading.is_negated(best_text)
    vector = unit_length(report.vectors[chosen].mean(0))
    unit = _shape(unit_best[:, best], weight)
    values = [
        *_shape(unit_best[:, chosen].max(1), weight),
        *(unit[0], unit[1], unit[3], float(weight @ unit_best[:, second]), back(unit_rows), back(rows)),
        *(float(sims.whole[best]), float(sims.core[best])),
        *(float(vector @ crit.vector), float(vector @ crit.core_vector)),
        *(float(weight @ in_pas), float(weight @ in_unit), word_back),
        *(_member_share(grams, pas_grams), _member_share(grams, bigrams(ids[unit_rows]))),
        *(float((heavy * ~in_pas).max()), float((heavy * ~in_unit).max()), order),
        *(_share(crit.numbers, part_numbers), _share(crit.numbers, unit_numbers), float(bool(crit.numbers))),
        float(bool(crit.numbers - part_numbers)),
        float(bool(crit.numbers) and bool(unit_numbers - crit.numbers)),
        *(_share(crit.names, part_words), _share(crit.names, unit_words), float(bool(crit.names))),
        float(bool(crit.names - part_words)),
        *(float(crit.negated), float(negated), float(crit.negated != negated), float(crit.reading.question)),
        *(float(crit.reading.wrapped), float(crit.reading.omission), float(crit.reading.contradiction)),
        *(float(np.log1p(len(cids))), float(np.log1p(core.sum())), float(np.log1p(len(unit_rows)))),
        *_weakest(crit, by_part.argmax(1), unit_best, sims.parts, report.tokens, len(idf)),
        *(float((crit.parts @ in_pas).min()), float(np.log1p(len(crit.parts)))),
    ]
    return Evidence(np.asarray(values, np.float32), chosen, score)


def _weakest(
    crit: Criterion, best: Longs, unit_best: Floats, cosine: Floats, tokens: Tokens, vocabulary: int
) -> list[float]:
    """How far the criterion's sentences are held by the unit that bears on each best (p,): a criterion of several is
    as satisfied as the one that the report bears out least. Mean similarity: lowest, mean; lowest cosine, words."""
    rows = np.arange(len(best))
    similar = (crit.parts * unit_best[:, best].T).sum(1)
    words = [
        float(part @ _isin(crit.tokens.ids, tokens.ids[slice(*tokens.units[unit])], vocabulary))
        for part, unit in zip(crit.parts, best, strict=True)
    ]
    return [float(similar.min()), float(similar.mean()), float(cosine[rows, best].min()), min(words)]


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
