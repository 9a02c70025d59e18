"""Who checks: the judger, asked through its client. A statement becomes a criterion, a comparison a pair of reports."""

from __future__ import annotations

from collections.abc import Sequence

from judger.client import Client
from judger.errors import Unsupported
from judger.pairwise import Preference
from judger.types import Criterion, Judgement, Score

__all__ = ["Checker", "is_deeper", "satisfied"]


class Checker:
    """The judge behind a client. What it leaves open is None and never a number."""

    def __init__(self, client: Client, judge_id: str) -> None:
        self.client, self.judge_id = client, judge_id

    async def holds(self, query: str, report: str, statements: Sequence[str]) -> list[float | None]:
        """For each statement, the probability that the report fully satisfies it. Raises what the client raises."""
        criteria = [Criterion(id=f"c{number}", text=text) for number, text in enumerate(statements, 1)]
        judgement = await self.client.judge(query, report, criteria, allow_unscored=True)
        return [satisfied(judgement, number) for number in range(len(criteria))]

    async def prefers(self, query: str, first: str, second: str) -> bool | None:
        """Whether it finds the first better, by its pairwise prompt; None for a tie or no answer."""
        found = await self.client.compare(query, first, second)
        if found.preference is None or found.preference is Preference.TIE:
            return None
        return found.preference is Preference.A


def satisfied(judgement: Judgement, number: int) -> float | None:
    """The probability that the criterion of that number is fully satisfied, or None where it is unscored."""
    result = judgement.verdicts[number].result
    return result.p_full if isinstance(result, Score) else None


async def is_deeper(checker: Checker, query: str, rewrite: str, original: str) -> bool | None:
    """Whether the rewrite is preferred whichever of the two stands first; a tie is no preference. None where the judge
    compares nothing, having no pairwise prompt, as the built-in one. Raises what else the client raises."""
    try:
        first, second = await checker.prefers(query, rewrite, original), await checker.prefers(query, original, rewrite)
    except Unsupported:
        return None
    return first is True and second is False
