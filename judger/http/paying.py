"""What a gateway's own callers pay: their pace is kept where they are known, not at the server behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from judger.engines.base import Tier
from judger.errors import DeadlineExceeded, EngineError, JudgerError
from judger.schedule.admission import estimated_tokens
from judger.types import LIMITS, Case, Criterion, Explain
from judger.v1 import judger_pb2 as pb

__all__ = ["Payer", "asked_tokens", "paying"]


class Payer(Protocol):
    """Somebody with a token."""

    name: str

    @property
    def is_paced(self) -> bool:
        """Whether they may have only so many tokens a second."""
        ...

    def spend(self, tokens: int) -> None:
        """Raises Overloaded where nothing is left."""
        ...

    def give_back(self, tokens: int) -> None:
        """Nothing had to be done for them after all."""
        ...


@contextmanager
def paying(payer: Payer | None, request: Any) -> Iterator[list[pb.JudgeResponse]]:
    """Takes what a request costs off the caller's pace. Raises Overloaded.

    Gives a list for the responses: what was refused, or known already, costs nothing, as at a server.
    """
    found: list[pb.JudgeResponse] = []
    if payer is None or not payer.is_paced:
        yield found
        return
    tokens = asked_tokens(request)
    payer.spend(tokens)
    try:
        yield found
    except (DeadlineExceeded, EngineError):
        raise
    except JudgerError:
        payer.give_back(tokens)
        raise
    if found and all(response.usage.cached_criteria == len(request.criteria) for response in found):
        payer.give_back(tokens)


def asked_tokens(request: Any) -> int:
    """What the cases of a request cost, as a server estimates it; nothing of it has been checked yet."""
    reports = [request.report] if isinstance(request, pb.JudgeRequest) else []
    tier = Tier()
    if isinstance(request, pb.CompareRequest):
        reports = [request.report_a, request.report_b] * (1 if request.criteria else 2)  # both orders
    else:
        writes = request.explain in (pb.Explain.UNDER_MARGIN, pb.Explain.ALWAYS)
        trials = min(request.trials or 1, LIMITS.trials)
        tier = Tier(explain=Explain.ALWAYS if writes else Explain.NEVER, trials=trials)
    if isinstance(request, pb.JudgeGroupRequest):
        reports = list(request.reports)
    criteria = tuple(Criterion(id="", text=one.text) for one in request.criteria)
    cases = (Case(id="", query=request.query, report=report, criteria=criteria) for report in reports)
    return sum(estimated_tokens(case, tier) for case in cases)
