"""What rules make of a labelled criterion: the same in other words, its omission, one detail changed."""

from __future__ import annotations

import random

import pytest

from train.judge.edits import negate, swap_name
from train.judge.restate import (
    CLAIMS,
    STATED,
    another_number,
    changed,
    claim,
    claimed,
    copied,
    omission,
    opposite,
    parts,
    restated,
)
from train.judge.statements import sentences, statement

RNG = random.Random(0)


@pytest.mark.parametrize(
    ("statement_", "opposed"),
    [
        ("The mill was built in 1784.", "The mill was not built in 1784."),
        ("The mill was not repaired.", "The mill was repaired."),
        ("The party may share the data.", "The party may not share the data."),
        ("They have been seen.", "They have not been seen."),
        ("Paul met Laura in Leith.", "Paul did not meet Laura in Leith."),
        ("The law requires a permit.", "The law does not require a permit."),
        ("She can't swim.", "She can swim."),
        ("It does not contain lead.", "It does contain lead."),
        ("They didn't win the cup.", "They did win the cup."),
    ],
)
def test_a_negation_is_put_in_or_taken_out(statement_: str, opposed: str) -> None:
    assert negate(statement_) == opposed


@pytest.mark.parametrize(
    "text",
    [
        "Only members may vote.",
        "The man who was seen left.",
        "Is it so?",
        "Black smoke over the harbour.",
        "It rained. It was cold.",
        "No one was hurt.",
        "word " * 60,
    ],
)
def test_where_no_rule_is_sure_nothing_is_negated(text: str) -> None:
    assert negate(text) is None


def test_a_name_is_swapped_only_where_the_report_holds_it() -> None:
    assert swap_name("We met Ada Lovelace.", "nobody", ["Ada Byron"], RNG) is None
    assert swap_name("We met Ada Lovelace.", "Ada Lovelace", ["Mary Shelley"], RNG) == "We met Mary Shelley."


@pytest.mark.parametrize(
    ("criterion", "shape"),
    [
        ("The text states that: The mill burned down.", "clause"),
        ("Does the contract contain a cap on liability?", "noun"),
        ("The answer conveys the same content as this reference answer: Salt dissolves.", "text"),
        ("According to the text, the answer to this question is yes: Is it so?", "question"),
        ("The response is easy to read.", None),
    ],
)
def test_a_criterion_is_taken_apart(criterion: str, shape: str | None) -> None:
    what = statement(criterion)
    assert (what.shape if what else None) == shape


def test_sentences_join_to_the_text() -> None:
    text = "It rained. We stayed in!\n\nThe mill stood still."
    assert "".join(sentences(text)) == text
    assert len(sentences(text)) == 3


def test_a_requirement_keeps_its_verb_and_its_rest_in_other_words() -> None:
    assert parts("The response should explain why tides rise.") == ("explain", " why tides rise")
    made = {restated("Explains why tides rise", RNG) for _ in range(80)}
    assert len(made) > 5
    assert all("why tides rise" in text and "xplain" in text for text in made)
    assert restated("Two tables", RNG) == "Two tables"


def test_the_omission_of_a_requirement_names_what_is_left_out() -> None:
    text = omission("The response explains why tides rise.", RNG)
    assert text is not None
    assert "why tides rise" in text
    assert omission("Two tables", RNG) is None


def test_what_is_claimed_is_found_again_in_every_wording_of_a_claim() -> None:
    assert all(claimed(wrapper.format("tides rise twice a day")) == "tides rise twice a day" for wrapper in CLAIMS)
    assert claimed("Explains why tides rise") is None
    assert all(claim("The mill burned.", RNG, [wrapper]) for wrapper in STATED)
    assert "the mill burned" in claim("The mill burned.", RNG)


@pytest.mark.parametrize("text", ["It cost 1,250 pounds.", "It was built in 1784.", "It grew by 3.5 percent."])
def test_a_changed_number_is_another_number(text: str) -> None:
    made = {another_number(text, RNG) for _ in range(20)}
    assert text not in made
    assert None not in made


def test_one_detail_is_changed_or_nothing_is_made() -> None:
    assert opposite("Prices rose before the war.", random.Random(1)) in {
        "Prices fell before the war.",
        "Prices rose after the war.",
    }
    assert changed("Black smoke over the harbour", "", [], RNG) is None
    new = changed("The mill was built in 1784", "The mill was built in 1784.", [], RNG)
    assert new not in {None, "The mill was built in 1784"}


def test_a_copied_criterion_or_praise_says_nothing_of_the_matter() -> None:
    assert {copied("Explains why tides rise.", random.Random(i)) for i in range(40)} > {"Explains why tides rise."}
