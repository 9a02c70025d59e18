"""A report that denies a claim does not make it."""

from __future__ import annotations

import numpy as np
import pytest

from judger.engines.mini.denial import claim_of, denied, stance
from judger.engines.mini.mix import Mix

CLAIM = "tide mills were driven by steam"


@pytest.mark.parametrize(
    ("sentence", "is_denied"),
    [
        ("Tide mills were not driven by steam.", True),
        ("Tide mills were never driven by steam but by water.", True),
        ("It is a myth that tide mills were driven by steam.", True),
        ("Tide mills were driven by steam.", False),
        ("Tide mills were driven by steam, and not by water.", False),
        ("Nobody lives there.", False),
    ],
)
def test_a_negation_before_the_claims_words_denies_it(sentence: str, is_denied: bool) -> None:
    assert denied(CLAIM, [sentence]) is is_denied


def test_what_is_claimed_in_one_sentence_and_denied_in_another_is_claimed() -> None:
    assert not denied(CLAIM, ["Tide mills were not driven by steam.", "All tide mills were driven by steam."])


def test_a_claim_of_a_negation_is_left_to_the_reader() -> None:
    assert not denied("tide mills were not driven by steam", ["Tide mills were not driven by steam."])


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("Claims that mills burn", "mills burn"),
        ("The report states that mills burn.", "mills burn."),
        ("Names mills", None),
    ],
)
def test_a_claim_is_recognised(text: str, claim: str | None) -> None:
    assert claim_of(text) == claim


def test_only_flaws_have_a_stance() -> None:
    report = "Tide mills were not driven by steam."
    spans, score = np.array([[0, len(report)]], np.int32), np.ones(1, np.float32)
    text = f"Claims that {CLAIM}"
    assert stance(text, True, report, spans, score) == "denied"
    assert stance(text, False, report, spans, score) == "none"
    assert stance("Uses strong language", True, report, spans, score) == "none"


def test_a_denied_claim_is_less_likely_present_and_three_labels_sum_to_one() -> None:
    mix = Mix((1.0, 1.0, 0.0, 0.0), (1.0, 1.0, -0.5, 0.0))
    logs, trees = np.log(np.full((3, 3), 1 / 3)), np.zeros(3, np.float32)
    p = mix(logs, trees, [True] * 3, ["none", "claim", "denied"])
    assert np.allclose(p.sum(1), 1, atol=1e-6)
    assert p[2, 0] > p[1, 0] > p[0, 0]
