"""What is counted for a criterion: its lists, examples, parts and numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judger.engines.mini.counted import COUNTED_NAMES, counted, least
from judger.engines.mini.facts import Facts, amounts, is_cited, stem

LINES = (
    "# Barriers to adoption",
    "- Cost of the device is high.",
    "- Staff lack training.",
    "- Rules differ between states.",
    "## Outlook",
    "Some vendors, insurers and clinics [2] expect 12.5 percent growth by 2030.",
)
REPORT = "\n".join(LINES)


def facts() -> Facts:
    starts = np.cumsum([0, *(len(line) + 1 for line in LINES)])[:-1]
    return Facts.of(REPORT, np.array([(a, a + len(line)) for a, line in zip(starts, LINES, strict=True)], np.int32))


def row(text: str, best: int = 0, *, negative: bool = False) -> dict[str, float]:
    score = np.full(len(LINES), 0.3, np.float32)
    score[best] = 1.0
    values = counted(text, facts(), score, negative=negative)
    assert values.shape == (len(COUNTED_NAMES),)
    return dict(zip(COUNTED_NAMES, values.tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("Names at least three barriers", 3),
        ("Gives two or more reasons", 2),
        ("Lists ten references", 10),
        ("A minimum of 4 sources is cited", 4),
        ("Covers more than five countries", 6),
        ("Discusses several methods", 3),
        ("Explains the five-year plan", 0),
        ("States that 12 people died", 0),
    ],
)
def test_how_many_are_asked_for(text: str, n: int) -> None:
    assert least(text) == n


def test_items_are_those_of_the_matched_list_or_under_the_matched_heading() -> None:
    assert row("Names at least two barriers", best=0)["items_under"] == 1  # three, one more than asked
    assert row("Names at least two barriers", best=1)["items_listed"] == 1
    assert row("Names at least three groups", best=5)["items_sentence"] == 0


def test_what_only_repeats_the_criterion_holds_none_of_its_examples_or_quotations() -> None:
    text = 'Names parties (e.g., vendors, insurers) and says "growth by 2030"'
    score = np.array([0.3, 0.3, 0.3, 0.3, 0.3, 1.0], np.float32)
    names = [COUNTED_NAMES.index(name) for name in ("examples_found", "quoted")]
    assert counted(text, facts(), score, negative=False)[names].tolist() == [2.0, 1.0]
    score[5] = -1.0  # a copy
    assert counted(text, facts(), score, negative=False)[names].tolist() == [0.0, 0.0]


def test_a_longer_list_is_no_merit_where_no_number_is_asked_for() -> None:
    found = row("Names the barriers", best=1)
    assert all(found[name] == 0 for name in COUNTED_NAMES if name.startswith("items"))


def test_examples_are_looked_for_by_their_stems() -> None:
    found = row("Names at least one barrier (e.g., the cost of devices, staff training, lawsuits)")
    assert (found["examples"], found["examples_found"]) == (3, 2)


def test_a_claimed_number_or_unit_that_the_report_does_not_hold_is_missing() -> None:
    held = row("Claims that 12.5% growth is expected by 2030", negative=True)
    assert (held["claim_amount_missing"], held["amount_missing"], held["unit_missing"]) == (0, 0, 0)
    assert row("Claims that 40% growth is expected by 2030", negative=True)["claim_amount_missing"] == 1
    assert row("Claims that 12.5 million units are sold", negative=True)["unit_missing"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "So [1].",
        "So (Lee et al., 2020).",
        "Lee et al. (2020) say so.",
        "So 【1†source】.",
        "See https://a.org/b.",
        "So [^1].",
    ],
)
def test_citations_as_models_write_them(text: str) -> None:
    assert is_cited(text)
    assert not is_cited("So it is, in May 2020.")


def test_words_and_numbers_in_their_variants() -> None:
    assert stem("discusses") == stem("discussing") == stem("discussed")
    assert amounts("1,200 people and 5 per cent") == [("1200", stem("people")), ("5", "%")]


@given(st.text(alphabet="ab1 .#-*|[]()\n\t`>$,?!", min_size=1, max_size=300), st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_any_text_is_counted(report: str, criterion: str) -> None:
    spans = np.array([(i, min(i + 40, len(report))) for i in range(0, max(len(report), 1), 40)], np.int32)
    values = counted(criterion, Facts.of(report, spans), np.ones(len(spans), np.float32), negative=False)
    assert np.isfinite(values).all()
