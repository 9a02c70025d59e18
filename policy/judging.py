"""Reports judged by the judger's service, through its client: a group at once, failures named and never a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

from judger.client import Client
from judger.errors import JudgerError
from judger.types import Criterion, Judgement, Score
from policy.report import Checked, Checklist
from policy.trajectory import Record

__all__ = ["checklist_of", "judge_records", "judged"]


async def judge_records(
    records: Sequence[Record], query: str, criteria: Sequence[Criterion], judge: Client
) -> list[Record]:
    """The records with their verdicts. Without a report there is no reward; nor where the judge fails."""
    reports = [record["report"] for record in records if record["report"]]
    if not reports:
        return list(records)
    answers: Iterator[Judgement | JudgerError]
    try:
        answers = iter(await judge.judge_group_all(query, reports, criteria))
    except JudgerError as error:
        answers = repeat(error)
    return [judged(record, next(answers)) if record["report"] else record for record in records]


def judged(record: Record, judgement: Judgement | JudgerError) -> Record:
    """The record with a judgement in it, or with the error that refused its report."""
    if isinstance(judgement, JudgerError):
        return {**record, "judge_error": f"{type(judgement).__name__}: {judgement}"}
    return {
        **record,
        "reward": judgement.reward.value,
        "judge_id": judgement.judge_id,
        "judge_error": "",
        "verdicts": [_verdict(verdict.criterion_id, verdict.result) for verdict in judgement.verdicts],
    }


def checklist_of(judgement: Judgement, criteria: Sequence[Criterion]) -> Checklist:
    """The checklist as the report shows it."""
    rows = [
        Checked(
            criterion.text,
            criterion.weight,
            str(verdict.result.label) if isinstance(verdict.result, Score) else f"unscored: {verdict.result.reason}",
            verdict.result.satisfied if isinstance(verdict.result, Score) else None,
        )
        for criterion, verdict in zip(criteria, judgement.verdicts, strict=True)
    ]
    return Checklist(judgement.reward.value, judgement.judge_id, tuple(rows))


def _verdict(criterion_id: str, result: Any) -> dict[str, Any]:
    is_scored = isinstance(result, Score)
    return {
        "criterion_id": criterion_id,
        "label": str(result.label) if is_scored else None,
        "satisfied": result.satisfied if is_scored else None,
        "p_not": result.p_not if is_scored else None,
        "p_partial": result.p_partial if is_scored else None,
        "p_full": result.p_full if is_scored else None,
        "unscored": None if is_scored else str(result.reason),
    }
