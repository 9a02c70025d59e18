"""From verdicts to a reward: the strict mapping of the Step-DeepResearch report (section 4.3.2), and two others.

With b_i in [0, 1] the score of criterion i and w_i its signed weight:

    raw        = sum_i w_i b_i
    normalized = raw / sum of the positive w_i        (without positive weights: raw / sum |w_i|)
    clamped    = normalized in [0, 1]
    value      = normalized; with a triggered fatal criterion min(0, normalized)

The report gives no normalisation; dividing by the positive weights is what ResearchRubrics and HealthBench do. One
unscored criterion removes all four numbers: a failure is never a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from judger.types import Criterion, Label, Mapping, Reward, Score, Unscored, Verdict

TERNARY = {Label.NOT_SATISFIED: 0.0, Label.PARTIALLY_SATISFIED: 0.5, Label.FULLY_SATISFIED: 1.0}


def credit(score: Score, *, negative: bool, mapping: Mapping) -> float:
    """b_i in [0, 1]: how much of its weight a criterion earns, or costs."""
    match mapping:
        case Mapping.STRICT:
            return float(score.satisfied)
        case Mapping.TERNARY:
            return TERNARY[score.label]
        case Mapping.EXPECTED:
            return score.p_partial + score.p_full if negative else score.p_full


def reward(
    criteria: Sequence[Criterion],
    verdicts: Sequence[Verdict],
    *,
    mapping: Mapping = Mapping.STRICT,
    allow_unscored: bool = False,
) -> Reward:
    """The reward of one report.

    `verdicts` are in the order of `criteria`. With `allow_unscored` the scored criteria alone count, in the sum and
    in what it is divided by; with none scored there is still no value.
    """
    scored = [
        (criterion, verdict.result)
        for criterion, verdict in zip(criteria, verdicts, strict=True)
        if not isinstance(verdict.result, Unscored)
    ]
    counted = criteria if not allow_unscored else [criterion for criterion, _ in scored]
    positive = math.fsum(c.weight for c in counted if c.weight > 0)
    negative = math.fsum(c.weight for c in counted if c.weight < 0)
    if not scored or (len(scored) < len(criteria) and not allow_unscored):
        return Reward(
            value=None,
            raw=None,
            normalized=None,
            clamped=None,
            positive_weight=positive,
            negative_weight=negative,
            mapping=mapping,
        )
    raw = math.fsum(c.weight * credit(score, negative=c.is_negative, mapping=mapping) for c, score in scored)
    normalized = raw / (positive or -negative)
    fatal = any(c.fatal and score.satisfied for c, score in scored)
    return Reward(
        value=min(0.0, normalized) if fatal else normalized,
        raw=raw,
        normalized=normalized,
        clamped=min(1.0, max(0.0, normalized)),
        positive_weight=positive,
        negative_weight=negative,
        mapping=mapping,
        fatal=fatal,
    )
