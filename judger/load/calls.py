"""What is sent: real cases, each call with reports of its own, so that no cache answers in the engine's place."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from judger import wire
from judger.types import Case, Options
from judger.v1 import judger_pb2 as pb


@dataclass(frozen=True, slots=True)
class Call:
    """One call, serialised."""

    case_id: str
    body: bytes
    reports: int
    criteria: int
    """Of all its reports."""


class Calls:
    """The call of any index.

    Args:
        cases: taken in an order that the seed shuffles, again and again.
        options: of every call.
        group: reports of a JudgeGroup call; 0 sends Judge calls.
        repeat: send the cases as they are. Otherwise every report begins with a line of its own, another one in every
            run: neither the verdict cache nor a prefix cache knows it.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        options: Options,
        *,
        group: int = 0,
        repeat: bool = False,
        seed: int = 0,
        judge_id: str = "",
    ) -> None:
        self.method = "JudgeGroup" if group else "Judge"
        self.group = group
        self._cases = list(cases)
        random.Random(seed).shuffle(self._cases)
        self._run = "" if repeat else secrets.token_hex(4)
        # All but the reports, once: serialised messages that follow each other are one message.
        self._frames = [self._frame(case, options, judge_id) for case in self._cases]

    def __getitem__(self, index: int) -> Call:
        place = index % len(self._cases)
        case = self._cases[place]
        if self.group:
            reports = [self._report(case, index, part) for part in range(self.group)]
            own = pb.JudgeGroupRequest(request_id=f"{case.id}/{index}", reports=reports).SerializeToString()
        else:
            own = pb.JudgeRequest(
                request_id=f"{case.id}/{index}", report=self._report(case, index, 0)
            ).SerializeToString()
        number = max(1, self.group)
        return Call(case.id, self._frames[place] + own, number, number * len(case.criteria))

    def _report(self, case: Case, index: int, part: int) -> str:
        return f"Report {self._run}-{index}-{part}.\n{case.report}" if self._run else case.report

    def _frame(self, case: Case, options: Options, judge_id: str) -> bytes:
        if self.group:
            group = wire.write_group(case.query, (), case.criteria, options, judge_id, language=case.language)
            return bytes(group.SerializeToString())
        one = wire.write_request(case, options, judge_id)
        one.ClearField("report")
        return bytes(one.SerializeToString())
