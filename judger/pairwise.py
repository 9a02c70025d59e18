"""Which of two reports is better; without criteria asked in both orders, because judges favour a place. Pure.

Averaging over both orders cancels the preference for a place, and their difference measures it (Zheng and others 2023,
arXiv 2306.05685, section 3.4).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from judger.types import Case, Criterion, Judgement, Probabilities

__all__ = ["Comparison", "Contest", "Preference", "compared", "duels"]

TIE = 1e-9
"""Two reports whose probability differs from a half by less are equal: the rest is rounding."""


class Preference(enum.StrEnum):
    """Which of two reports is better."""

    A = "a"
    B = "b"
    TIE = "tie"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two reports compared: by their rewards where there are criteria, else by P(a is better) in both orders."""

    case_id: str
    preference: Preference | None
    """None: no preference can be given, a criterion is unscored."""
    judge_id: str
    difference: float | None = None
    """Reward of a - reward of b; with criteria only, as are `a` and `b`."""
    a: Judgement | None = None
    b: Judgement | None = None
    p_a: float | None = None
    """Without criteria only, as is `position_bias`: P(first is better) in the mean of both orders, minus a half."""
    position_bias: float | None = None


@dataclass(frozen=True, slots=True)
class Contest:
    """P(a is better), and how far above a half P(the first one is better) lies in the mean of both orders."""

    p_a: float
    position_bias: float

    @property
    def preference(self) -> int:
        """1 for a, -1 for b, 0 for a tie."""
        return 0 if abs(self.p_a - 0.5) <= TIE else 1 if self.p_a > 0.5 else -1


def duels(a: Case, b: Case) -> tuple[Case, Case]:
    """The two cases for an engine's `PAIR_TIER`: a first, then b first. Both cases have the same query."""

    def duel(first: Case, second: Case) -> Case:
        rival = (Criterion(id="rival", text=second.report),)
        return replace(first, criteria=rival)

    return duel(a, b), duel(b, a)


def compared(a_first: Probabilities, b_first: Probabilities) -> Contest:
    """The contest from the verdicts of `duels`; a tie counts half for either."""
    first_ab, first_ba = (p.p_full + p.p_partial / 2 for p in (a_first, b_first))
    return Contest(p_a=(first_ab + 1 - first_ba) / 2, position_bias=(first_ab + first_ba) / 2 - 0.5)
