"""Two judges' verdicts on the same reports, side by side: what changed, which way, on which kinds. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from judger.types import Case, Criterion, Judgement, Label, Reason, Score, Unscored

__all__ = ["Change", "Changes", "Kind", "Pair", "changes"]


@dataclass(frozen=True, slots=True)
class Pair:
    """One case with the old judgement and the new one; None where it was refused."""

    case: Case
    old: Judgement | None
    new: Judgement | None


@dataclass(frozen=True, slots=True)
class Change:
    """One criterion whose label changed, or that has a verdict on one side only."""

    case_id: str
    criterion: Criterion
    old: Score | Unscored
    new: Score | Unscored

    @property
    def size(self) -> float:
        """How far P(fully) + P(partially) / 2 moved; 0 where a side has none."""
        if isinstance(self.old, Unscored) or isinstance(self.new, Unscored):
            return 0.0
        return abs(_expected(self.new) - _expected(self.old))


@dataclass(slots=True)
class Kind:
    """The counts of all criteria, of one sign of weight or of one axis. `compared` have a verdict on both sides."""

    criteria: int = 0
    compared: int = 0
    same: int = 0
    """Same label."""
    up: int = 0
    """The strict bit went from unsatisfied to satisfied; of a flaw: it is now found."""
    down: int = 0
    newly_scored: int = 0
    newly_unscored: int = 0
    labels: Counter[tuple[Label, Label]] = field(default_factory=Counter)
    """(old, new)"""

    def add(self, old: Score | Unscored, new: Score | Unscored) -> None:
        """Counts one criterion."""
        self.criteria += 1
        if isinstance(old, Unscored) or isinstance(new, Unscored):
            self.newly_scored += isinstance(new, Score)
            self.newly_unscored += isinstance(old, Score)
            return
        self.compared += 1
        self.labels[old.label, new.label] += 1
        self.same += old.label is new.label
        self.up += new.satisfied and not old.satisfied
        self.down += old.satisfied and not new.satisfied

    def to_json(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in ("criteria", "compared", "same", "up", "down")}
        counts |= {"newly_scored": self.newly_scored, "newly_unscored": self.newly_unscored}
        moves = {f"{old.value} -> {new.value}": n for (old, new), n in sorted(self.labels.items()) if old is not new}
        return {**counts, "moves": moves}


@dataclass(slots=True)
class Changes:
    """Everything that `judger rejudge` shows."""

    cases: int
    kinds: dict[str, Kind]
    """all, requirements, flaws."""
    axes: dict[str, Kind]
    changed: list[Change]
    """The largest moves first; then what has a verdict on one side only."""
    old_rewards: list[float]
    """Of the cases that have a reward on both sides, as `new_rewards`; the others count in neither."""
    new_rewards: list[float]

    @property
    def without_both(self) -> int:
        """Cases without a reward on one side or both."""
        return self.cases - len(self.new_rewards)

    def to_json(self) -> dict[str, Any]:
        n = len(self.new_rewards)
        return {
            "cases": self.cases,
            "kinds": {name: kind.to_json() for name, kind in self.kinds.items()},
            "axes": {name: kind.to_json() for name, kind in self.axes.items()},
            "rewards": {
                "compared": n,
                "missing": self.without_both,
                "old_mean": sum(self.old_rewards) / n if n else None,
                "new_mean": sum(self.new_rewards) / n if n else None,
                "up": sum(new > old for old, new in zip(self.old_rewards, self.new_rewards, strict=True)),
                "down": sum(new < old for old, new in zip(self.old_rewards, self.new_rewards, strict=True)),
            },
            "changed": [_change(change) for change in self.changed],
        }


def changes(pairs: Iterable[Pair]) -> Changes:
    """What changed. A monitor counts among the criteria, and in no reward."""
    found = Changes(0, {name: Kind() for name in ("all", "requirements", "flaws")}, {}, [], [], [])
    for pair in pairs:
        found.cases += 1
        for criterion, old, new in _results(pair):
            found.kinds["all"].add(old, new)
            found.kinds["flaws" if criterion.is_negative else "requirements"].add(old, new)
            found.axes.setdefault(criterion.axis, Kind()).add(old, new)
            labels = [result.label if isinstance(result, Score) else None for result in (old, new)]
            if labels[0] is not labels[1]:
                found.changed.append(Change(pair.case.id, criterion, old, new))
        values = [None if judgement is None else judgement.reward.value for judgement in (pair.old, pair.new)]
        if values[0] is not None and values[1] is not None:
            found.old_rewards.append(values[0])
            found.new_rewards.append(values[1])
    found.changed.sort(key=lambda change: -change.size)
    found.axes = dict(sorted(found.axes.items()))
    return found


def _results(pair: Pair) -> Iterator[tuple[Criterion, Score | Unscored, Score | Unscored]]:
    old, new = (_verdicts(pair.case, judgement) for judgement in (pair.old, pair.new))
    yield from zip(pair.case.criteria, old, new, strict=True)


def _verdicts(case: Case, judgement: Judgement | None) -> list[Score | Unscored]:
    if judgement is None:
        return [Unscored(Reason.ENGINE_ERROR, "refused")] * len(case.criteria)
    return [verdict.result for verdict in judgement.verdicts]


def _expected(score: Score) -> float:
    return score.p_full + score.p_partial / 2


def _change(change: Change) -> dict[str, Any]:
    def side(result: Score | Unscored) -> str:
        return result.label.value if isinstance(result, Score) else f"unscored: {result.reason.value}"

    criterion = change.criterion
    return {
        "case": change.case_id,
        "criterion": criterion.id,
        "text": criterion.text,
        "weight": criterion.weight,
        "axis": criterion.axis,
        "old": side(change.old),
        "new": side(change.new),
        "moved": change.size,
    }
