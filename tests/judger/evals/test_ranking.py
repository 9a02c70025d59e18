"""Ratings from votes: against the model that drew them, and in the cases where there is little to go by."""

from __future__ import annotations

import math
import random

import pytest

from judger.evals.ranking import ranking
from judger.evals.votes import Answer, Vote


def vote(left, right, answer, task="t"):
    return Vote(task=task, dimension="overall", left=left, right=right, answer=answer)


def test_ratings_find_the_strengths_that_drew_the_votes_and_intervals_hold_them():
    rng = random.Random(7)
    elo = {"a": 1150.0, "b": 1000.0, "c": 850.0}
    votes = []
    for task in range(400):
        for left, right in (("a", "b"), ("c", "a"), ("b", "c")):
            wins = rng.random() < 1 / (1 + 10 ** ((elo[right] - elo[left]) / 400))
            votes.append(vote(left, right, Answer.LEFT if wins else Answer.RIGHT, task=str(task)))
    found = {one.system: one.rating for one in ranking(votes, list(elo), resamples=200).standings}
    for name, rating in found.items():
        assert rating.value == pytest.approx(elo[name], abs=30)
        assert rating.low < elo[name] < rating.high


def test_ties_alone_make_equals_and_the_order_of_the_sides_is_nothing():
    votes = [vote("a", "b", Answer.BOTH_POOR, str(i)) for i in range(5)]
    assert [one.rating.value for one in ranking(votes, ["a", "b"], resamples=10).standings] == [
        pytest.approx(1000),
        pytest.approx(1000),
    ]
    one = ranking([vote("a", "b", Answer.LEFT)], ["a", "b"], resamples=10)
    other = ranking([vote("b", "a", Answer.RIGHT)], ["a", "b"], resamples=10)
    assert one.standings == other.standings
    assert math.isfinite(one.standings[0].rating.value)  # though it never lost
    assert one.standings[0].rating.low is None  # one task can't be resampled


def test_systems_that_no_chain_of_votes_joins_are_told():
    votes = [vote("a", "b", Answer.LEFT), vote("c", "d", Answer.LEFT)]
    assert not ranking(votes, list("abcde"), resamples=5).is_connected
    votes.append(vote("b", "c", Answer.TIE))
    found = ranking(votes, list("abcde"), resamples=5)
    assert found.is_connected
    assert found.standings[-1].system == "e"
    assert found.standings[-1].rating.value is None  # nobody voted on it: no number
