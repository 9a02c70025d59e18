"""How far a judge's answers to "which of two reports" are people's. Pure.

A question is a pair in one dimension. Each person's answer is held against the judge's to the same question, in three
classes (left, neither, right: a tie of any kind is one) and in the five answers, where the judge has said which kind
of tie it is. Intervals resample whole tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from judger.agreement.figures import Figure, draws, figure, kappa, ratio
from judger.evals.votes import Answer, Vote

__all__ = ["Concord", "concord"]

SIDES = {0.0: 0, 0.5: 1, 1.0: 2}
"""Of an answer's points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concord:
    """People's answers beside the judge's."""

    n: int
    """People's answers to questions that the judge has answered, too."""
    same: Figure
    """The share that names the same side, or neither."""
    kappa: Figure
    """Cohen's, of the three classes: 0 is chance."""
    same_answer: Figure
    """The share with the same of the five answers, of those where the judge has given one of them."""

    def to_json(self) -> dict[str, Any]:
        figures = {"same": self.same, "kappa": self.kappa, "same_answer": self.same_answer}
        return {"n": self.n} | {name: value.to_json() for name, value in figures.items()}


def concord(people: Sequence[Vote], judged: Sequence[Vote], *, resamples: int = 1000, seed: int = 0) -> Concord | None:
    """The figures; None where no question was answered by both."""
    asked = {_question(vote): vote for vote in judged}
    pairs = [(vote, _turned(asked[key], vote.left)) for vote in people if (key := _question(vote)) in asked]
    if not pairs:
        return None
    tasks = {task: i for i, task in enumerate(dict.fromkeys(vote.task for vote, _ in pairs))}
    counts, answers = np.zeros((len(tasks), 3, 3)), np.zeros((len(tasks), 2))
    for vote, judge in pairs:
        row = tasks[vote.task]
        counts[row, SIDES[vote.answer.points], SIDES[judge.points]] += 1
        if judge is not Answer.TIE:
            answers[row] += (vote.answer is judge, 1)
    weights = draws(len(tasks), resamples, np.random.default_rng(seed))
    drawn = np.tensordot(weights, counts, axes=1)  # [1 + resamples, people, judge]
    of_five = weights @ answers
    many = len(tasks) > 1
    same = ratio(drawn.trace(axis1=1, axis2=2), drawn.sum(axis=(1, 2)))
    return Concord(
        n=len(pairs),
        same=figure(same, has_interval=many),
        kappa=figure(kappa(drawn), has_interval=many),
        same_answer=figure(ratio(of_five[:, 0], of_five[:, 1]), has_interval=many),
    )


def _question(vote: Vote) -> tuple[str, str, frozenset[str]]:
    return vote.task, vote.dimension, frozenset((vote.left, vote.right))


def _turned(vote: Vote, left: str) -> Answer:
    """The answer as it is with that system on the left."""
    other = {Answer.LEFT: Answer.RIGHT, Answer.RIGHT: Answer.LEFT}
    return vote.answer if vote.left == left else other.get(vote.answer, vote.answer)
