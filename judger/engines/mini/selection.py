"""Which units of a report bear on a criterion: a rule that looks at a unit and the criterion, and at nothing else.

So text that is added, moved or marked up elsewhere comes in only where it bears on the criterion better itself.
"""

from __future__ import annotations

import numpy as np

from judger.engines.mini.text import Floats, Ints

UNITS = 6
PASSAGE_TOKENS = 192
FLOOR = 0.6
"""A unit that scores less than this share of the best one is not read."""


def scores(unit_best: Floats, cosine: Floats, parts: Floats) -> Floats:
    """(p, u) how far each unit bears on each sentence of the criterion.

    unit_best (n, u): each criterion token's best similarity in the unit; cosine (p, u) of the sentence with the unit;
    parts (p, n): the sentence's tokens by idf, each row sums to 1.
    """
    return np.asarray(1.25 * (parts @ unit_best) + 0.5 * cosine, np.float32)


def select(score: Floats, units: Ints) -> list[int]:
    """The best units by score (u,), best first: at most `UNITS` and `PASSAGE_TOKENS`, none far behind the first."""
    lengths = units[:, 1] - units[:, 0]
    order = np.argsort(-score, kind="stable")[:UNITS]
    first = int(order[0])
    chosen, room = [first], PASSAGE_TOKENS - int(lengths[first])
    for unit in order[1:]:
        if score[unit] < FLOOR * score[first] or lengths[unit] > room:
            break
        chosen.append(int(unit))
        room -= int(lengths[unit])
    return chosen
