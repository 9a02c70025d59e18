"""verl: a file of your own with `compute_score = compute_score_of("localhost:50051")`, named by
`reward.custom_reward_function.path`; `compute_score_blocking_of` for the managers that block (`remote`).

`ground_truth` has the rubric as JSON text; `extra_info` may have `query`, and `report` where an agent loop knows which
part of the response that is. A report without a reward raises Unjudged: verl has no missing value, and leaves out a
trajectory whose reward raised. Every sample has the same keys, as verl stacks them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from judger.integrations._common import Graded, Grader

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
    return {"score": value, "flags": float(len(judgement.flags)) if judgement is not None else 0.0}
