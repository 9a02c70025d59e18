"""The judger as verl's reward function: `reward.custom_reward_function.path=pkg://train.verl.reward`.

verl calls `compute_score` once for each trajectory, as soon as it ends, so that judging overlaps the rollouts; the
judger joins what arrives together into batches.

A failure is never a number. verl's reward is a float in every place (`rm_scores` is a float tensor that starts as
zeros), so there is no value that would mean "not judged". What there is: an exception here fails the session, its
trajectory is not put into the batch, and the others of its prompt are kept (verl 0.9, trainer v1:
`AgentLoopWorkerTQ._run_prompt`, `ReplayBuffer`). So a report that cannot be judged raises, and verl counts it; with
`trainer.v1.sampler.sync_refill_failed_groups` a prompt that lost all its trajectories is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from judger.client import Client, connect
from judger.types import Judgement, Role, Score

__all__ = ["Unjudged", "compute_score"]


class Unjudged(Exception):
    """There is no reward for this trajectory: it must leave the batch."""


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any],
    *,
    address: str,
    judge_id: str | None = None,
    timeout: float = 300.0,  # noqa: ASYNC109  the client's own deadline, which goes to the server
    patience: float = 1800.0,
) -> dict[str, float]:
    """The reward of one trajectory under the strict mapping, in verl's signature.

    Args:
        data_source: verl's name for the data set; not used.
        solution_str: the decoded response; the report where no agent loop says which part of it is the report.
        ground_truth: the criteria, as the JSON text of a case's `criteria`.
        extra_info: `query`, and from the agent loop `report` (empty where the policy spent its budget without one).
        address: HOST:PORT of the judger; this and what follows are `custom_reward_function.reward_kwargs`.
        judge_id: a pin; another judge than this one raises.
        timeout: seconds for one report.
        patience: seconds to wait for a judger that does not answer.

    Returns:
        `score`, the reward; and for the logs `raw`, the share of the weight that was earned by role (`explicit`,
        `implicit`, `negative`: of the flaws, the share that is present) and `flags`, the number of steering flags.

    Raises:
        Unjudged: a criterion is unscored. JudgerError: the judger refused, or stayed away longer than `patience`.
    """
    report = extra_info.get("report", solution_str)
    if not report.strip():
        # The policy's own failure, which a report that satisfies nothing would be worth as well; system failures
        # raise in the agent loop and never come here.
        return _figures(0.0, 0.0)
    judge = _client(address, judge_id, timeout, patience)
    judgement = await judge.judge(extra_info["query"], report, ground_truth, lane="training")
    value, raw = judgement.reward.value, judgement.reward.raw
    if value is None or raw is None:
        reasons = {str(why.reason) for why in judgement.unscored.values()}
        raise Unjudged(f"{len(judgement.unscored)} criteria are unscored: {', '.join(sorted(reasons))}")
    return _figures(value, raw, judgement)


@lru_cache(maxsize=8)
def _client(address: str, judge_id: str | None, timeout: float, patience: float) -> Client:
    """One client a process: it opens its channel at its first call and serves any event loop."""
    return connect(address, judge_id=judge_id, timeout=timeout, patience=patience)


def _figures(value: float, raw: float, judgement: Judgement | None = None) -> dict[str, float]:
    """The same keys every time: verl stacks them over the batch."""
    figures = {"score": value, "raw": raw, "flags": 0.0, **{str(role): 0.0 for role in Role}}
    if judgement is None:
        return figures
    figures["flags"] = float(len(judgement.flags))
    earned: dict[str, float] = dict.fromkeys(map(str, Role), 0.0)
    most = dict(earned)
    for criterion, verdict in zip(judgement.criteria, judgement.verdicts, strict=True):
        role, weight = str(criterion.role), abs(criterion.weight)
        most[role] += weight
        earned[role] += weight * (isinstance(verdict.result, Score) and verdict.result.satisfied)
    return figures | {role: earned[role] / most[role] for role in most if most[role]}
