"""The table of a judged case, as text."""

from __future__ import annotations

import io
import unicodedata
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from judger.cli.table import case_table, clean, legend, number, refused_case
from judger.demo.picture import draw
from judger.reward import reward
from judger.types import (
    Case,
    Criterion,
    Judgement,
    Mapping,
    Probabilities,
    Reason,
    Role,
    Span,
    Unscored,
    Verdict,
)
from judger.verdict import Calibration, score, why_unlikely

FULLY, PARTLY, NOT = (0.05, 0.05, 0.9), (0.1, 0.8, 0.1), (0.9, 0.05, 0.05)
REPORT = "# Colours\n\n**The sky is blue**, as a rule. Grass is green. " + "Filler. " * 50


def requirement(text: str = "Names the sky's colour", weight: float = 2.0) -> Criterion:
    return Criterion(id="c", text=text, weight=weight)


def flaw(text: str = "Names a wrong colour", *, fatal: bool = False) -> Criterion:
    return Criterion(id="f", text=text, weight=-3.0, role=Role.NEGATIVE, fatal=fatal)


def rendered(
    *pairs: tuple[Criterion, tuple[float, float, float] | Unscored],
    width: int = 100,
    mapping: Mapping = Mapping.STRICT,
    allow_unscored: bool = False,
    query: str = "Which colours?",
) -> str:
    case = Case(id="case-1", query=query, report=REPORT, criteria=tuple(criterion for criterion, _ in pairs))
    verdicts = tuple(
        Verdict(
            criterion_id=criterion.id,
            result=p if isinstance(p, Unscored) else score(Probabilities(*p), negative=criterion.is_negative),
            evidence=(Span(0, 44),),
        )
        for criterion, p in pairs
    )
    judged = reward(case.criteria, verdicts, mapping=mapping, allow_unscored=allow_unscored)
    judgement = Judgement(case_id="case-1", verdicts=verdicts, reward=judged, judge_id="j")
    file = io.StringIO()
    Console(file=file, width=width).print(case_table(case, judgement, width=width))
    return file.getvalue()


def row(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.lstrip().startswith(start))


def test_a_row_has_weight_verdict_confidence_and_points():
    text = rendered((requirement(), FULLY), (flaw(), NOT))
    assert row(text, "Names the sky").split()[-5:] == ["+2", "✔", "fully", "90%", "+2"]
    assert row(text, "Names a wrong").split()[-6:] == ["−3", "✔", "flaw", "absent", "90%", "0"]


def test_a_flaw_that_is_present_reads_as_bad_and_costs_its_weight():
    assert row(rendered((flaw(), FULLY)), "Names").split()[-6:] == ["−3", "✘", "flaw", "present", "90%", "−3"]
    assert row(rendered((flaw(), PARTLY)), "Names").split()[-7:] == ["−3", "✘", "flaw", "in", "part", "80%", "−3"]


def test_the_deciding_passage_stands_on_one_line_without_markdown():
    assert "   » Colours The sky is blue, as a rule." in rendered((requirement(), FULLY))
    narrow = rendered((requirement(), FULLY), width=60)
    assert max(map(len, narrow.splitlines())) <= 60


def test_a_close_call_is_marked():
    assert "~52%" in rendered((requirement(), (0.24, 0.24, 0.52)))


def test_points_add_up_to_the_reward():
    text = rendered((requirement(), FULLY), (requirement("Other", 4.0), NOT), (flaw(), PARTLY))
    assert "reward −0.17  = −1 points / 6 positive weight" in text
    assert "earned +2, lost −3 of −3 · clamped to [0, 1]: 0.00 · strict mapping" in text


def test_partial_points_are_shown_under_the_ternary_mapping():
    text = rendered((requirement(), PARTLY), mapping=Mapping.TERNARY)
    assert row(text, "Names").split()[-1] == "+1"
    assert "ternary mapping" in text


def test_an_unscored_criterion_is_no_zero_and_leaves_no_reward():
    text = rendered((requirement(), FULLY), (requirement("Other"), Unscored(Reason.TOO_LONG, "9 of 8 tokens")))
    assert row(text, "Other").split()[-4:] == ["?", "unscored", "–", "–"]
    assert "unscored: 9 of 8 tokens" in text
    assert "no reward  1 of 2 criteria unscored (1 too_long); --allow-unscored takes the others alone" in text


def test_with_nothing_scored_no_flag_is_advised():
    assert "--allow-unscored" not in rendered((requirement(), Unscored(Reason.DEADLINE)))


def test_the_others_alone_make_a_reward_where_that_is_allowed():
    pairs = [(requirement(), FULLY), (requirement("Other"), Unscored(Reason.DEADLINE))]
    text = rendered(*pairs, allow_unscored=True)
    assert "reward 1.00 " in text
    assert "1 of 2 criteria left out, unscored: 1 deadline" in text


