"""Finding the one place that an anchor means."""

from __future__ import annotations

import hashlib
import re
import time

import pytest

from policy.errors import ToolError
from policy.workspace.patch import Place, apply, locate
from tests.benchmarks import agent_patch
from tests.policy.workspace import edits

TEXT = "The mill was built in 1825 by Arne Tait.\n\nThe wheel is of oak.\n\nThe mill was closed in 1951 by nobody.\n"


def _found(anchor, text=TEXT):
    place = locate(text, anchor)
    return text[place.start : place.end]


@pytest.mark.parametrize(
    ("anchor", "found"),
    [
        ("The wheel is of oak.", "The wheel is of oak."),
        ("  The wheel is of oak.\n", "The wheel is of oak."),
        ("The wheel\nis  of oak.", "The wheel is of oak."),
        ("The mill was biult in 1825 by Arne Tait.", "The mill was built in 1825 by Arne Tait."),
        ("The wheel is of oak,", None),
        ("The mill was built ... Arne Tait.", "The mill was built in 1825 by Arne Tait."),
        ("The mill was closed … by nobody", "The mill was closed in 1951 by nobody"),
    ],
)
def test_an_anchor_is_found_exactly_by_words_by_ends_or_by_likeness(anchor, found):
    if found is None:
        with pytest.raises(ToolError, match="begins or ends otherwise"):
            _found(anchor)
    else:
        assert _found(anchor) == found


@pytest.mark.parametrize(
    ("anchor", "reason"),
    [
        ("", "empty"),
        ("The mill was", "more than one place"),
        ("The mill wos built in 1826 by Arne Tait", "other numbers"),
        ("A cathedral was designed by a pupil of Wren", "not in the file"),
        ("whel", "too short"),
        ("The wheel is of ... pure gold and silver.", "no end like"),
    ],
)
def test_what_is_missing_ambiguous_or_numerically_different_is_refused(anchor, reason):
    with pytest.raises(ToolError, match=reason):
        locate(TEXT, anchor)


def test_two_places_that_are_almost_alike_are_refused():
    text = "Boats were lent to the crews of Hinny.\n\nBoats were lent to the crews of Holm.\n"
    with pytest.raises(ToolError, match="more than one place"):
        locate(text, "Boats were lent to the criews of")


def test_chinese_is_found_without_its_marks_and_never_with_another_character():
    text = "万安桥建成于清代，长四十二米。桥上不用灰浆，石块靠榫头一块一块相接。"
    assert _found("桥上不用灰浆,石块靠榫头一块一块相接。", text) == "桥上不用灰浆，石块靠榫头一块一块相接。"
    for anchor in (
        "桥上不用泥浆，石块靠榫头一块一块相接。",
        "桥上用灰浆，石块靠榫头一块一块相接。",
        "长二十四米。桥上不用灰浆，石块靠榫头",
    ):
        with pytest.raises(ToolError):
            locate(text, anchor)


@pytest.mark.parametrize(
    ("stands", "sent"),
    [
        ("Costs decreased by a fifth in all districts.", "Costs increased by a fifth in all districts."),
        ("The council did not approve the tunnel in spring.", "The council did approve the tunnel in spring."),
        ("The council did approve the tunnel in spring.", "The council did not approve the tunnel in spring."),
        ("There were twelve boats in the harbour that day.", "There were twenty boats in the harbour that day."),
        ("Output changed by -5% over the whole year.", "Output changed by 5% over the whole year."),
        ("Output changed by 5% over the whole year.", "Output changed by \u22125% over the whole year."),
        ("The dose was 5 mg of the drug every day.", "The dose was 5 µg of the drug every day."),
        ("It was a casual remark by the old minister.", "It was a causal remark by the old minister."),
        ("It was legal to fish here at any time.", "It was illegal to fish here at any time."),
        ("The house of Arne Tait stands by the shore.", "The house of Arne Tail stands by the shore."),
        ("Is the dam safe in every winter storm? Yes", "Is the dam safe in every winter storm! Yes"),
        ("It costs .5 crowns for each of the boats.", "It costs 5 crowns for each of the boats."),
    ],
)
def test_a_passage_that_says_something_else_is_not_what_the_anchor_means(stands, sent):
    with pytest.raises(ToolError):
        locate(f"# Report\n\n{stands}\n\nThe end.\n", sent)


