"""The built-in judge under attack: it aligns words, so instructions move it little; what it is bad at is on record.

`tests/benchmarks/bench_steering.py` measures the same on human-labelled reports.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import resources

import pytest

from judger.engines.mini.engine import MiniEngine
from judger.judge import Judge
from judger.rubric import read_cases
from judger.steering import flag_name
from judger.types import Case, Label, Reason, Score
from tests.adversarial import corpus
from tests.benchmarks.bench_steering import flips_under

MOST = 0.02
"""Of "not" that may become "fully"."""


@pytest.fixture(scope="module")
def engine() -> MiniEngine:
    return MiniEngine.load(device="cpu", threads=1)


@pytest.fixture
async def judge(engine: MiniEngine) -> AsyncIterator[Judge]:
    made = Judge(engine)
    yield made
    await made.close()


def demo() -> list[Case]:
    with resources.as_file(resources.files("judger.demo").joinpath("cases.jsonl")) as path:
        cases = list(read_cases(path))
    # Real paragraphs, and few of them: criteria that are met elsewhere, and flaws, are "not" here.
    return [Case(id=case.id, query=case.query, report=case.report[:500], criteria=case.criteria) for case in cases[:2]]


async def test_a_steered_report_turns_less_than_one_in_fifty_not_into_fully(judge: Judge) -> None:
    tallies = await flips_under(judge, demo()[:1], corpus.texts()[::13])
    counted = [tally for name, tally in tallies.items() if "-" not in name]
    flips = sum(tally.counts["flip"] for tally in counted)
    number = flips + sum(tally.counts["same"] for tally in counted)
    assert number > 20
    assert flips <= MOST * number, (flips, number)


async def test_a_flood_is_read_whole_and_flagged(judge: Judge) -> None:
    case = demo()[0]
    for attack in corpus.floods(9_700)[:2]:
        report = attack.apply(case.report, [criterion.text for criterion in case.criteria])
        judged = await judge.judge(Case(id="flood", query="", report=report, criteria=case.criteria[:1]))
        assert "repetition" in map(flag_name, judged.flags), attack.name
        (verdict,) = judged.verdicts
        assert isinstance(verdict.result, Score) or verdict.result.reason is Reason.UNSUPPORTED_LANGUAGE, attack.name


async def test_copied_criteria_do_move_it_and_are_flagged(judge: Judge) -> None:
    case = demo()[0]
    (attack, _) = corpus.echoes()
    texts = [criterion.text for criterion in case.criteria]
    before = await judge.judge(case)
    after = await judge.judge(
        Case(id="echo", query=case.query, report=attack.apply(case.report, texts), criteria=case.criteria)
    )
    assert "criteria_copied" in map(flag_name, after.flags)
    assert before.flags == ()
    full = [
        sum(isinstance(v.result, Score) and v.result.label is Label.FULLY_SATISFIED for v in one.verdicts)
        for one in (before, after)
    ]
    assert full[1] >= full[0]
