"""Flaws of leaving something out are read as the requirement that it be there."""

from __future__ import annotations

import time

import numpy as np
import pytest

from judger.engines.mini.turn import as_stated, asked, turned
from judger.verdict import Calibration


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
    began = time.thread_time()  # of the processor: the machine may have other work
    for text in ("no " + "a " * 290, "leaves " * 85, ", with " * 80, "the " * 150, "never " * 100, "x" * 100_000):
        turned(text)
    assert time.thread_time() - began < 1


@pytest.mark.parametrize("p_full", [0.05, 0.4, 0.59, 0.61, 0.9])
def test_such_a_flaw_is_present_where_its_requirement_is_not_met(p_full: float) -> None:
    rest = 1 - p_full
    asked_p = np.array([[0.75 * rest, 0.25 * rest, p_full]] * 2, np.float32)
    calibration = Calibration(positive_threshold=0.6, negative_threshold=0.3)
    same, stated = as_stated(asked_p, np.array([False, True]), calibration)
    assert same == pytest.approx(asked_p[0])
    assert stated.sum() == pytest.approx(1.0)
    assert bool(stated[1] + stated[2] >= 0.3) == (p_full < 0.6)
    assert stated[2] / stated[1] == pytest.approx(3.0, rel=1e-4)  # in part or wholly left out: as asked
