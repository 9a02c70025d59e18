"""The judger as verl's reward function: `reward.custom_reward_function.path=pkg://train.verl.reward`.

verl calls `compute_score` once for each trajectory, as soon as it ends, so that judging overlaps the rollouts; the
judger joins what arrives together into batches.

A failure is never a number, and neither is a blank report, unless `blank` says what one is worth. verl's reward is a
float in every place (`rm_scores` is a float tensor that starts as zeros), so there is no value that would mean "not
judged". What there is: an exception here fails the session, its trajectory is not put into the batch, and the others of
its prompt are kept (verl 0.9, trainer v1: `AgentLoopWorkerTQ._run_prompt`, `ReplayBuffer`). So a report that cannot be
judged raises, and verl counts it; with `trainer.v1.sampler.sync_refill_failed_groups` a prompt that lost all its
trajectories is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from judger.integrations._common import Unjudged
from judger.integrations.verl import compute_score_of

__all__ = ["Unjudged", "compute_score"]


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any],
    *,
    address: str,
    patience: float = 1800.0,
    **settings: Any,
) -> dict[str, float]:
    """The reward of one trajectory under the strict mapping, in verl's signature: `judger.integrations.verl`'s.

    Args:
        data_source: verl's name for the data set; not used.
        solution_str: the decoded response; the report where no agent loop says which part of it is the report.
        ground_truth: the criteria, as the JSON text of a case's `criteria`.
        extra_info: `query`, and from the agent loop `report` (empty where the policy spent its budget without one).
        address: HOST:PORT of the judger; this and what follows are `custom_reward_function.reward_kwargs`.
        patience: seconds to wait for a judger that does not answer.
        settings: the others of `judger.integrations._common.Grader`: `judge_id`, `timeout`, `blank`, ...

    Raises:
        Unjudged: a criterion is unscored, or the report is blank and has no number. JudgerError: the judger refused, or
        stayed away longer than `patience`.
    """
    door = compute_score_of(address, patience=patience, **settings)
    return await door(data_source, solution_str, ground_truth, extra_info)