def test_a_clause_that_the_anchor_has_not_is_not_taken_with_it():
    text = "谷中有三座水磨，磨坊主姓王，水轮用柏木制成，每年冬天停转。"
    assert _found("水轮用柏木制成", text) == "水轮用柏木制成"
    assert _found("磨坊主姓王,水轮用柏木 制成", text) == "磨坊主姓王，水轮用柏木制成"


def test_an_ellipsis_stands_for_a_passage_and_not_for_the_rest_of_the_report():
    text = "The mill was built here.\n\n" + "Some words of it.\n\n" * 2000 + "The mill was closed then.\n"
    with pytest.raises(ToolError, match="no end like"):
        locate(text, "The mill was built ... was closed then.")
    short = "The mill was built here.\n\n" + "x\n" * 100 + "The mill was closed then.\n"
    with pytest.raises(ToolError, match="lines apart"):
        locate(short, "The mill was built ... was closed then.")


@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"])
def test_line_ends_stay_as_the_file_has_them(ending):
    text = ending.join(["# One", "", "The wheel", "is of oak.", "", "End."])
    place = locate(text, "The wheel\nis of oak.")
    edited = apply(text, place, "The wheel\r\nis of\nelm.", "replace")
    assert edited == ending.join(["# One", "", "The wheel", "is of", "elm.", "", "End."])
    assert apply(text, place, "More.", "after") == text.replace("oak.", f"oak.{ending * 2}More.")


def test_insertions_get_a_gap_where_neither_side_has_one():
    assert apply("One. Two.", Place(0, 4), "More.", "after") == "One. More. Two."
    assert apply("One.\n", Place(0, 4), "More.", "after") == "One.\n\nMore.\n"
    assert apply("One.", Place(0, 4), "Head\n\n", "before") == "Head\n\nOne."
    assert apply("One two.", Place(4, 8), "and", "before") == "One and two."


def test_twenty_realistic_edits_are_all_right_and_save_seven_tenths_of_the_tokens():
    done = agent_patch.run()
    assert len(done) == 20
    assert [one.kind for one in done if not one.is_right] == []
    assert min(one.saved for one in done) >= 0.7


def test_an_anchor_that_is_too_long_to_be_fitted_as_a_whole_is_told_to_be_cut():
    passage = "\n".join(f"The wheel number {n} is of oak." for n in range(500))
    assert _found(passage, f"Before.\n{passage}\nBehind.") == passage
    with pytest.raises(ToolError, match="too many for an inexact match"):
        locate(f"Before.\n{passage}\nBehind.", passage.replace("number 7 ", "numbr 7 "))


def test_an_anchor_with_other_white_space_is_found_where_it_stands():
    text = "A  b\n\n\tc.   The  wheel\n is\tof   oak.  It turns."
    assert _found("The wheel is  of oak.", text) == "The  wheel\n is\tof   oak."
    assert _found("b c. The", text) == "b\n\n\tc.   The"
    with pytest.raises(ToolError, match="more than one place"):
        locate(f"{text}\n\n{text}", "wheel is of")


def test_a_word_of_the_anchor_may_be_the_end_of_a_longer_one():
    assert _found("wheel is of", "Every cartwheel  is of oak.") == "wheel  is of"


def test_a_text_of_one_character_has_no_one_place():
    anchor = "a" * 40 + "b" + "a" * 59
    with pytest.raises(ToolError):
        locate("a" * 100_000, anchor)
    with pytest.raises(ToolError, match=r"more than one place|too common"):
        locate("x " * 100_000, "x " * 3_000 + "y")


def test_a_long_inexact_anchor_takes_no_minutes():
    words = (hashlib.sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(400))
    text = "\n".join(f"The harbour {re.sub(r'[0-9]', ' ', word)} end." for word in words)
    passage = "\n".join(text.split("\n")[30:130])
    anchor = passage.replace("harbour", "harbor", 3)
    start = time.process_time()
    place = locate(text, anchor)
    assert time.process_time() - start < 10
    assert text[place.start : place.end] == passage


def test_generated_patches_that_say_the_same_are_mostly_found():
    same = [edit for edit in edits.generated(400, seed=2) if edit.is_same]
    found = sum(_is_found(edit) for edit in same)
    assert found >= 0.6 * len(same)


def _is_found(edit):
    try:
        locate(edit.text, edit.anchor)
    except ToolError:
        return False
    return True
