"""The doors of trainers that call a reward over HTTP: what they send as cases, and a number for each. Pure.

OpenRLHF   POST /get_reward {"query": [prompt + response], "prompts": [...], "labels": [rubric]}
           -> {"rewards": [...], "scores": [...], "extra_logs": {...}}; a score is the reward in [0, 1]
slime      POST /reward {"prompt", "response", "label": rubric} -> a bare number

A label is a rubric: JSON text, a list or an object, with the keys of any format (`judger.given`). Thoughts are
stripped from a response. A blank report is a case like any other, whose criteria are all unscored. Neither trainer
knows of a missing value, so that an unscored criterion is an error (NoValue) unless a number for it was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from judger.client.completions import answer_of, question_of, report_of, strip_reasoning, why_unscored, without_marks
from judger.errors import InvalidRequest, TooLarge
from judger.given import criteria_of
from judger.http.errors import NoValue
from judger.http.questions import Model, at_most, checked
from judger.types import LIMITS, Case, Judgement
from judger.validate import check_criteria, text_fault

__all__ = ["RewardBatch", "RewardRequest", "number_of", "read_batch", "read_reward", "write_batch"]


class RewardBatch(Model):
    """OpenRLHF's body."""

    query: list[str]
    prompts: Annotated[list[str], at_most(LIMITS.group_reports)]
    labels: Annotated[list[Any], at_most(LIMITS.group_reports)]


class RewardRequest(Model):
    """slime's body."""

    prompt: str | list[Any] = ""
    response: str
    label: Any


def read_batch(values: object, *, reasoning: bool = False) -> list[Case]:
    """One case a query. Raises InvalidRequest, TooLarge."""
    asked = values.get("query") if isinstance(values, dict) else None
    if isinstance(asked, list) and len(asked) > LIMITS.group_reports:
        raise TooLarge(f"query: has {len(asked):,} entries, more than the limit of {LIMITS.group_reports:,}")
    batch: RewardBatch = checked(RewardBatch, values)
    if not batch.query:
        raise InvalidRequest("query", "is empty: there is nothing to judge")
    for field in ("prompts", "labels"):
        if len(getattr(batch, field)) != len(batch.query):
            raise InvalidRequest(field, f"must have as many entries as query has: {len(batch.query)}")
    cases = []
    for i, (query, prompt, label) in enumerate(zip(batch.query, batch.prompts, batch.labels, strict=True)):
        response = answer_of(query, prompt, f"query[{i}]")
        report = response if reasoning else strip_reasoning(response)
        cases.append(_case(without_marks(prompt), report, label, f"query[{i}]", f"labels[{i}]"))
    return cases


def read_reward(values: object, *, reasoning: bool = False) -> Case:
    """The case. Raises InvalidRequest, TooLarge."""
    request: RewardRequest = checked(RewardRequest, values)
    report = report_of(request.response, reasoning=reasoning, field="response")
    return _case(question_of(request.prompt), report, request.label, "response", "label")


def _case(query: str, report: str, label: object, report_field: str, label_field: str) -> Case:
    if fault := text_fault(report, LIMITS.report_bytes, may_be_blank=True):
        if not text_fault(report, 2**62, may_be_blank=True):
            raise TooLarge(f"{report_field}: {fault}")
        raise InvalidRequest(report_field, f"{fault} (without its thoughts)")
    if fault := text_fault(query, LIMITS.query_bytes, may_be_blank=True):
        raise InvalidRequest(report_field, f"its prompt {fault}")
    criteria = criteria_of(label, label_field)
    check_criteria(criteria)
    return Case(id="", query=query, report=report, criteria=criteria)


def number_of(judgement: Judgement, unscored: float | None) -> float:
    """The reward, or the number chosen for a missing one. Raises NoValue with the reasons."""
    value = judgement.reward.value
    if value is not None:
        return value
    if unscored is None:
        raise NoValue(f"there is no reward: {why_unscored(judgement)}")
    return unscored


def write_batch(judgements: Sequence[Judgement], unscored: float | None) -> dict[str, Any]:
    """OpenRLHF's answer. Raises NoValue for the first judgement without a reward."""
    rewards = []
    for i, judgement in enumerate(judgements):
        try:
            rewards.append(number_of(judgement, unscored))
        except NoValue as error:
            raise NoValue(f"query[{i}]: {error}") from None
    scores = [min(1.0, max(0.0, reward)) for reward in rewards]
    missing = [float(judgement.reward.value is None) for judgement in judgements]
    return {"rewards": rewards, "scores": scores, "extra_logs": {"unscored": missing}}
