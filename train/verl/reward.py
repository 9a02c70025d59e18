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

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from judger.client import Client
from judger.client.completions import report_of, why_unscored
from judger.errors import DeadlineExceeded, JudgerError, Overloaded
from judger.given import criteria_of
from judger.integrations._common import Unjudged
from judger.types import Criterion, Judgement, Options, Role, Score
from judger.types import Mapping as Credit
from train.access import JudgeAccess
from train.outcomes import at_worst, floor, is_refused

__all__ = ["Unjudged", "compute_score"]

_scored: set[JudgeAccess] = set()
"""Judges that have scored a report in this process: where one then can't read another, it is that report's doing."""


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
        `score`, and for verl's logs `raw` (the sum of weights earned), `flags` (of steering), `unread` (1 where what
        the report kept from being judged counts at its worst), and of each role the share of its weight satisfied.

    Raises:
        Unjudged: something else than the policy is to blame that there is no reward. JudgerError: the judger refused,
        or stayed away longer than `patience`. ConfigError: the settings are wrong.
    """
    access = JudgeAccess.checked(address=address, patience=patience, **settings)
    criteria, report = criteria_of(ground_truth), report_of(extra_info.get("report", solution_str))
    options = Options(mapping=Credit(mapping))
    if not report.strip():
        return _figures(criteria, floor(criteria))
    query = extra_info.get("query", "")
    try:
        judgement = await _client(access).judge(query, report, criteria, mapping=options.mapping, lane=options.lane)
    except JudgerError as error:
        if is_refused(error):
            return _figures(criteria, floor(criteria), unread=True)
        if isinstance(error, DeadlineExceeded | Overloaded):
            raise Unjudged(str(error)) from error
        raise
    if judgement.reward.value is not None:
        _scored.add(access)
        return _figures(criteria, judgement.reward.value, judgement)
    value = at_worst(judgement, criteria, options.mapping) if access in _scored else None
    if value is None:
        raise Unjudged(why_unscored(judgement))
    return _figures(criteria, value, judgement, unread=True)


@lru_cache(maxsize=8)
def _client(access: JudgeAccess) -> Client:
    return access.connect()


def _figures(
    criteria: Sequence[Criterion], value: float, judgement: Judgement | None = None, *, unread: bool = False
) -> dict[str, float]:
    """The same keys for every trajectory: verl stacks them."""
    verdicts = judgement.verdicts if judgement is not None else ()
    bits = {v.criterion_id: v.result.satisfied for v in verdicts if isinstance(v.result, Score)}
    shares = {}
    for role in Role:
        weights = [(abs(c.weight), bits.get(c.id, False)) for c in criteria if c.role is role]
        most = sum(weight for weight, _ in weights)
        shares[str(role)] = sum(weight for weight, is_there in weights if is_there) / most if most else 0.0
    raw = judgement.reward.raw if judgement is not None else None
    flags = float(len(judgement.flags)) if judgement is not None else 0.0
    return {"score": value, "raw": raw or 0.0, "flags": flags, "unread": float(unread), **shares}
