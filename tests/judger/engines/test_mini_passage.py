"""What is read beside a criterion, and what is shown for a verdict."""

from __future__ import annotations

import numpy as np
import pytest

from judger.engines.mini.checkpoint import WEIGHTS, load_tokenizer
from judger.engines.mini.passage import CRITERION_TOKENS, PAIR_TOKENS, Outline, Pages, reading
from judger.engines.mini.quote import Quotable
from judger.engines.mini.signals import form_signals
from judger.engines.mini.text import tokenize, unit_spans

TOKENIZER = load_tokenizer(WEIGHTS / "tokenizer.json")
REPORT = (
    "# Tides\n\nTides rise twice a day.\n\n## Mills\n\nA tide mill turns on the ebb, as [Lee shows](https://a.org/x). "
    "It needs a pond.\n\n- **Eling Mill** still grinds wheat today.\n- Others stand idle along the coast.\n"
)


def units(report: str = REPORT) -> tuple[Pages, list[str]]:
    spans = unit_spans(tokenize(report, TOKENIZER))
    return Pages.of(report, spans, TOKENIZER, form_signals(report)), [report[a:b] for a, b in spans]


def scored(texts: list[str], *wanted: str) -> np.ndarray:
    """The units that hold the wanted words, in that order, before all others."""
    value = np.zeros(len(texts), np.float32)
    for rank, word in enumerate(wanted):
        for unit, text in enumerate(texts):
            if word in text:
                value[unit] = max(value[unit], 1.0 - 0.1 * rank)
    return value


def test_units_know_the_heading_they_stand_under() -> None:
    _, texts = units()
    outline = Outline.of(REPORT, unit_spans(tokenize(REPORT, TOKENIZER))[:, 0])
    under = {text: texts[outline.heading[i]] for i, text in enumerate(texts) if outline.heading[i] >= 0}
    assert under["It needs a pond."] == "Mills"
    assert under["Tides rise twice a day."] == "Tides"
    assert [texts[i] for i in np.flatnonzero(outline.is_heading)] == ["Tides", "Mills"]


def test_the_best_units_are_read_in_the_reports_order_under_their_heading() -> None:
    pages, texts = units()
    read = TOKENIZER.decode(pages.passage(scored(texts, "idle", "pond"), 18, with_counts=False))
    assert read.index("mills") < read.index("needs a pond") < read.index("idle")
    assert "twice" not in read


def test_a_link_is_read_by_its_words() -> None:
    pages, texts = units()
    read = TOKENIZER.decode(pages.passage(scored(texts, "ebb"), 200, with_counts=False))
    assert "lee shows" in read
    assert "a. org" not in read


@pytest.mark.parametrize(("text", "counted"), [("Has at least two tables", True), ("Says when tides rise", False)])
def test_counts_are_read_with_criteria_of_form_alone(text: str, counted: bool) -> None:
    pages, texts = units()
    made = reading(text, pages, scored(texts, "Tides"), negative=False)
    assert ("citations" in TOKENIZER.decode(made.ids[made.second :])) is counted


def test_a_reading_has_its_sign_and_its_limits() -> None:
    long = " ".join(f"Mill number {i} was built by the river in the year {1500 + i}." for i in range(400))
    pages, texts = units(long)
    made = reading("mill " * 300, pages, np.ones(len(texts), np.float32), negative=True)
    assert made.second == CRITERION_TOKENS + 2
    assert len(made.ids) <= PAIR_TOKENS
    assert TOKENIZER.decode(made.ids).startswith("flaw : mill")


def quotable(report: str) -> Quotable:
    tokens = tokenize(report, TOKENIZER)
    return Quotable.of(report, tokens, Outline.of(report, unit_spans(tokens)[:, 0]))


@pytest.mark.parametrize(
    ("best", "shown"),
    [
        ("ebb", "A tide mill turns on the ebb, as [Lee shows](https://a.org/x)."),
        ("Eling", "**Eling Mill** still grinds wheat today."),
        ("idle", "Others stand idle along the coast."),
        ("Mills", "Tides rise twice a day."),
    ],
)
def test_what_is_shown_is_a_whole_sentence_or_item_and_no_bare_heading(best: str, shown: str) -> None:
    _, texts = units()
    wanted = scored(texts, best, "twice")
    first, *more = quotable(REPORT).best(wanted)
    assert REPORT[first.start : first.end] == shown
    assert all(REPORT[span.start : span.end] in {"Tides rise twice a day."} for span in more)


def test_a_second_passage_is_shown_where_it_bears_on_the_criterion_almost_as_well() -> None:
    _, texts = units()
    score = np.full(len(texts), 0.1, np.float32)
    first, second = (next(i for i, text in enumerate(texts) if word in text) for word in ("ebb", "twice"))
    score[first], score[second] = 1.0, 0.9
    assert len(quotable(REPORT).best(score)) == 2
    score[second] = 0.8
    assert len(quotable(REPORT).best(score)) == 1


def test_where_nothing_can_be_shown_nothing_is() -> None:
    assert quotable("# A heading\n").best(np.ones(1, np.float32)) == ()
