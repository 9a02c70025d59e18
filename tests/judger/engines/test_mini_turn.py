"""Flaws of leaving something out are read as the requirement that it be there."""

from __future__ import annotations

import time

import pytest

from judger.engines.mini.turn import asked, turned


@pytest.mark.parametrize(
    ("flaw", "requirement"),
    [
        ("Says nothing about running costs.", "Covers running costs."),
        ("The response fails to mention the treaty of 1839", "Covers the treaty of 1839"),
        ("Omits any common ground between the two.", "Covers common ground between the two."),
        ("The report does not name a single refrigerant", "Covers refrigerant"),
        ("Leaves hostile reviews out of the discussion.", "Covers hostile reviews"),
        ("No experiment is described in detail.", "Covers experiment is described in detail."),
        ("Stays with general principles, with no implementation steps.", "Covers implementation steps."),
        ("There is no bibliography at all.", "Covers bibliography."),
    ],
)
def test_an_omission_becomes_the_requirement(flaw: str, requirement: str) -> None:
    assert turned(flaw) == requirement
    assert asked(flaw, negative=True).is_turned


@pytest.mark.parametrize(
    "text",
    [
        "Claims that heat pumps create energy",
        "States that no treaty was ever signed.",
        "Denies that the mill burned down",
        "Uses strong language that shows bias",
        "Recommends a fee that is far too high",
        "",
        "Omits it",
    ],
)
def test_what_is_no_omission_is_left_alone(text: str) -> None:
    assert turned(text) is None


def test_a_requirement_is_never_turned() -> None:
    question = asked("Does not mention prices", negative=False)
    assert (question.text, question.negative, question.is_turned) == ("Does not mention prices", False, False)


def test_hostile_criteria_take_no_time() -> None:
    began = time.perf_counter()
    for text in ("no " + "a " * 290, "leaves " * 85, ", with " * 80, "the " * 150, "never " * 100, "x" * 100_000):
        turned(text)
    assert time.perf_counter() - began < 1
