"""Who caused what, and what an episode is then worth: one table for `train.rl` (PPO and GRPO), `train.verl` and
`train.environments`.

| what happened                                                   | who caused it | reward                  | learned |
|-----------------------------------------------------------------|---------------|-------------------------|---------|
| every criterion was scored                                      |               | the judge's             | yes     |
| no report: budget or window used up, or a blank one             | the policy    | the rubric's floor      | yes     |
| the judge refuses the report itself: over 2 MiB, no valid text  | the policy    | the rubric's floor      | yes     |
| criteria TOO_LONG, UNPARSABLE, UNSUPPORTED_LANGUAGE (*)         | the policy    | those at their worst    | yes     |
| criteria NOT_JUDGEABLE                                          | the task      | none                    | no      |
| criteria DEADLINE, ENGINE_ERROR; the call failed                | the judge     | none                    | no      |
| no report: model, tool or workspace failed                      | the system    | none                    | no      |

(*) Only where another report was scored, in the same batch (`train.rl`) or before in the same process (the others).
Where none was, tasks and judge do not fit each other, which is nobody's report.

A requirement at its worst is not satisfied, a flaw at its worst is there. All criteria at their worst are the rubric's
**floor**: the least that any report can get. So whatever a policy keeps from being judged, by silence, length,
gibberish or words that break the judge's reply, is never worth more than what it kept back, and trying is never worth
less than not trying. "Learned: no" means that none of the episode's tokens is in a loss, and that it is in no group's
mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from judger.errors import InvalidRequest, JudgerError, TooLarge
from judger.reward import reward
from judger.types import Criterion, Judgement, Label, Mapping, Reason, Score, Unscored, Verdict
from policy.episode import Episode

__all__ = ["BY_THE_REPORT", "EpisodeFailed", "at_worst", "blame_of", "floor", "is_refused"]

BY_THE_REPORT = frozenset({Reason.TOO_LONG, Reason.UNPARSABLE, Reason.UNSUPPORTED_LANGUAGE})
"""Why a criterion is unscored where what the policy wrote is the cause."""

_NOT = Score(Label.NOT_SATISFIED, 1.0, 0.0, 0.0, satisfied=False, margin=1.0)
_FULL = Score(Label.FULLY_SATISFIED, 0.0, 0.0, 1.0, satisfied=True, margin=1.0)


class EpisodeFailed(Exception):
    """The system, not the policy, ended an episode: there is nothing to train on."""


def blame_of(episode: Episode, *, is_full: bool) -> Literal["", "policy", "system"]:
    """Who is to blame that an ended episode has no report; empty where it has one. `is_full`: whether the policy wrote
    itself out of its window."""
    assert episode.finished is not None
    if episode.finished.report:
        return ""
    # The budget was used up without a report (then the last turn says so), or the policy's own words filled its window.
    # Any other end without a report is the model's backend's, or that of a prompt which never fitted.
    reply = episode.reply
    return "policy" if reply is not None and (reply.final or is_full) else "system"


def floor(criteria: Sequence[Criterion]) -> float:
    """The least reward that a report can get: every requirement missed, every flaw there. The same in each mapping."""
    value = reward(criteria, [Verdict(criterion_id=c.id, result=_worst(c)) for c in criteria]).value
    assert value is not None  # all are scored
    return value


def at_worst(judgement: Judgement, criteria: Sequence[Criterion], mapping: Mapping = Mapping.STRICT) -> float | None:
    """The reward with what the report kept from being scored at its worst; None where something else was the cause."""
    missing = {v.result.reason for v in judgement.verdicts if isinstance(v.result, Unscored)}
    if not missing <= BY_THE_REPORT:
        return None
    verdicts = [
        replace(verdict, result=_worst(criterion)) if isinstance(verdict.result, Unscored) else verdict
        for criterion, verdict in zip(criteria, judgement.verdicts, strict=True)
    ]
    return reward(criteria, verdicts, mapping=mapping).value


def is_refused(error: JudgerError) -> bool:
    """Whether it was the report that the judger would not take: too large, or no text that a message can hold."""
    return isinstance(error, TooLarge) or (isinstance(error, InvalidRequest) and error.field == "report")


def _worst(criterion: Criterion) -> Score:
    return _FULL if criterion.is_negative else _NOT