def test_a_fatal_flaw_is_said_to_hold_the_reward_down():
    text = rendered((requirement(weight=9.0), FULLY), (flaw(fatal=True), FULLY))
    assert "fatal −3" in text
    assert "reward 0.00  = 6 points / 9 positive weight  a fatal flaw keeps it at 0 or below; 0.67 but for it" in text


@pytest.mark.parametrize("width", [40, 72, 80, 100, 160])
def test_no_line_is_wider_than_the_terminal(width):
    long = requirement("A very long criterion that needs several lines to be shown " * 4)
    text = rendered((long, FULLY), (flaw(fatal=True), PARTLY), width=width, query="Why? " * 80)
    wide_enough = max(width, 66)  # the four columns and twenty for the criterion
    assert max(map(len, text.splitlines())) <= wide_enough


def test_text_from_files_can_neither_steer_the_terminal_nor_the_markup():
    text = rendered(
        (requirement("[bold red]\x1b[31mRed\x1b[0m\u202e[/]\x07 x"), FULLY), query="[link=x]y[/link]\x1b]0;t\x07"
    )
    assert "[bold red] Red [/] x" in text
    assert "[link=x]y[/link]" in text
    assert not set(text) & {"\x1b", "\x07", "\u202e"}


def test_a_refused_case_says_why():
    case = Case(id="case-1", query="", report="x", criteria=(requirement(),))
    file = io.StringIO()
    Console(file=file, width=80).print(refused_case(case, "report: is blank", width=80))
    assert "not judged: report: is blank" in file.getvalue()


@given(st.text())
def test_any_text_comes_out_on_one_line_without_control_characters(text):
    line = clean(text)
    assert line.splitlines() in ([line], [])
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Cf", "Cs"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (-0.0, "0"), (0.001, "0"), (-0.001, "0"), (2, "2"), (2.5, "2.5"), (-0.333, "−0.33"), (10, "10")],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize("mapping", list(Mapping))
def test_the_legend_explains_every_mapping(mapping):
    assert "reward = points / sum of the positive weights" in legend(mapping).plain


@pytest.mark.parametrize(
    ("criterion", "p", "shown", "why"),
    [
        (requirement(), (0.33, 0.35, 0.32), "partially 35%", "fully has 32%, under its 50%"),
        (requirement(), (0.45, 0.1, 0.45), "not ~45%", "else not 45%, partially 10%"),
        (flaw(), (0.45, 0.3, 0.25), "in part ~30%", "any trace of it has 55%, over its 50%"),
        (flaw(), (0.2, 0.39, 0.41), "present 41%", "else in part 39%, present 41%"),
        (requirement(), (0.3, 0.5, 0.2), "partially 50%", None),
        (flaw(), (0.6, 0.2, 0.2), "absent ~60%", None),
    ],
)
def test_the_confidence_is_that_of_the_label_shown_and_less_than_half_says_why(criterion, p, shown, why):
    text = rendered((criterion, p))
    assert shown in " ".join(row(text, "Names").split())
    assert ("less than half: " in text) == (why is not None)
    assert why is None or why in text


def test_a_calibrated_threshold_is_said_where_it_made_the_label():
    low = Calibration(positive_threshold=0.3, negative_threshold=0.8)
    met = score(Probabilities(0.3, 0.3, 0.4), negative=False, calibration=low)
    assert why_unlikely(met, negative=False) == "fully has 40%, over its 30%"
    absent = score(Probabilities(0.4, 0.3, 0.3), negative=True, calibration=low)
    assert why_unlikely(absent, negative=True) == "any trace of it has 60%, under its 80%"
    near = score(Probabilities(0.36, 0.35, 0.29), negative=False, calibration=Calibration(positive_threshold=0.292))
    assert why_unlikely(near, negative=False).startswith("fully has 29%, just under its threshold")


def test_the_picture_of_a_judged_case_is_whole_and_fetches_nothing(tmp_path):
    case = Case(id="case-1", query="Which colours?", report=REPORT, criteria=(requirement(),))
    verdict = Verdict(criterion_id="c", result=score(Probabilities(*FULLY), negative=False), evidence=(Span(0, 44),))
    judged = reward(case.criteria, (verdict,))
    draw(case, Judgement(case_id="case-1", verdicts=(verdict,), reward=judged, judge_id="j"), tmp_path / "p.svg")
    texts = "".join(ElementTree.parse(tmp_path / "p.svg").getroot().itertext()).replace("\xa0", " ")
    assert "reward 1.00" in texts
    assert "font-face" not in texts
    assert "url(http" not in texts
