"""From verdicts to a reward: the strict mapping of the Step-DeepResearch report (section 4.3.2), and two others.

With b_i in [0, 1] the score of criterion i and w_i its signed weight:

    raw        = sum_i w_i b_i
    normalized = raw / sum of the positive w_i        (without positive weights: raw / sum |w_i|)
    value      = normalized; with a triggered fatal criterion min(0, normalized)
    clamped    = value in [0, 1]

The report gives no normalisation; dividing by the positive weights is what ResearchRubrics and HealthBench do. One
unscored criterion removes all four numbers: a failure is never a number. With `allow_unscored` the scored criteria
alone count, unless what is missing decides the reward: a fatal criterion, or every requirement of the rubric. All
numbers are finite: `judger.validate` refuses weights that differ by more than a double tells apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from judger.types import Criterion, Mapping, Reward, Unscored, Verdict

SAME = 1e-9
"""Rewards that differ by no more are one: it is rounding."""


def reward(
    criteria: Sequence[Criterion],
    verdicts: Sequence[Verdict],
    *,
    mapping: Mapping = Mapping.STRICT,
    allow_unscored: bool = False,
) -> Reward:
    """The reward of one report.

    `verdicts` are in the order of `criteria`. With `allow_unscored` the scored criteria alone count, in the sum and
    in what it is divided by; where what is missing decides, there is still no value. Monitors (weight 0) count in
    nothing, scored or not.
    """
    weighed = [(c, verdict) for c, verdict in zip(criteria, verdicts, strict=True) if not c.is_monitor]
    criteria, verdicts = [c for c, _ in weighed], [verdict for _, verdict in weighed]
    scored = [
        (criterion, verdict.result)
        for criterion, verdict in zip(criteria, verdicts, strict=True)
        if not isinstance(verdict.result, Unscored)
    ]
    counted = criteria if not allow_unscored else [criterion for criterion, _ in scored]
    positive = math.fsum(c.weight for c in counted if c.weight > 0)
    negative = math.fsum(c.weight for c in counted if c.weight < 0)
    missing = [c for c, verdict in zip(criteria, verdicts, strict=True) if isinstance(verdict.result, Unscored)]
    if not scored or (missing and (not allow_unscored or _is_decided_by(missing, criteria))):
        return Reward(
            value=None,
            raw=None,
            normalized=None,
            clamped=None,
            positive_weight=positive,
            negative_weight=negative,
            mapping=mapping,
        )
    raw = math.fsum(c.weight * score.credit(mapping, negative=c.is_negative) for c, score in scored)
    normalized = raw / (positive or -negative)
    fatal = any(c.fatal and score.satisfied for c, score in scored)
    value = min(0.0, normalized) if fatal else normalized
    return Reward(
        value=value,
        raw=raw,
        normalized=normalized,
        clamped=min(1.0, max(0.0, value)),
        positive_weight=positive,
        negative_weight=negative,
        mapping=mapping,
        fatal=fatal,
    )


def _is_decided_by(missing: Sequence[Criterion], criteria: Sequence[Criterion]) -> bool:
    """Whether no reward can be told without them: a fatal flaw may be there, or nothing is left that earns."""
    lost, requirements = (sum(c.weight > 0 for c in some) for some in (missing, criteria))
    is_bare = lost == requirements if requirements else len(missing) == len(criteria)
    return is_bare or any(c.fatal for c in missing)


def no_spread(rewards: Sequence[float | None], mapping: Mapping) -> str | None:
    """What to say of a group whose reports all have one reward: a trainer that compares them learns nothing.

    None where they differ, or where fewer than two have a reward.
    """
    known = [value for value in rewards if value is not None]
    if len(known) < 2 or max(known) - min(known) > SAME:
        return None
    told = f"no spread: all {len(known)} reports of the group have the reward {known[0]:.3g}, which teaches nothing"
    return told if mapping is Mapping.EXPECTED else f"{told}; the mapping EXPECTED also counts how sure the judge is"
