"""Calibration, thresholds and what is no distribution."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judger.types import Label, Probabilities, Reason, Score, Unscored
from judger.verdict import Calibration, score


@pytest.mark.parametrize(
    "parts", [(math.nan, 0.5, 0.5), (math.inf, 0.0, 0.0), (-0.1, 0.6, 0.5), (0.2, 0.2, 0.2), (0.0, 0.0, 0.0)]
)
def test_what_is_no_distribution_is_unscored(parts: tuple[float, float, float]) -> None:
    result = score(Probabilities(*parts), negative=False)
    assert isinstance(result, Unscored)
    assert result.reason is Reason.ENGINE_ERROR


@given(
    st.tuples(*[st.floats(0.001, 1)] * 3),
    st.floats(0.2, 5),
    st.tuples(*[st.floats(-2, 2)] * 3),
)
def test_a_calibration_can_be_taken_back(
    parts: tuple[float, float, float], temperature: float, bias: tuple[float, float, float]
) -> None:
    p = Probabilities(*(part / sum(parts) for part in parts))
    calibration = Calibration(temperature=temperature, bias=bias)
    back = calibration.invert(calibration.apply(p))
    assert (back.p_not, back.p_partial, back.p_full) == pytest.approx((p.p_not, p.p_partial, p.p_full), abs=1e-6)


def test_a_high_temperature_flattens_and_keeps_the_order() -> None:
    p = Calibration(temperature=10.0).apply(Probabilities(0.01, 0.09, 0.9))
    assert p.p_not < p.p_partial < p.p_full < 0.5


def test_thresholds_by_sign_decide_the_strict_bit_and_the_margin_is_the_distance_to_them() -> None:
    calibration = Calibration(positive_threshold=0.7, negative_threshold=0.2)
    p = Probabilities(0.4, 0.0, 0.6)
    positive = score(p, negative=False, calibration=calibration)
    negative = score(p, negative=True, calibration=calibration)
    assert isinstance(positive, Score)
    assert isinstance(negative, Score)
    assert (positive.satisfied, negative.satisfied) == (False, True)
    assert positive.margin == pytest.approx(0.1)
    assert negative.margin == pytest.approx(0.4)


def test_a_requirement_that_misses_its_threshold_is_partially_or_not_satisfied() -> None:
    near = score(Probabilities(0.2, 0.35, 0.45), negative=False)
    far = score(Probabilities(0.6, 0.2, 0.2), negative=False)
    assert isinstance(near, Score)
    assert isinstance(far, Score)
    assert (near.label, far.label) == (Label.PARTIALLY_SATISFIED, Label.NOT_SATISFIED)


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": 0.0}, {"temperature": math.nan}, {"bias": (0.0, math.inf, 0.0)}, {"positive_threshold": 1.0}],
)
def test_a_calibration_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="calibration"):
        Calibration(**wrong)  # type: ignore[arg-type]
