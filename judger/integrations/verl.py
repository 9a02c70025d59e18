"""verl: a file of your own with `compute_score = compute_score_of("localhost:50051")`, named by
`reward.custom_reward_function.path`; `compute_score_blocking_of` for the managers that block (`remote`).

`ground_truth` has the rubric as JSON text; `extra_info` may have `query`, and `report` where an agent loop knows which
part of the response that is. A report without a reward raises Unjudged: verl has no missing value, and leaves out a
trajectory whose reward raised. So does a blank report, unless `blank=NUMBER` says what it is worth.

The trap: verl stacks the keys of a batch, so that every sample has the same: `score`, the reward; and for the logs
`raw`, the share of the weight that was earned by role (`explicit`, `implicit`, `negative`: of the flaws, the share that
is present) and `flags`, the number of steering flags.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from judger.integrations._common import Graded, Grader
from judger.types import Role, Score

__all__ = ["compute_score_blocking_of", "compute_score_of"]


def compute_score_of(address: str, **settings: Any) -> Callable[..., Awaitable[dict[str, float]]]:
    """verl's reward function; `settings` are those of `Grader`."""
    grader = Grader(address=address, **settings)

    async def compute_score(
        data_source: str, solution_str: str, ground_truth: object, extra_info: Mapping[str, Any] | None = None, **_: Any
    ) -> dict[str, float]:
        return _figures(await grader.grade(*_asked(solution_str, ground_truth, extra_info)))

    return compute_score


def compute_score_blocking_of(address: str, **settings: Any) -> Callable[..., dict[str, float]]:
    """The same for callers that are not async."""
    grader = Grader(address=address, **settings)

    def compute_score(
        data_source: str, solution_str: str, ground_truth: object, extra_info: Mapping[str, Any] | None = None, **_: Any
    ) -> dict[str, float]:
        return _figures(grader.wait(grader.grade(*_asked(solution_str, ground_truth, extra_info))))

    return compute_score


def _asked(solution: str, ground_truth: object, extra_info: Mapping[str, Any] | None) -> tuple[object, object, object]:
    more = extra_info or {}
    return more.get("query", ""), more.get("report", solution), ground_truth


def _figures(graded: Graded) -> dict[str, float]:
    value, judgement = graded.needed(), graded.judgement
    assert judgement is not None  # a reward comes of one
    earned = dict.fromkeys(map(str, Role), 0.0)
    most = dict(earned)
    for criterion, verdict in zip(judgement.criteria, judgement.verdicts, strict=True):
        role, weight = str(criterion.role), abs(criterion.weight)
        most[role] += weight
        earned[role] += weight * (isinstance(verdict.result, Score) and verdict.result.satisfied)
    shares = {role: earned[role] / most[role] if most[role] else 0.0 for role in most}
    raw = judgement.reward.raw  # None of a blank report that was given a number: nothing was earned
    return {"score": value, "raw": raw or 0.0, "flags": float(len(judgement.flags)), **shares}
