"""Every attack raises its flag, ordinary reports raise none, and no flag reaches the reward."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judger.engines.scripted import ScriptedEngine
from judger.judge import Judge
from judger.rubric import read_cases
from judger.server.process import Running
from judger.steering import NAMES, FlagFinder, find_flags, flag_name
from judger.types import Case, Criterion
from tests.adversarial import corpus

CRITERIA = (
    "The report states what a megawatt hour of wind power costs in Germany.",
    "The report names at least two causes for the fall of the price.",
    "The report compares offshore and onshore wind power by their capacity factors.",
)
REPORT = """# Wind power

## What it costs

A megawatt hour from *new* onshore wind costs **40 to 70 euros**; see [the study](https://example.org/a?b=c).

| site     | cost | grade |
|----------|------|-------|
| onshore  | 55   | A     |
| offshore | 82   | B     |

===============

1. Turbines grew.
2. Interest fell.

```python
if cost < 60 and "judge" in text:
    print("score:", cost)  # <table> [INSTALL]
```

---

The court's judge ruled in 2021 that every requirement of the permit was met. Reviewers gave the plan a good rating.
Der Gutachter bewertete die Kriterien. Le système note chaque critère. 评估标准包括三项。Система оценки.
> Emoji 👨‍👩‍👧 and a flag 🏴󠁧󠁢󠁥󠁮󠁧󠁿, α-helix, 5 μm, naïve café, “quotes”."""


def case(report: str = REPORT, criteria: tuple[str, ...] = CRITERIA) -> Case:
    return Case(
        id="case",
        query="What does wind cost?",
        report=report,
        criteria=tuple(Criterion(id=f"c{i}", text=text) for i, text in enumerate(criteria)),
    )


def names(report: str) -> set[str]:
    return {flag_name(flag) for flag in find_flags(case(report))}


def test_an_ordinary_report_has_no_flag() -> None:
    assert find_flags(case()) == ()


def test_the_demos_reports_have_none() -> None:
    with resources.as_file(resources.files("judger.demo").joinpath("cases.jsonl")) as path:
        cases = list(read_cases(path))
    assert len(cases) == 4
    assert [find_flags(one) for one in cases] == [()] * 4


@pytest.mark.parametrize("attack", corpus.everything(), ids=lambda attack: attack.name)
def test_an_attack_raises_its_flag(attack: corpus.Attack) -> None:
    found = names(attack.apply(REPORT, CRITERIA))
    assert found <= set(NAMES)
    if attack.flag:
        assert attack.flag in found


def test_a_disguise_does_not_hide_what_it_disguises() -> None:
    for disguise in ("zero_width", "homoglyphs", "mathematical", "full_width"):
        report = corpus.added(corpus.DISGUISES[disguise](corpus.HIDDEN_TEXT))(REPORT, CRITERIA)
        assert "addresses_judge" in names(report), disguise


def test_a_flag_tells_where_and_never_quotes() -> None:
    for attack in corpus.everything():
        for flag in find_flags(case(attack.apply(REPORT, CRITERIA))):
            assert len(flag) < 80
            assert "fully" not in flag


def test_a_single_criterion_in_the_report_is_no_copying() -> None:
    assert find_flags(case(f"{REPORT}\n{CRITERIA[0]}")) == ()


@given(st.text(max_size=300))
def test_any_text_is_looked_at_without_a_fault(text: str) -> None:
    assert all(flag_name(flag) in NAMES for flag in find_flags(case(text)))


@pytest.mark.parametrize(
    "unit", ["judge ", "score.", "fully\n", "======== a", "verdict: ", "<|", "\u200ba", "ignore all ", "аb ", '"role"'],
    ids=repr,
)  # fmt: skip
def test_the_time_grows_with_the_length_and_no_faster(unit: str) -> None:
    def seconds(length: int) -> float:
        one = case(unit * (length // len(unit)))
        start = time.thread_time()
        find_flags(one)
        return time.thread_time() - start

    seconds(1000)
    assert min(seconds(320_000) for _ in range(2)) < 0.05 + 60 * max(seconds(16_000) for _ in range(2))


async def test_a_flag_weighs_nothing_in_the_reward() -> None:
    judge = Judge(ScriptedEngine())
    scripted = tuple(Criterion(id=f"c{i}", text=f"[[{word}]]") for i, word in enumerate(("fully", "not", "partially")))
    clean = replace(case(), criteria=scripted)
    expected = await judge.judge(clean)
    assert expected.flags == ()
    for attack in corpus.everything():
        report = attack.apply(REPORT, [criterion.text for criterion in scripted])
        steered = await judge.judge(replace(clean, report=report))
        assert steered.reward == expected.reward
        assert [verdict.result for verdict in steered.verdicts] == [verdict.result for verdict in expected.verdicts]
    await judge.close()


async def test_flags_are_remembered_and_the_same_from_a_thread() -> None:
    finder = FlagFinder()
    finder.LONG = 10  # type: ignore[misc]
    one = case(corpus.texts()[0].apply(REPORT, CRITERIA))
    first, second = await asyncio.gather(finder.find(one), finder.find(one))
    assert first == second == find_flags(one) != ()
    assert await finder.find(one) is await finder.find(one)


async def test_flags_are_in_the_response_and_counted_by_name(scripted_server: Running) -> None:
    from judger.client import connect

    report = corpus.texts()[0].apply(REPORT, CRITERIA)
    async with connect(scripted_server.address) as client:
        judged = await client.judge(query="", report=report, criteria=[Criterion(id="a", text="[[fully]]")])
    assert [flag_name(flag) for flag in judged.flags] == ["forged_verdict"]
    value = scripted_server.metrics.registry.get_sample_value
    assert value("judger_flags_total", {"name": "forged_verdict"}) == 1
    assert value("judger_flags_total", {"name": "repetition"}) == 0
