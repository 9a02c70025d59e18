"""From votes to a ranking: win-tie-loss, ratings on Elo's scale, position bias, with bootstrap intervals. Pure.

Ratings are those of a Bradley-Terry model fitted to all votes at once (I-LSR, Maystre and Grossglauser 2015, in
`choix`): what Elo's running updates approach, whatever the order of the votes. A tie is half a win for either (as in
Chatbot Arena, arXiv 2403.04132). 400 points are odds of ten to one; the mean of all systems is 1000. Resampled are
tasks, with all votes on them: votes on one task are not independent.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from judger.agreement.baselines import Floats
from judger.agreement.figures import Figure, draws, figure, ratio
from judger.evals.votes import Vote

__all__ = ["Ranking", "Standing", "ranking"]

PRIOR = 0.05
"""choix's regularisation, from every system to every other: one that never lost has a finite rating, too."""
POINTS = 400 / math.log(10)
MEAN = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One system."""

    system: str
    wins: float
    ties: float
    losses: float
    score: Figure
    """(wins + ties / 2) / votes"""
    rating: Figure
    """None where nobody voted on it."""

    def to_json(self) -> dict[str, Any]:
        counts = {"wins": self.wins, "ties": self.ties, "losses": self.losses}
        return {"system": self.system, **counts, "score": self.score.to_json(), "rating": self.rating.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """All systems in one dimension, the best first."""

    votes: int
    tasks: int
    standings: tuple[Standing, ...]
    against: dict[str, dict[str, tuple[int, int, int]]]
    """(wins, ties, losses) of a system against each other one."""
    answers: dict[str, int]
    """How often each was given."""
    left: Figure
    """The share of the points that went to the left side: 0.5 is no preference for a place. Of blind people."""
    position_bias: Figure
    """P(first is better) minus a half, mean over the pairs that a judge was asked in both orders."""
    is_connected: bool
    """Whether ratings can be compared: a chain of votes leads from every system to every other."""

    def to_json(self) -> dict[str, Any]:
        return {
            "votes": self.votes,
            "tasks": self.tasks,
            "standings": [standing.to_json() for standing in self.standings],
            "against": {a: {b: list(counts) for b, counts in row.items()} for a, row in self.against.items()},
            "answers": self.answers,
            "left_share": self.left.to_json(),
            "position_bias": self.position_bias.to_json(),
            "is_connected": self.is_connected,
        }


def ranking(votes: Sequence[Vote], systems: Sequence[str], *, resamples: int = 1000, seed: int = 0) -> Ranking:
    """The ranking of the systems by these votes, all of one dimension."""
    tasks = list(dict.fromkeys(vote.task for vote in votes))
    place, row = {name: i for i, name in enumerate(systems)}, {task: i for i, task in enumerate(tasks)}
    size = len(systems)
    won, tied = np.zeros((len(tasks), size, size)), np.zeros((len(tasks), size, size))
    people, judged = np.zeros((len(tasks), 2)), np.zeros((len(tasks), 2))
    for vote in votes:
        task, left, right, points = row[vote.task], place[vote.left], place[vote.right], vote.answer.points
        if points == 0.5:
            tied[task, left, right] += 1
            tied[task, right, left] += 1
        else:
            won[(task, left, right) if points else (task, right, left)] += 1
        if vote.position_bias is None:
            people[task] += (points, 1)
        else:
            judged[task] += (vote.position_bias, 1)
    weights = draws(len(tasks), resamples, np.random.default_rng(seed))
    beats = np.tensordot(weights, won + tied / 2, axes=1)  # [1 + resamples, winner, loser]
    counts = beats + beats.transpose(0, 2, 1)
    many = len(tasks) > 1
    ratings = np.stack([_ratings(matrix) for matrix in beats])
    scores = ratio(beats.sum(axis=2), counts.sum(axis=2))
    wins, ties = won.sum(axis=0), tied.sum(axis=0)
    standings = [
        Standing(
            system=name,
            wins=float(wins[i].sum()),
            ties=float(ties[i].sum()),
            losses=float(wins[:, i].sum()),
            score=figure(scores[:, i], has_interval=many),
            rating=figure(ratings[:, i], has_interval=many),
        )
        for name, i in place.items()
    ]
    standings.sort(key=lambda one: -math.inf if one.rating.value is None else one.rating.value, reverse=True)
    against = {
        a: {
            b: (int(wins[i, j]), int(ties[i, j]), int(wins[j, i]))
            for b, j in place.items()
            if wins[i, j] + ties[i, j] + wins[j, i]
        }
        for a, i in place.items()
    }
    of_people, of_judge = (weights @ sums for sums in (people, judged))
    return Ranking(
        votes=len(votes),
        tasks=len(tasks),
        standings=tuple(standings),
        against=against,
        answers=dict(Counter(vote.answer.value for vote in votes)),
        left=figure(ratio(of_people[:, 0], of_people[:, 1]), has_interval=many),
        position_bias=figure(ratio(of_judge[:, 0], of_judge[:, 1]), has_interval=many),
        is_connected=_is_connected(counts[0] > 0),
    )


def _ratings(beats: Floats) -> Floats:
    """[systems] on Elo's scale; NaN for those that nobody voted on."""
    import choix

    met = (beats + beats.T).sum(axis=1) > 0
    found = np.full(len(beats), np.nan)
    if met.sum() > 1:
        inner = beats[np.ix_(met, met)]
        strengths = choix.ilsr_pairwise_dense(inner, alpha=PRIOR)
        found[met] = MEAN + POINTS * (strengths - strengths.mean())
    return found


def _is_connected(met: np.ndarray[Any, np.dtype[np.bool_]]) -> bool:
    """Whether all systems that were voted on hang together."""
    from scipy.sparse.csgraph import connected_components

    there = met.any(axis=1)
    if not there.any():
        return False
    return int(connected_components(met[np.ix_(there, there)], directed=False)[0]) == 1
