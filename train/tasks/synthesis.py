"""Two-step reverse synthesis with its two filters (Step-DeepResearch, arXiv 2512.20491, section 4.3.1).

card -> summary and rubric (hidden) -> query -> roles looked at again -> dropped if one changed
     -> an independent judge scores the agreement of summary, query and rubric -> kept or dropped
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from judger.client import Client
from judger.errors import JudgerError
from judger.types import Case, Criterion, Judgement, Score
from train.tasks.draft import Assessment, Draft, Named
from train.tasks.funnel import Funnel
from train.tasks.writer import Unwritten, Writer

__all__ = ["AGREEMENT", "RELEVANCE", "Sample", "synthesise"]

N = TypeVar("N", bound=Named)

AGREEMENT = 0.6
"""Least mean agreement of summary, query and rubric, in [0, 1]."""
RELEVANCE = 0.2
"""Least probability with which the summary satisfies each positive criterion."""
ANSWERS = 0.4
"""Least probability with which the summary answers the query, half of "partially" counted. Of the built-in judge, on 50
tasks each: 0.54 and more for their own query in 95 of 100, 0.27 and less for the query of another thing."""

FORM = ("references", "communication")
"""Axes of criteria about the finished report, which a hidden summary cannot show."""


@dataclass(frozen=True, slots=True)
class Sample(Generic[N]):
    """A task that passed, with what the policy does not see."""

    card: N
    draft: Draft
    query: str
    assessments: tuple[Assessment, ...]
    agreement: float
    judge_id: str


async def synthesise(
    cards: Sequence[N],
    writer: Writer[N],
    judge: Client,
    funnel: Funnel,
    *,
    agreement: float = AGREEMENT,
    concurrency: int = 8,
) -> list[Sample[N]]:
    """The samples that passed, in the order of the cards; what was dropped is counted in `funnel`."""
    slots = asyncio.Semaphore(concurrency)

    async def write(card: N) -> Sample[N] | tuple[str, str]:
        async with slots:
            return await _write(card, writer)

    funnel.total += len(cards)
    funnel.expect("unreadable", "role changed", "same query", "unscored")
    funnel.expect("answers another query", "summary with a flaw", "irrelevant criterion", "inconsistent")
    drafts: list[Sample[N]] = []
    seen: set[str] = set()
    for made in await asyncio.gather(*map(write, cards)):
        if not isinstance(made, Sample):
            funnel.drop(*made)
        elif made.query in seen:
            funnel.drop("same query", made.query)
        else:
            seen.add(made.query)
            drafts.append(made)
    return await _consistent(drafts, judge, funnel, agreement)


async def _write(card: N, writer: Writer[N]) -> Sample[N] | tuple[str, str]:
    """The sample, or the filter that drops it and why."""
    try:
        draft = await writer.draft(card)
        query = await writer.query(card, draft)
        assessments = tuple(await writer.reassess(query, card, draft))
    except Unwritten as error:
        return "unreadable", str(error)
    for criterion, assessment in zip(draft.criteria, assessments, strict=True):
        if assessment.role != criterion.role:
            return "role changed", f"{criterion.role} -> {assessment.role}: {criterion.text} {assessment.reason}"
    return Sample(card, draft, query, assessments, 0.0, "")


async def _consistent(drafts: Sequence[Sample[N]], judge: Client, funnel: Funnel, least: float) -> list[Sample[N]]:
    """Those whose hidden summary satisfies the rubric and answers the query, by the judge's own reading."""

    async def cases() -> AsyncIterator[Case]:
        for sample in drafts:
            answers = Criterion(id="query", text=f"Answers the question: {sample.query}")
            yield Case(
                id=sample.card.id,
                query=sample.query,
                report=sample.draft.summary,
                criteria=(*_content(sample), answers),
            )

    judged: dict[int, Judgement] = {}
    async for index, answer in judge.judge_stream(cases()):
        if isinstance(answer, JudgerError):
            raise answer
        judged[index] = answer
    kept: list[Sample[N]] = []
    for index, sample in enumerate(drafts):
        fault, agreement = _agreement(sample, judged[index], least)
        if fault:
            funnel.drop(*fault)
            continue
        kept.append(
            Sample(sample.card, sample.draft, sample.query, sample.assessments, agreement, judged[index].judge_id)
        )
    return kept


def _content(sample: Sample[N]) -> list[Criterion]:
    return [criterion for criterion in sample.draft.criteria if criterion.axis not in FORM]


def _agreement(sample: Sample[N], judgement: Judgement, least: float) -> tuple[tuple[str, str] | None, float]:
    scores: list[float] = []
    for criterion, verdict in zip((*_content(sample), None), judgement.verdicts, strict=True):
        result = verdict.result
        if not isinstance(result, Score):
            return ("unscored", f"{sample.card.id}: {result.reason}"), 0.0
        # Gates, each on its own: in a mean of eight, one query of another thing or one flaw would be lost.
        if criterion is None:
            answers = result.p_full + 0.5 * result.p_partial
            if answers < ANSWERS:
                return ("answers another query", f"{sample.query} ({answers:.2f}): {sample.draft.summary}"), 0.0
            scores.append(answers)
        elif criterion.is_negative:
            if result.satisfied:
                return ("summary with a flaw", f"{criterion.text}: {sample.draft.summary}"), 0.0
            scores.append(1.0)
        elif result.p_full < RELEVANCE:
            return ("irrelevant criterion", f"{criterion.text} ({result.p_full:.2f})"), 0.0
        else:
            scores.append(result.p_full)
    mean = sum(scores) / len(scores)
    if mean < least:
        return ("inconsistent", f"{sample.card.id}: agreement {mean:.2f}"), mean
    return None, mean
