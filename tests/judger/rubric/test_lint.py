"""Advice on rubrics: each rule speaks where it should, and is silent where it should be."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judger.rubric.linting import CODES, Severity
from judger.rubric.linting.lint import lint
from judger.types import Criterion, Role


def criterion(text: str, weight: float = 1.0, name: str = "x") -> Criterion:
    return Criterion(id=name, text=text, weight=weight, role=Role.NEGATIVE if weight < 0 else Role.EXPLICIT)


def codes(*criteria: Criterion) -> list[str]:
    # A plain positive criterion beside them, so that what is said of the whole rubric stays out of the way.
    return [advice.code for advice in lint([*criteria, criterion("Names the river Elbe.", name="plain")])]


@pytest.mark.parametrize(
    ("text", "weight", "code"),
    [
        ("The response defines RISC and explains the differences to CISC.", 5, "not-atomic"),
        ("Names the coaches. The report should also list the key players.", 2, "not-atomic"),
        ("The report mentions the net income of both firms and compares their margins (e.g., 3%).", 1, "not-atomic"),
        ("The report is well-written.", 3, "vague"),
        ("The answer is of high quality", 3, "vague"),
        ("Provides a good overview of the topic.", 1, "vague"),
        ("The response lacks any discussion of costs.", -1, None),
        ("The response lacks any discussion of costs.", 1, "flaw-with-positive-weight"),
        ("Fails to mention the year.", 2, "flaw-with-positive-weight"),
        ("Incorrectly states the boiling point.", 2, "flaw-with-positive-weight"),
        ("Does not include prices.", 2, "negation-with-positive-weight"),
        ("The response avoids jargon.", 2, "negation-with-positive-weight"),
        ("Does not include prices.", -2, None),
        ("The report should name its sources.", -2, "requirement-with-negative-weight"),
        ("The response correctly states the year.", -2, "requirement-with-negative-weight"),
        ("The response clearly states the year but gets it wrong.", -2, None),
        ("Names the year. " + "word " * 120, 1, "too-long"),
        ("Lists the folders (i.e., envs, res, src, and tests).", 1, "closed-examples"),
        ("Lists folders (e.g., envs, res, src, and tests).", 1, None),
        ("Explains the ceremony (i.e., the heart is weighed against a feather, and the dead are judged).", 1, None),
        ("States that the merger was blocked in 2019 and lost two bidders.", 1, None),
        ("Explains how the metric is computed and what it is used for.", 1, "not-atomic"),
        ("The answer should define the term and its importance.", 1, "not-atomic"),
        ("Discusses the size of the market, past trends, and its growth.", 1, "not-atomic"),
        ("Identifies and explains the main risk.", 1, None),
        ("Assesses the depth of the analysis of costs, e.g., of labour.", 1, "vague"),
        ("Mentions the depth of the Elbe at Dresden.", 1, None),
        ("The layout uses a legible font.", 1, "outside-the-report"),
        ("Names the gross margins of both firms.", 1, None),
        ("All links in the report work.", 1, "outside-the-report"),
        ("Explains the cost (rent and food, the heating, insurance).", 1, "closed-examples"),
        ("Names each of the four costs (rent and food, the heating, insurance).", 1, None),
        ("Gives an appropriate dose, that is at most 50 mg a day.", 1, None),
        ("Notes uncertainty where appropriate.", 1, None),
        ("The response omits unrelated topics.", 1, None),
        ("Benennt das Jahr und erklärt den Grund.", 1, None),
        ("报告质量很高", 1, "not-english"),
    ],
)
def test_a_rule_speaks_where_it_should(text: str, weight: float, code: str | None) -> None:
    assert codes(criterion(text, weight)) == ([code] if code else [])


def test_two_criteria_for_one_thing_overlap() -> None:
    first = criterion("The response mentions the casualties of the accident in Toronto.", name="a")
    again = criterion("Response states any casualties of the Toronto accident", name="b")
    opposite = criterion("The response fails to mention the casualties of the accident in Toronto.", -1, name="c")
    [advice] = lint([first, criterion("Names the river Elbe.", name="d"), again])
    assert (advice.code, advice.index) == ("overlap", 2)
    assert "much the same as criterion 'a'" in advice.message
    [advice] = lint([first, opposite])
    assert "the opposite of criterion 'a'" in advice.message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Gives the revenue of the firm in 2019.", "Gives the revenue of the firm in 2020."),
        ("Gives the revenue of the firm Apple Inc.", "Gives the revenue of the firm Google Inc."),
        ("Names the authors of the first case study.", "Names the authors of the second case study."),
    ],
)
def test_criteria_that_differ_in_a_name_or_number_are_no_duplicates(one: str, other: str) -> None:
    assert codes(criterion(one, name="a"), criterion(other, name="b")) == []


def test_a_weight_that_decides_everything_is_out_of_proportion() -> None:
    names = ("the river Elbe", "two bridges", "the mayor", "a museum")
    rubric = [criterion(f"Names {name}.", -1 if name == "a museum" else 1, name=name) for name in names]
    assert lint(rubric) == []
    [advice] = lint([*rubric, criterion("Names the date.", 10, name="heavy")])
    assert (advice.code, advice.index) == ("weight-out-of-proportion", 4)


def test_a_rubric_without_positive_weight_can_earn_nothing() -> None:
    [advice] = lint([criterion("Invents a quotation.", -1)])
    assert (advice.code, advice.index) == ("no-positive-weight", None)


def test_a_rubric_without_a_flaw_is_noted_once_it_is_large_enough() -> None:
    rubric = [criterion(f"Names {name}.", name=name) for name in ("the Elbe", "two bridges", "the mayor", "a museum")]
    [finding] = lint(rubric)
    assert (finding.code, finding.index, finding.severity) == ("no-flaws", None, Severity.NOTE)
    assert lint(rubric[1:]) == []


def test_a_finding_quotes_the_words_that_it_is_about() -> None:
    text = "Explains the cycle (e.g., its compressor) and describes the refrigerant."
    [finding] = lint([criterion(text)])
    assert finding.span is not None
    assert text[slice(*finding.span)] == "and describes"
    assert "'and describes'" in finding.message


def test_advice_comes_in_the_order_of_the_criteria() -> None:
    found = lint(
        [criterion("Fails to name it.", 1, "a"), criterion("Is nice.", 30, "b"), criterion("Does not.", 1, "c")]
    )
    assert [advice.index for advice in found] == [0, 1, 2]


@given(
    st.lists(st.builds(criterion, st.text(min_size=1, max_size=60), st.sampled_from([-2.0, 1.0, 1e300])), max_size=6)
)
def test_any_rubric_gets_advice_with_a_known_code(criteria: list[Criterion]) -> None:
    for advice in lint(criteria):
        assert advice.code in CODES
        if advice.span is not None and advice.index is not None:
            assert 0 <= advice.span[0] < advice.span[1] <= len(criteria[advice.index].text)
        assert advice.index is None or 0 <= advice.index < len(criteria)


@pytest.mark.parametrize(
    "piece",
    [
        "provides ",
        "i.e., a, ",
        "(e.g., (",
        "such as ",
        "is and ",
        "a",
        "it. it ",
        "a, b, ",
        "how x and ",
        "depth of ",
        "links ",
    ],
)
def test_a_text_made_to_be_slow_is_not(piece: str) -> None:
    start = time.process_time()
    lint([criterion(piece * (2**15 // len(piece)), weight) for weight in (1.0, -1.0)])
    assert time.process_time() - start < 2
