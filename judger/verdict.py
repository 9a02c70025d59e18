"""From label probabilities to a verdict: calibration, thresholds, margin. Pure functions.

Temperature scaling follows Guo et al. 2017 (arXiv 1706.04599), with a bias per class. The strict bit is the one of
the Step-DeepResearch report, section 4.3.2: a requirement counts when fully satisfied, a flaw when there is any trace.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from judger.types import Criterion, Label, Probabilities, Reason, Score, Span, Unscored, Verdict

TINY = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """p' = softmax((log p + bias) / temperature) over (not, partially, fully), and where "satisfied" begins.

    The identity leaves probabilities as they are. It is part of `judge_id`.
    """

    temperature: float = 1.0
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    positive_threshold: float = 0.5
    negative_threshold: float = 0.5
    partial_threshold: float = 0.5
    fitted_on: str = ""
    fitted_for: str = ""
    """The `Identity.model_id` that it was fitted for; empty for one that a model's own files hold."""

    def __post_init__(self) -> None:
        numbers = (self.temperature, *self.bias)
        if len(self.bias) != 3 or not all(map(math.isfinite, numbers)) or self.temperature <= 0:
            raise ValueError("calibration: temperature must be positive and finite, bias three finite numbers")
        for name in ("positive_threshold", "negative_threshold", "partial_threshold"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"calibration: {name} must lie between 0 and 1")

    def apply(self, p: Probabilities) -> Probabilities:
        """Calibrated probabilities."""
        return self._scale(p, 1.0 / self.temperature, self.bias)

    def invert(self, p: Probabilities) -> Probabilities:
        """What the engine said before `apply`."""
        return self._scale(p, self.temperature, tuple(-b / self.temperature for b in self.bias))

    @staticmethod
    def _scale(p: Probabilities, factor: float, bias: tuple[float, ...]) -> Probabilities:
        logits = [
            (math.log(max(value, TINY)) + shift) * factor
            for value, shift in zip((p.p_not, p.p_partial, p.p_full), bias, strict=True)
        ]
        top = max(logits)
        weights = [math.exp(logit - top) for logit in logits]
        total = sum(weights)
        return Probabilities(*(weight / total for weight in weights))


IDENTITY = Calibration()


def p_satisfied(p: Probabilities | Score, *, negative: bool) -> float:
    """P(the strict bit is set)."""
    return p.p_partial + p.p_full if negative else p.p_full


def is_distribution(p: Probabilities) -> bool:
    """True for three finite, non-negative numbers that sum to 1."""
    # NaN makes any comparison false, infinity the sum.
    return min(p.p_not, p.p_partial, p.p_full) >= 0 and abs(p.p_not + p.p_partial + p.p_full - 1) <= 1e-3


def score(p: Probabilities, *, negative: bool, calibration: Calibration = IDENTITY) -> Score | Unscored:
    """The score of one criterion. Probabilities that are no distribution become ENGINE_ERROR, never a number."""
    if not is_distribution(p):
        values = (p.p_not, p.p_partial, p.p_full)
        return Unscored(Reason.ENGINE_ERROR, f"the engine gave no distribution over the labels: {values}")
    if calibration is not IDENTITY:
        p = calibration.apply(p)
    threshold = calibration.negative_threshold if negative else calibration.positive_threshold
    above = p_satisfied(p, negative=negative)
    satisfied = above >= threshold
    if satisfied and not negative:
        label = Label.FULLY_SATISFIED
    elif negative and not satisfied:
        label = Label.NOT_SATISFIED
    else:  # two labels are left: the lower and the higher of the pair on this side of the strict bit
        low, high = (p.p_partial, p.p_full) if negative else (p.p_not, p.p_partial)
        names = (
            (Label.PARTIALLY_SATISFIED, Label.FULLY_SATISFIED)
            if negative
            else (Label.NOT_SATISFIED, Label.PARTIALLY_SATISFIED)
        )
        label = names[bool(high >= calibration.partial_threshold * max(low + high, TINY))]
    return Score(label, p.p_not, p.p_partial, p.p_full, satisfied, abs(above - threshold))


def confidence(score: Score) -> float:
    """The calibrated probability of the label that is shown."""
    return {
        Label.NOT_SATISFIED: score.p_not,
        Label.PARTIALLY_SATISFIED: score.p_partial,
        Label.FULLY_SATISFIED: score.p_full,
    }[score.label]


def why_unlikely(score: Score, *, negative: bool) -> str:
    """Why the label that is shown has less than half of the probability; empty where it has more.

    The strict bit comes first, by its threshold; then the likelier of the labels on that side of it.
    """
    if confidence(score) >= 0.5:
        return ""
    above = p_satisfied(score, negative=negative)
    threshold = above - score.margin if score.satisfied else above + score.margin
    side = f"{'any trace of it' if negative else 'fully'} has {percent(above)}"
    place = "over" if score.satisfied else "under"
    is_close = percent(above) == percent(threshold)
    side += f", just {place} its threshold" if is_close else f", {place} its {percent(threshold)}"
    if score.satisfied is not negative:  # one label is left
        return side
    others = f"in part {percent(score.p_partial)}, present {percent(score.p_full)}"
    if not negative:
        others = f"not {percent(score.p_not)}, partially {percent(score.p_partial)}"
    pair = (score.p_partial, score.p_full if negative else score.p_not)
    by = "" if confidence(score) >= max(pair) else ", as calibrated"
    return f"{side}; else {others}{by}"


def percent(value: float) -> str:
    """A probability, rounded half up."""
    return f"{math.floor(100 * value + 0.5)}%"


def verdict(
    criterion: Criterion,
    outcome: Probabilities | Unscored,
    *,
    calibration: Calibration = IDENTITY,
    rationale: str | None = None,
    evidence: tuple[Span, ...] = (),
) -> Verdict:
    """The verdict on one criterion from what the engine gave for it."""
    result = (
        outcome
        if isinstance(outcome, Unscored)
        else score(outcome, negative=criterion.is_negative, calibration=calibration)
    )
    return Verdict(criterion_id=criterion.id, result=result, rationale=rationale, evidence=evidence)
