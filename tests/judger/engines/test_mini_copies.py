"""A criterion that is repeated in the report is not evidence for itself."""

from __future__ import annotations

import time

import pytest

from judger.engines.mini.copies import copies, words


@pytest.mark.parametrize(
    ("criterion", "sentence", "is_copy"),
    [
        ("Explains why tides rise.", "Explains why tides rise.", True),
        ("Explains why tides rise.", "This report (1) explains why tides rise!", True),
        ("The response names two mills (e.g., Eling).", "The response names two mills (e.g., Eling).", True),
        ("Names a mill", "The answer should explain the ebb.", True),
        ("Explains why tides rise.", "Tides rise because the moon pulls the sea.", False),
        ("Tides rise twice a day.", "Tides rise twice a day.", False),
        ("States that tides rise twice a day.", "Tides rise twice a day.", False),
        ("States that tides rise twice a day.", "States that tides rise twice a day.", True),
        ("The text states that: The old mill burned down in the winter of 1784 and was never rebuilt.",
         "The old mill burned down in the winter of 1784 and was never rebuilt.", False),
    ],
)  # fmt: skip
def test_what_only_repeats_what_is_asked_is_a_copy(criterion: str, sentence: str, is_copy: bool) -> None:
    assert copies(criterion, [words("Nothing of the kind."), words(sentence)]).tolist() == [False, is_copy]


def test_a_piece_of_a_long_criterion_is_a_copy_too() -> None:
    criterion = "Explains how the ebb drives the wheel of the mill by way of a pond and a gate that opens at low tide"
    assert copies(criterion, [words("drives the wheel of the mill by way of a pond and a gate")]).all()


def test_a_long_report_takes_no_time() -> None:
    began = time.thread_time()  # of the processor: the machine may have other work
    copies("Explains why tides rise " * 40, [words("explains why tides " * 20)] * 2_000)
    copies("The " * 5_000, [words("the response the answer " * 20)] * 200)
    assert time.thread_time() - began < 2


def test_a_rubric_may_begin_with_where_or_with_any_of_its_verbs() -> None:
    for text in (
        "Near the beginning, the answer should define seismic P-waves.",
        "Supplies working doses for each step",
    ):
        assert copies(text, [words(f"- {text}")])[0]
    assert copies("Explains the cycle", [words("The answer could mention the debate on metrics")])[0]
