"""One report's reward where another library asks for it, report by report: verl, verifiers, SkyRL.

What a report is worth stands in `train.outcomes`, the same table as in `judger-train rl`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from judger.client import Client
from judger.client.completions import why_unscored
from judger.errors import DeadlineExceeded, JudgerError, Overloaded
from judger.integrations._common import Unjudged
from judger.types import Criterion, Judgement, Options, Role, Score
from judger.types import Mapping as Credit
from train.access import JudgeAccess
from train.outcomes import at_worst, floor, is_refused

__all__ = ["Unjudged", "score"]

_scored: set[JudgeAccess] = set()
"""Judges that have scored a report in this process: where one then can't read another, it is that report's doing."""


async def score(
    query: str, report: str, criteria: Sequence[Criterion], access: JudgeAccess, *, mapping: str = "strict"
) -> dict[str, float]:
    """`score`, the reward, and the figures beside it, the same keys for every report.

    Args:
        report: blank where the policy spent its budget without one; then the reward is the rubric's floor.
        mapping: how verdicts become the reward, by name.

    Returns:
        `score`, and for logs `raw` (the sum of weights earned), `flags` (of steering), `unread` (1 where what the
        report kept from being judged counts at its worst), and of each role the share of its weight satisfied.

    Raises:
        Unjudged: something else than the policy is to blame that there is no reward. JudgerError: the judger refused,
        or stayed away longer than `access.patience`.
    """
    options = Options(mapping=Credit(mapping))
    if not report.strip():
        return _figures(criteria, floor(criteria))
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
