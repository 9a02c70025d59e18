"""Who caused what, and what it is worth: by property, and case by case in both trainers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judger.client import connect
from judger.reward import reward
from judger.server.process import Running
from judger.types import Criterion, Judgement, Label, Mapping, Reason, Role, Score, Unscored, Verdict
from policy.rollouts import Task
from train import scoring
from train.outcomes import BY_THE_REPORT, at_worst, floor
from train.rl.collect import figures
from train.rl.episodes import Order, Rollout
from train.rl.reward import Rewards
from train.verl import reward as verl

PROBABILITIES = {
    Label.NOT_SATISFIED: (1.0, 0.0, 0.0),
    Label.PARTIALLY_SATISFIED: (0.2, 0.5, 0.3),
    Label.FULLY_SATISFIED: (0.0, 0.1, 0.9),
}
WEIGHTS = st.one_of(st.floats(0.1, 10), st.floats(-10, -0.1))


@st.composite
def rubrics(draw: st.DrawFn) -> list[Criterion]:
    weights = draw(st.lists(WEIGHTS, min_size=1, max_size=8))
    return [
        Criterion(
            id=f"c{i}", text="x", weight=w, role=Role.NEGATIVE if w < 0 else Role.EXPLICIT,
            fatal=w < 0 and draw(st.booleans()),
        )
        for i, w in enumerate(weights)
    ]  # fmt: skip


def scored(criterion: Criterion, label: Label) -> Verdict:
    is_there = label is Label.FULLY_SATISFIED or (criterion.is_negative and label is not Label.NOT_SATISFIED)
    score = Score(label, *PROBABILITIES[label], satisfied=is_there, margin=0.1)
    return Verdict(criterion_id=criterion.id, result=score)


def judgement(criteria: list[Criterion], verdicts: list[Verdict]) -> Judgement:
    return Judgement(case_id="", verdicts=tuple(verdicts), reward=reward(criteria, verdicts), judge_id="")


@given(rubrics(), st.data(), st.sampled_from(Mapping))
def test_trying_is_never_worth_less_than_silence(criteria, data, mapping):
    labels = data.draw(st.lists(st.sampled_from(Label), min_size=len(criteria), max_size=len(criteria)))
    verdicts = [scored(criterion, label) for criterion, label in zip(criteria, labels, strict=True)]
    value = reward(criteria, verdicts, mapping=mapping).value
    assert value >= floor(criteria) - 1e-12


@given(rubrics(), st.data(), st.sampled_from(Mapping))
def test_what_a_report_keeps_from_being_judged_never_earns_it_more(criteria, data, mapping):
    """Whatever the judge would have said of the criteria that it could not read."""
    labels = data.draw(st.lists(st.sampled_from(Label), min_size=len(criteria), max_size=len(criteria)))
    kept_back = data.draw(st.lists(st.booleans(), min_size=len(criteria), max_size=len(criteria)))
    verdicts = [scored(criterion, label) for criterion, label in zip(criteria, labels, strict=True)]
    shown = [
        Verdict(criterion_id=v.criterion_id, result=Unscored(data.draw(st.sampled_from(sorted(BY_THE_REPORT)))))
        if hidden
        else v
        for v, hidden in zip(verdicts, kept_back, strict=True)
    ]
    value = at_worst(judgement(criteria, shown), criteria, mapping)
    honest = reward(criteria, verdicts, mapping=mapping).value
    assert floor(criteria) - 1e-12 <= value <= honest + 1e-12
    if not any(kept_back):
        assert value == honest


@given(rubrics(), st.sampled_from(sorted(set(Reason) - BY_THE_REPORT)), st.sampled_from(sorted(BY_THE_REPORT)))
def test_what_something_else_kept_from_being_judged_is_no_number(criteria, theirs, ours):
    verdicts = [Verdict(criterion_id=c.id, result=Unscored(theirs if i == 0 else ours)) for i, c in enumerate(criteria)]
    assert at_worst(judgement(criteria, verdicts), criteria) is None


CRITERIA = (
    {"id": "a", "text": "tide", "weight": 3},
    {"id": "b", "text": "wheel", "weight": 1},
    {"id": "c", "text": "windmill", "weight": -2},
)
FLOOR = -2 / 4


def criteria_of(text: str) -> list[dict[str, Any]]:
    return [CRITERIA[0], {**CRITERIA[1], "text": text}, CRITERIA[2]]


def task(name: str, criteria: list[dict[str, Any]]) -> Task:
    made = [Criterion(**{"role": Role.NEGATIVE if c["weight"] < 0 else Role.EXPLICIT, **c}) for c in criteria]
    return Task(name, "How does it work?", tuple(made))


SCORED = "The tide turns the wheel."
ROWS = {
    "scored": (SCORED, CRITERIA[1]["text"], "", 1.0),
    "no report of the policy's": ("", "wheel", "policy", FLOOR),
    "blank": (" \n", "wheel", "policy", FLOOR),
    "no report of the system's": ("", "wheel", "system", None),
    "larger than the judger takes": ("tide " * 500_000, "wheel", "", FLOOR),
    "too long": (SCORED, "[[unscored=too_long]]", "", 3 / 4),
    "unparsable": (SCORED, "[[unscored=unparsable]]", "", 3 / 4),
    "another language": (SCORED, "[[unscored=unsupported_language]]", "", 3 / 4),
    "not judgeable": (SCORED, "[[unscored=not_judgeable]]", "", None),
    "engine": (SCORED, "[[unscored=engine_error]]", "", None),
    "deadline": (SCORED, "[[unscored=deadline]]", "", None),
}


async def test_ppo_and_grpo_take_the_table(scripted_server: Running):
    async with connect(scripted_server.address) as client, Rewards(client).open() as judging:
        for number, (report, text, blame, _) in enumerate(ROWS.values()):
            order = Order(task(str(number), criteria_of(text)), 0, 0)
            judging.add(number, Rollout(order=order, report=report, blame=blame))
        judged = await judging.finish()
    assert {name: one.value for name, one in zip(ROWS, judged, strict=True)} == {n: row[3] for n, row in ROWS.items()}
    assert figures(judged)["unread_share"] == pytest.approx(4 / len(ROWS))
    assert figures(judged)["unscored_share"] == pytest.approx(4 / len(ROWS))


async def test_verl_takes_the_same_table(scripted_server: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scoring, "_scored", set())
    for name, (report, text, blame, expected) in ROWS.items():
        if blame == "system":
            continue  # the agent loop raises, and no reward is asked for
        info = {"query": "How does it work?", "report": report}
        asked = verl.compute_score("t", "", verl_truth(criteria_of(text)), info, address=scripted_server.address)
        if expected is None:
            with pytest.raises(verl.Unjudged):
                await asked
        else:
            figures = await asked
            assert (name, figures["score"]) == (name, pytest.approx(expected))
            assert set(figures) == {"score", "raw", "flags", "unread", "explicit", "implicit", "negative"}


async def test_where_no_report_can_be_read_nothing_is_held_against_one(scripted_server: Running, monkeypatch):
    """Tasks and judge don't fit each other: a policy would learn from a fault that is not its own."""
    text = "[[unscored=unsupported_language]]"
    async with connect(scripted_server.address) as client, Rewards(client).open() as judging:
        for number in range(3):
            judging.add(number, Rollout(order=Order(task(str(number), criteria_of(text)), 0, 0), report=SCORED))
        assert [one.value for one in await judging.finish()] == [None] * 3
    monkeypatch.setattr(scoring, "_scored", set())
    with pytest.raises(verl.Unjudged, match="unsupported_language"):
        await verl.compute_score(
            "t", "", verl_truth(criteria_of(text)), {"report": SCORED}, address=scripted_server.address
        )


def verl_truth(criteria: list[dict[str, Any]]) -> str:
    import json

    return json.dumps([{"role": "negative" if c["weight"] < 0 else "explicit", **c} for c in criteria])
