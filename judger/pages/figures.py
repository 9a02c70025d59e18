"""What a run comes to: rewards by system, parts by axis, domain and sign, what is unscored and why, what it cost.

Intervals are percentile bootstrap intervals over whole reports, as those of `judger agree`: the criteria of one report
stand or fall together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from judger.agreement.baselines import Floats
from judger.agreement.figures import Figure, draws, figure, ratio
from judger.pages.runs import Entry, digests
from judger.types import Criterion, Score, Unscored, Usage, Verdict

__all__ = ["overview", "paired"]

RESAMPLES = 1000
CLOSE = 0.1
"""A margin under which a verdict is a close call, as in the table of `judger score`."""


def overview(entries: Sequence[Entry], *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """The figures of the page's first view, as JSON. Rewards are `reward.value`; a case without one is in no mean."""
    judged = [entry for entry in entries if entry.judgement is not None]
    verdicts = [verdict for entry in judged for _, verdict in _pairs(entry)]
    reasons = Counter(v.result.reason.value for v in verdicts if isinstance(v.result, Unscored))
    weights = draws(len(judged), resamples, np.random.default_rng(seed))
    return {
        "cases": len(entries),
        "refused": len(entries) - len(judged),
        "criteria": len(verdicts),
        "without_reward": sum(_value(entry) is None for entry in judged),
        "unscored": dict(sorted(reasons.items())),
        "close": sum(isinstance(v.result, Score) and v.result.margin < CLOSE for v in verdicts),
        "flagged": sum(bool(entry.judgement.flags) for entry in judged if entry.judgement),
        "judge_ids": list(dict.fromkeys(entry.judgement.judge_id for entry in judged if entry.judgement)),
        "mappings": list(dict.fromkeys(entry.judgement.reward.mapping.value for entry in judged if entry.judgement)),
        "rubrics": digests(entries),
        "all": _rewards(judged, weights),
        "systems": sorted(
            (_rewards(judged, weights, "system", name) for name in dict.fromkeys(entry.system for entry in judged)),
            key=lambda row: math.inf if row["reward"]["value"] is None else -row["reward"]["value"],
        ),
        "domains": [_rewards(judged, weights, "domain", name) for name in sorted({entry.domain for entry in judged})],
        "axes": [
            _criteria(judged, weights, name, axis=name)
            for name in sorted({c.axis for entry in judged for c in entry.case.criteria})
        ],
        "signs": [
            _criteria(judged, weights, name, negative=negative)
            for name, negative in (("requirements", False), ("flaws", True))
            if any(c.is_negative is negative for entry in judged for c in entry.case.criteria)
        ],
        "cost": _cost(judged),
        "resamples": resamples,
    }


def paired(pairs: Sequence[tuple[Entry, Entry]], *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """Two runs on the same cases: the mean of the rewards' differences (second minus first), and how verdicts moved."""
    both = [(a, b) for first, second in pairs if (a := _value(first)) is not None and (b := _value(second)) is not None]
    gaps = np.array([b - a for a, b in both], dtype=np.float64)
    weights = draws(len(both), resamples, np.random.default_rng(seed))
    moves: Counter[str] = Counter()
    for first, second in pairs:
        other = {c.id: verdict for c, verdict in _pairs(second)}
        for criterion, verdict in _pairs(first):
            if criterion.id in other:
                moves[_move(verdict, other[criterion.id])] += 1
    return {
        "cases": len(pairs),
        "with_rewards": len(both),
        "difference": _mean(weights, gaps, np.ones(len(both)), len(both)),
        "higher": int((gaps > 0).sum()),
        "lower": int((gaps < 0).sum()),
        "moves": dict(moves),
    }


def _move(first: Verdict, second: Verdict) -> str:
    a, b = first.result, second.result
    if isinstance(a, Unscored) or isinstance(b, Unscored):
        return "unscored on a side"
    if a.satisfied != b.satisfied:
        return "now satisfied" if b.satisfied else "no longer satisfied"
    return "same" if a.label is b.label else "another label, same bit"


def _pairs(entry: Entry) -> list[tuple[Criterion, Verdict]]:
    if entry.judgement is None:
        return []
    return list(zip(entry.case.criteria, entry.judgement.verdicts, strict=True))


def _value(entry: Entry) -> float | None:
    return None if entry.judgement is None else entry.judgement.reward.value


def _rewards(judged: Sequence[Entry], weights: Floats, key: str = "", name: str = "") -> dict[str, Any]:
    """Of the entries whose `key` is that name; of all without one."""
    chosen = [not key or getattr(entry, key) == name for entry in judged]
    values = [_value(entry) if own else None for entry, own in zip(judged, chosen, strict=True)]
    known = np.array([value is not None for value in values], dtype=np.float64)
    numbers = np.array([value or 0.0 for value in values], dtype=np.float64)
    rewarded = int(known.sum())
    return {
        "name": name,
        "cases": sum(chosen),
        "rewarded": rewarded,
        "reward": _mean(weights, numbers, known, rewarded),
    }


def _criteria(
    judged: Sequence[Entry], weights: Floats, name: str, *, axis: str | None = None, negative: bool | None = None
) -> dict[str, Any]:
    """Of the criteria of an axis, or of a sign: how many, labels, and the share satisfied by the strict bit."""
    met, scored = np.zeros(len(judged)), np.zeros(len(judged))
    labels: Counter[str] = Counter()
    total = 0
    for i, entry in enumerate(judged):
        for criterion, verdict in _pairs(entry):
            if axis not in (None, criterion.axis) or negative not in (None, criterion.is_negative):
                continue
            total += 1
            if isinstance(verdict.result, Score):
                scored[i] += 1
                met[i] += verdict.result.satisfied
                labels[verdict.result.label.value] += 1
    return {
        "name": name,
        "criteria": total,
        "labels": dict(labels),
        "satisfied": _mean(weights, met, scored, int((scored > 0).sum())),
    }


def _mean(weights: Floats, above: Floats, below: Floats, reports: int) -> dict[str, float | None]:
    """above / below over reports, with its interval where there are at least two of them."""
    if not reports:
        return Figure(None).to_json()
    return figure(ratio(weights @ above, weights @ below), has_interval=reports > 1).to_json()


def _cost(judged: Sequence[Entry]) -> dict[str, float]:
    total: Counter[str] = Counter(dict.fromkeys(asdict(Usage()), 0))
    for entry in judged:
        if entry.judgement is not None:
            for name, value in asdict(entry.judgement.usage).items():
                total[name] += value
    return dict(total)
