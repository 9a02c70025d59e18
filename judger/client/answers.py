"""What needs no server: what is refused, the answer to a blank report, and rewards out of answers."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from judger import wire
from judger.errors import InvalidRequest, JudgerError
from judger.given import expect, plain
from judger.reward import no_spread
from judger.types import LIMITS, Case, Criterion, Judgement, Mapping, Reason, Reward, Unscored, Verdict
from judger.v1 import judger_pb2 as pb
from judger.validate import check, text_fault

logger = logging.getLogger("judger")

BLANK = Unscored(Reason.NOT_JUDGEABLE, "the report is blank")


def check_blank(blank: object) -> float | None:
    """The reward of a blank report. Raises InvalidRequest where it is neither None nor a finite number."""
    number = plain(blank)
    if number is None:
        return None
    expect("blank", number, (float, int), "a number, or None for unscored")
    if not math.isfinite(number):
        raise InvalidRequest("blank", f"must be a finite number, not {number}")
    return float(number)


def check_case(case: Case) -> None:
    """Raises InvalidRequest for what no server would take."""
    check(case.query, case.report, case.criteria)
    check_tags(case)


def check_tags(case: Case) -> None:
    """The same of what stands beside the texts."""
    for field, text in (("request_id", case.id), ("language", case.language)):
        if fault := text_fault(text, wire.MAX_TAG_BYTES, may_be_blank=True):
            raise InvalidRequest(field, fault)


def refused_report(field: str, report: object) -> InvalidRequest | None:
    """Why a report of a group, and it alone, is not taken."""
    if not isinstance(report, str):
        return InvalidRequest(field, f"must be a text, not {type(report).__name__}")
    fault = text_fault(report, LIMITS.report_bytes) if report and not report.isspace() else None
    return None if fault is None else InvalidRequest(field, fault)


def unsent(case: Case, blank: float | None, mapping: Mapping, judge_id: str) -> Judgement | None:
    """The answer to a case whose report is blank, which no judge is asked for; None for any other.

    Every criterion is unscored, and the reward is `blank`. Raises InvalidRequest where the rest of the case is wrong.
    """
    if case.report and not case.report.isspace():
        return None
    check_case(replace(case, report="-"))
    weights = [criterion.weight for criterion in case.criteria]
    return Judgement(
        case_id=case.id,
        verdicts=tuple(Verdict(criterion_id=criterion.id, result=BLANK) for criterion in case.criteria),
        reward=Reward(
            value=blank,
            raw=None,
            normalized=None,
            clamped=None,
            positive_weight=math.fsum(weight for weight in weights if weight > 0),
            negative_weight=math.fsum(weight for weight in weights if weight < 0),
            mapping=mapping,
        ),
        judge_id=judge_id,
        criteria=case.criteria,
    )


def read_answer(response: pb.JudgeResponse, criteria: tuple[Criterion, ...]) -> Judgement | JudgerError:
    """An answer of a group or a stream in our types, with the rubric that it was given for."""
    if response.HasField("error"):
        return wire.error_from_status(response.error.code, response.error.message, response.error)
    return replace(wire.read_response(response), criteria=criteria)


def rewards(answers: Iterable[Judgement | JudgerError]) -> list[float | None]:
    """`reward.value` of each answer; None where a criterion is unscored or the item was refused, never a zero.

    What was refused is said once in the log of "judger", with the first reason.
    """
    answers = list(answers)
    refused = [answer for answer in answers if not isinstance(answer, Judgement)]
    if refused:
        logger.warning("%d of %d items were refused and have no reward: %s", len(refused), len(answers), refused[0])
    return [answer.reward.value if isinstance(answer, Judgement) else None for answer in answers]


class FlatGroups:
    """Counts groups whose reports all have one reward, and says so in the log: the first, the tenth, the hundredth."""

    def __init__(self) -> None:
        self.groups = self.flat = 0

    def see(self, rewards: Sequence[float | None], mapping: Mapping) -> None:
        """One group."""
        self.groups += 1
        if (told := no_spread(rewards, mapping)) is None:
            return
        self.flat += 1
        if str(self.flat).rstrip("0") == "1":
            logger.warning("%s (%d of %d groups so far)", told, self.flat, self.groups)
