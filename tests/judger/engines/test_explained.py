"""Reading explained replies strictly, and checking what they quote."""

from __future__ import annotations

import asyncio

import pytest

from judger.engines.base import Outcome, Tier
from judger.engines.explained import (
    Explanation,
    explained_outcome,
    find_quote,
    judge_in_tiers,
    mean_outcome,
    parse_reply,
)
from judger.prompt import LabelWords
from judger.types import Case, Criterion, Explain, Probabilities, Reason, Unscored

REPORT = "Wind power costs 40 euros per megawatt-hour in the north. Solar costs 35 euros."
SURE = Probabilities(0.0, 0.0, 1.0)


def test_a_well_formed_reply_is_read() -> None:
    text = 'Reason: It says so.\nQuote: "Solar costs 35 euros."\nVerdict: Fully.'
    assert parse_reply(text, LabelWords()) == Explanation("It says so.", "Solar costs 35 euros.", 2)
    assert parse_reply(" It says so.\nQuote: none\n") == Explanation("It says so.", "", None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Verdict: fully",
        "Reason: a\nVerdict: fully",
        "Reason: a\nQuote: b\nVerdict: maybe",
        "Reason: a\nQuote: b\nVerdict: fully\nVerdict: not",
        "Reason: a\nQuote: b\nVerdict: fully and more",
        "Reason: a\nQuote: b",
        "Reason: \nQuote: b\nVerdict: fully",
    ],
)
def test_anything_else_is_unparsable(text: str) -> None:
    result = parse_reply(text, LabelWords())
    assert isinstance(result, Unscored)
    assert result.reason is Reason.UNPARSABLE


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("Solar costs 35 euros.", "Solar costs 35 euros."),
        ("wind power costs 40 euros per megawatt hour", "Wind power costs 40 euros per megawatt-hour"),
        ("Nuclear power costs 90 euros per megawatt-hour in the south of Spain", None),
        ("", None),
        ("Gas", None),
    ],
)
def test_a_quote_counts_where_the_report_says_it(quote: str, found: str | None) -> None:
    span = find_quote(REPORT, quote)
    assert (None if span is None else REPORT[span.start : span.end]) == found


def test_an_unsupported_quote_is_flagged_and_no_evidence() -> None:
    outcome = explained_outcome(SURE, Explanation("So.", "Gas is entirely free of charge.", 2), REPORT)
    assert outcome.evidence == ()
    assert outcome.rationale == "So. [unsupported quote: Gas is entirely free of charge.]"


def test_a_failed_trial_leaves_the_criterion_unscored() -> None:
    failed = Outcome(result=Unscored(Reason.UNPARSABLE, "x"), prompt_tokens=5)
    assert mean_outcome([Outcome(result=SURE, prompt_tokens=5), failed]).result == failed.result
    mean = mean_outcome([Outcome(result=SURE), Outcome(result=Probabilities(0.5, 0.5, 0.0))])
    assert mean.result == Probabilities(0.25, 0.25, 0.5)


def case(number: int) -> Case:
    criteria = tuple(Criterion(id=f"c{i}", text="x") for i in range(number))
    return Case(id="x", query="", report=REPORT, criteria=criteria)


async def test_the_first_criterion_goes_ahead_and_the_others_together() -> None:
    seen: list[str] = []

    async def read(index: int) -> Outcome:
        seen.append(f"begin {index}")
        await asyncio.sleep(0)
        seen.append(f"end {index}")
        return Outcome(result=SURE)

    outcomes = await judge_in_tiers(case(3), Tier(), read=read, explain=lambda index, trial: read(index), lead=True)
    assert len(outcomes) == 3
    assert seen[:4] == ["begin 0", "end 0", "begin 1", "begin 2"]


async def test_the_first_exception_cancels_the_others_and_is_raised_as_it_is() -> None:
    cancelled: list[int] = []

    async def read(index: int) -> Outcome:
        if index == 1:
            raise OSError("gone")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(index)
            raise
        return Outcome(result=SURE)

    with pytest.raises(OSError, match="gone"):
        await judge_in_tiers(case(3), Tier(explain=Explain.NEVER), read=read, explain=lambda index, trial: read(index))
    assert sorted(cancelled) == [0, 2]
