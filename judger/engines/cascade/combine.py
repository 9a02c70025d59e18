"""How the levels' answers become one. Pure functions.

Judges have thresholds of their own. Before they meet, what a judge says of P(satisfied) is shifted in log-odds so that
its threshold lies at 0.5: its strict bit stays what it is, and margins can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from judger.engines.base import Outcome
from judger.types import Probabilities, Reason, Unscored
from judger.verdict import Calibration, is_distribution, p_satisfied

__all__ = ["Said", "is_settled", "mean", "own"]

LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class Said:
    """What one judge of a level says of a criterion, on the common scale."""

    name: str
    outcome: Outcome


def own(outcome: Outcome, calibration: Calibration, *, negative: bool) -> Outcome:
    """A judge's outcome, calibrated, with its threshold at 0.5. What is no distribution is ENGINE_ERROR."""
    p = outcome.result
    if isinstance(p, Unscored):
        return outcome
    if not is_distribution(p):
        return replace(outcome, result=Unscored(Reason.ENGINE_ERROR, "no distribution over the labels"))
    p = calibration.apply(p)
    threshold = calibration.negative_threshold if negative else calibration.positive_threshold
    before = min(max(p_satisfied(p, negative=negative), LEAST), 1 - LEAST)
    odds = before / (1 - before) * (1 - threshold) / threshold
    after = odds / (1 + odds)
    # At the threshold itself the bit is set: rounding must not undo that.
    if (before >= threshold) != (after >= 0.5):
        after = 0.5 if before >= threshold else math.nextafter(0.5, 0.0)
    up, down = after / before, (1 - after) / (1 - before)
    sides = (down, up, up) if negative else (down, down, up)
    return replace(outcome, result=Probabilities(p.p_not * sides[0], p.p_partial * sides[1], p.p_full * sides[2]))


def mean(said: Sequence[Said], *, negative: bool) -> Outcome:
    """The mean of a level's judges, and in the rationale how far they are apart; unscored where one of them is.

    A mean of fewer judges than the settings name would be another judge's verdict.
    """
    if len(said) == 1:
        return said[0].outcome
    outcomes = [one.outcome for one in said]
    prompt, shared = sum(one.prompt_tokens for one in outcomes), sum(one.shared_tokens for one in outcomes)
    for one in said:
        if isinstance(one.outcome.result, Unscored):
            why = Unscored(one.outcome.result.reason, f"{one.name}: {one.outcome.result.detail}")
            return Outcome(result=why, prompt_tokens=prompt, shared_tokens=shared)
    found = [one.result for one in outcomes if isinstance(one.result, Probabilities)]
    columns = zip(*((one.p_not, one.p_partial, one.p_full) for one in found), strict=True)
    above = [p_satisfied(one, negative=negative) for one in found]
    told = ", ".join(f"{one.name} {value:.2f}" for one, value in zip(said, above, strict=True))
    reasons = [f"{one.name}: {one.outcome.rationale}" for one in said if one.outcome.rationale]
    spread = f"P(satisfied) of {len(found)} judges: {told}; they differ by {max(above) - min(above):.2f}"
    return Outcome(
        result=Probabilities(*(sum(column) / len(found) for column in columns)),
        evidence=next((one.evidence for one in outcomes if one.evidence), ()),
        rationale="\n".join([spread, *reasons]),
        prompt_tokens=prompt,
        shared_tokens=shared,
    )


def is_settled(outcome: Outcome, margin: float, *, negative: bool) -> bool:
    """Whether the first level's answer stands: at least `margin` from the threshold."""
    p = outcome.result
    return isinstance(p, Probabilities) and abs(p_satisfied(p, negative=negative) - 0.5) >= margin
