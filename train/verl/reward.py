"""The judger as verl's reward function: `reward.custom_reward_function.path=pkg://train.verl.reward`.

verl calls `compute_score` once for each trajectory, as soon as it ends, so that judging overlaps the rollouts; the
judger joins what arrives together into batches.

What a trajectory is worth stands in `train.outcomes`, the same table as in `judger-train rl`. verl's reward is a float
in every place (`rm_scores` is a float tensor that starts as zeros), so there is no value that would mean "not judged".
What there is: an exception here fails the session, its trajectory is not put into the batch, and the others of its
prompt are kept (verl 0.9, trainer v1: `AgentLoopWorkerTQ._run_prompt`, `ReplayBuffer`). So what the table leaves out of
the batch raises, and verl counts it; with `trainer.v1.sampler.sync_refill_failed_groups` a prompt that lost all its
trajectories is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from judger.client.completions import report_of
from judger.given import criteria_of
from train.access import JudgeAccess
from train.scoring import Unjudged, score

__all__ = ["Unjudged", "compute_score"]


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any],
    *,
    address: str,
    mapping: str = "strict",
    patience: float = 1800.0,
    **settings: Any,
) -> dict[str, float]:
    """The reward of one trajectory, in verl's signature.

    Args:
        data_source: verl's name for the data set; not used.
        solution_str: the decoded response; the report where no agent loop says which part of it is the report.
        ground_truth: the criteria, as the JSON text of a case's `criteria`.
        extra_info: `query`, and from the agent loop `report` (empty where the policy spent its budget without one).
        address: HOST:PORT of the judger; this and what follows are `custom_reward_function.reward_kwargs`.
        mapping: how verdicts become the reward, by name.
        patience: seconds to wait for a judger that does not answer.
        settings: the others of `train.access.JudgeAccess`: `token_file`, `ca`, `judge_id`, `timeout`, ...

    Returns:
        What `train.scoring.score` gives: verl stacks it, and logs all of it.

    Raises:
        Unjudged: something else than the policy is to blame that there is no reward. JudgerError: the judger refused,
        or stayed away longer than `patience`. ConfigError: the settings are wrong.
    """
    access = JudgeAccess.checked(address=address, patience=patience, **settings)
    report = report_of(extra_info.get("report", solution_str))
    return await score(extra_info.get("query", ""), report, criteria_of(ground_truth), access, mapping=mapping)
