"""Lines of run files as they are written, and judgements put together from two of them."""

from __future__ import annotations

import json
from dataclasses import replace

from judger.evals.runfile import Judged
from judger.reward import reward
from judger.rubric import Record
from judger.rubric.members import on_one_line, with_members
from judger.types import Case, Judgement, Mapping, Options, Unscored

__all__ = ["as_sent", "completed", "open_criteria", "remapped", "run_line", "settled"]


def run_line(record: Record, judgement: str, **more: object) -> str:
    """The input's own object, its characters as they were, with the response (as JSON) and what else is given.

    A task of several reports becomes one line for each.
    """
    case = record.case
    new = {key: json.dumps(value, ensure_ascii=False) for key, value in more.items()} | {"judgement": judgement}
    is_task = "reports" in record.raw and "report" not in record.raw
    if is_task:
        new |= {key: json.dumps(text, ensure_ascii=False) for key, text in (("id", case.id), ("report", case.report))}
    text = record.text or json.dumps(record.raw)  # YAML: escaped, as its texts may be no Unicode
    return on_one_line(with_members(text, new, instead_of={"report": "reports"} if is_task else {}))


def as_sent(case: Case) -> Case:
    """The case as a server takes it: a monitor weighs 1 there, or -1 where it is a flaw."""
    if not any(criterion.is_monitor for criterion in case.criteria):
        return case
    return replace(case, criteria=tuple(criterion.weighed() for criterion in case.criteria))


def settled(case: Case, judgement: Judgement, options: Options) -> Judgement:
    """The judgement of `as_sent(case)` with the reward of the case itself: monitors count in nothing."""
    if not any(criterion.is_monitor for criterion in case.criteria):
        return judgement
    own = _reward(case, judgement, options.mapping, allow_unscored=options.allow_unscored)
    return replace(own, criteria=case.criteria)


def open_criteria(judged: Judged) -> Case | None:
    """The case with those criteria alone that have no verdict yet; None where all have one."""
    case = judged.case
    if judged.judgement is None:
        return case
    missing = tuple(
        criterion
        for criterion, verdict in zip(case.criteria, judged.judgement.verdicts, strict=True)
        if isinstance(verdict.result, Unscored)
    )
    return replace(case, criteria=missing) if missing else None


def completed(judged: Judged, new: Judgement, options: Options) -> Judgement:
    """The old judgement with the new verdicts in its gaps, and the reward of both. Two judges' ids are joined by +."""
    old = judged.judgement
    if old is None:
        return new
    found = {verdict.criterion_id: verdict for verdict in new.verdicts}
    verdicts = tuple(found.get(verdict.criterion_id, verdict) for verdict in old.verdicts)
    judge_id = old.judge_id if old.judge_id == new.judge_id else f"{old.judge_id}+{new.judge_id}"
    usage = replace(new.usage, cached_criteria=new.usage.cached_criteria + len(verdicts) - len(found))
    whole = replace(old, verdicts=verdicts, judge_id=judge_id, usage=usage, flags=new.flags)
    return _reward(judged.case, whole, options.mapping, allow_unscored=options.allow_unscored)


def remapped(case: Case, judgement: Judgement, mapping: Mapping) -> Judgement:
    """The judgement with its reward under another mapping; one that has gaps has none."""
    return _reward(case, judgement, mapping, allow_unscored=False)


def _reward(case: Case, judgement: Judgement, mapping: Mapping, *, allow_unscored: bool) -> Judgement:
    own = reward(case.criteria, judgement.verdicts, mapping=mapping, allow_unscored=allow_unscored)
    return replace(judgement, reward=own)
