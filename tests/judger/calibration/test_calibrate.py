"""A calibration fits people's labels, says honestly what it gains, and survives its file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judger.agreement import Observation
from judger.calibration.calibrate import Labelled, fit, fit_report, labelled, load_calibration, save_calibration
from judger.calibration.fitting import answers, apply, fit_partial, fit_threshold, invert, negative_log_likelihood
from judger.errors import InvalidFile, InvalidRequest
from judger.types import Label, Probabilities, Reason, Score, Unscored
from judger.verdict import IDENTITY, Calibration, score

DISTORTION = Calibration(temperature=0.4, bias=(1.0, -1.0, 0.0))


def made_up(n: int = 600, *, seed: int = 0, distortion: Calibration = IDENTITY, flaws: bool = True) -> Labelled:
    """Labels drawn from true probabilities, and a judge whose probabilities are those, distorted."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([0.6, 0.4, 0.6], size=n)
    return Labelled(
        probabilities=apply(distortion, p),
        labels=np.array([rng.choice(3, p=row) for row in p]),
        negatives=(np.arange(n) % 3 == 0) & flaws,
        reports=np.arange(n) // 6,
        sources=(np.arange(n) >= n // 3).astype(np.int64),
        names=("one", "two"),
    )


probabilities = st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda p: sum(p) > 0.01)
calibrations = st.builds(
    Calibration,
    temperature=st.floats(0.1, 5),
    bias=st.tuples(*[st.floats(-3, 3)] * 3),
    positive_threshold=st.floats(0.05, 0.95),
    negative_threshold=st.floats(0.05, 0.95),
    partial_threshold=st.floats(0.05, 0.95),
)


@given(probabilities, calibrations, st.booleans())
def test_arrays_give_what_a_single_verdict_gives(raw: list[float], calibration: Calibration, negative: bool) -> None:
    p = np.array([raw]) / sum(raw)
    own = Probabilities(*p[0])
    calibrated = apply(calibration, p)
    assert np.allclose(calibrated[0], list(asdict_of(calibration.apply(own))))
    assert np.allclose(invert(calibration, p)[0], list(asdict_of(calibration.invert(own))))
    single = score(
        Probabilities(*calibrated[0]),
        negative=negative,
        calibration=replace(calibration, temperature=1, bias=(0, 0, 0)),
    )
    assert isinstance(single, Score)
    many = answers(calibration, calibrated, np.array([negative]))
    if single.margin > 1e-9:
        assert many.satisfied[0] == single.satisfied
        assert math.isclose(
            abs(many.p_satisfied[0] - (calibration.negative_threshold if negative else calibration.positive_threshold)),
            single.margin,
            abs_tol=1e-12,
        )
        low, high = (calibrated[0, 1], calibrated[0, 2]) if negative else (calibrated[0, 0], calibrated[0, 1])
        if abs(high - calibration.partial_threshold * (low + high)) > 1e-9:
            assert list(Label)[many.label[0]] == single.label


def asdict_of(p: Probabilities) -> tuple[float, float, float]:
    return p.p_not, p.p_partial, p.p_full


def test_a_distortion_is_found_and_taken_back() -> None:
    data = made_up(4000, distortion=DISTORTION)
    calibration = fit(data)
    assert calibration.temperature == pytest.approx(1 / DISTORTION.temperature, rel=0.1)
    true = negative_log_likelihood(invert(DISTORTION, data.probabilities), data.labels, data.weights)
    found = negative_log_likelihood(apply(calibration, data.probabilities), data.labels, data.weights)
    assert found == pytest.approx(true, abs=0.01)


def test_probabilities_that_are_right_are_left_nearly_alone() -> None:
    calibration = fit(made_up(4000))
    assert calibration.temperature == pytest.approx(1, abs=0.1)
    assert calibration.bias == pytest.approx((0, 0, 0), abs=0.15)


def test_the_gain_is_measured_on_reports_that_were_left_out() -> None:
    report = fit_report(made_up(900, distortion=DISTORTION), fitted_on="made up", resamples=50)
    assert report.improves
    assert report.nll_after < report.nll_before - 0.1
    before, after = report.before[1].figures["ece"], report.after[1].figures["ece"]
    assert before.value is not None
    assert after.value is not None
    assert after.value < before.value / 2
    assert set(report.after[0]) == {"one", "two"}
    assert (report.num_labels, report.num_reports, report.notes) == (900, 150, ())
    assert report.calibration.fitted_on == "made up"
    json.dumps(report.to_json(), allow_nan=False)


def test_labels_that_say_nothing_promise_no_gain() -> None:
    data = made_up(300, flaws=False)
    noise = replace(data, probabilities=np.full((300, 3), 1 / 3), labels=np.random.default_rng(1).integers(0, 3, 300))
    report = fit_report(noise, resamples=50)
    assert report.nll_after > report.nll_before - 0.01
    value = report.after[1].figures["balanced_accuracy"].value
    assert value is not None
    assert abs(value - 0.5) < 0.1


def test_the_gain_over_a_calibration_that_fits_already_is_none() -> None:
    data = made_up(1200, distortion=DISTORTION)
    report = fit_report(data, current=fit(data), resamples=50)
    assert abs(report.nll_after - report.nll_before) < 0.01


def test_the_same_labels_give_the_same_report() -> None:
    data = made_up(distortion=DISTORTION)
    assert fit_report(data, resamples=50) == fit_report(data, resamples=50)


def test_every_source_counts_the_same() -> None:
    data = made_up()
    weights = data.weights
    assert weights.mean() == pytest.approx(1)
    assert weights[data.sources == 0].sum() == pytest.approx(weights[data.sources == 1].sum())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (made_up(48), "48 labelled criteria have a verdict, at least 50 are needed"),
        (replace(made_up(), reports=np.zeros(600, dtype=np.int64)), "they come from 1 reports, at least 10 are needed"),
        (
            replace(made_up(flaws=False), labels=np.zeros(600, dtype=np.int64)),
            "0 are satisfied and 600 are not, at least 10 of each are needed",
        ),
        (labelled({}), "0 labelled criteria"),
    ],
)
def test_too_few_labels_are_refused(data: Labelled, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        fit_report(data, resamples=50)


def test_a_sign_without_labels_and_a_class_without_labels_are_noted() -> None:
    data = made_up(flaws=False)
    report = fit_report(replace(data, labels=np.where(data.labels == 1, 0, data.labels)), resamples=50)
    assert report.calibration.negative_threshold == 0.5
    assert report.calibration.partial_threshold == 0.5
    assert report.calibration.bias[1] < -1
    assert report.notes == (
        "too few labels of flaws on both sides: their threshold stays at 0.5",
        "no label is partially_satisfied: the class is driven down",
    )


def test_a_threshold_separates_what_can_be_separated() -> None:
    above = np.concatenate([np.linspace(0.01, 0.2, 20), np.linspace(0.3, 0.4, 20)])
    satisfied = np.arange(40) >= 20
    assert fit_threshold(above, satisfied, np.ones(40)) == pytest.approx(0.25)
    assert fit_threshold(above, satisfied[::-1], np.ones(40)) in (pytest.approx(0.005), pytest.approx(0.7))
    assert fit_threshold(above[11:29], satisfied[11:29], np.ones(18)) == 0.5


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.floats(0.1, 2)), min_size=1, max_size=60))
def test_a_threshold_is_at_least_as_good_as_one_half(rows: list[tuple[float, bool, float]]) -> None:
    above, satisfied, weights = (np.array(column) for column in zip(*rows, strict=True))
    threshold = fit_threshold(above, satisfied, weights)
    assert 0 < threshold < 1
    if threshold != 0.5:
        assert accuracy(above >= threshold, satisfied, weights) >= accuracy(above >= 0.5, satisfied, weights) - 1e-9


def accuracy(judged: np.ndarray, satisfied: np.ndarray, weights: np.ndarray) -> float:
    recalls = [np.average(judged[satisfied == side] == side, weights=weights[satisfied == side]) for side in (0, 1)]
    return float(np.mean(recalls))


def test_the_partial_threshold_finds_labels_of_partially() -> None:
    p = np.array([[0.7, 0.3, 0.0]] * 20 + [[0.9, 0.1, 0.0]] * 20 + [[0.0, 0.0, 1.0]] * 20)
    labels = np.repeat([1, 0, 2], 20)
    none = np.zeros(60, dtype=np.bool_)
    assert 0.1 < fit_partial(p, labels, none, p[:, 2] > 0.5, np.ones(60)) <= 0.3


def test_observations_become_arrays_without_the_current_calibration() -> None:
    raw = Probabilities(0.2, 0.3, 0.5)
    current = Calibration(temperature=2.0, bias=(0.5, 0.0, -0.5))
    p = current.apply(raw)
    result = Score(Label.FULLY_SATISFIED, p.p_not, p.p_partial, p.p_full, True, 0.1)
    row = Observation(b"r", True, Label.PARTIALLY_SATISFIED, result, ())
    missing = replace(row, result=Unscored(Reason.DEADLINE))
    data = labelled({"a": [row, missing], "b": [row]}, current)
    assert np.allclose(data.probabilities, [[0.2, 0.3, 0.5]] * 2)
    assert data.labels.tolist() == [1, 1]
    assert data.negatives.all()
    assert data.satisfied.all()
    assert data.reports.tolist() == [0, 1]  # the same bytes in two sources are two reports
    assert data.names == ("a", "b")


def test_a_calibration_survives_its_file(tmp_path: Path) -> None:
    calibration = fit(made_up(distortion=DISTORTION), fitted_on="ä")
    path = tmp_path / "calibration"
    save_calibration(calibration, path)
    assert load_calibration(path) == calibration
    assert [entry.name for entry in tmp_path.iterdir()] == ["calibration"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"temperature": 0}, "2: temperature: must lie between 0.01 and 100"),
        ({"temperature": "1"}, "2: temperature: must be a number, not a string"),
        ({"positive_threshold": 1}, "8: positive_threshold: must lie between 0 and 1"),
        ({"bias": [0, 0]}, "3: bias: must hold three numbers, for not, partially and fully"),
        ({"bias": [0, 0, 1e9]}, "3: bias.2: must lie between -100 and 100"),
        ({"bias": [0, 0, math.nan]}, "6: bias[2]: NaN is not JSON: a number is finite"),
        ({"bias": None}, "3: bias: must be a list, not null"),
        ({"tmperature": 1}, "13: tmperature: is not a key of a calibration"),
        ({"fitted_on": 3}, "11: fitted_on: must be a string, not a number"),
    ],
)
def test_a_file_with_a_fault_is_refused(tmp_path: Path, change: dict[str, object], expected: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({**asdict(IDENTITY), **change}, indent=1))
    with pytest.raises(InvalidFile) as raised:
        load_calibration(path)
    assert [str(fault) for fault in raised.value.faults] == [f"{path}:{expected}"]


@pytest.mark.parametrize("key", list(asdict(IDENTITY)))
def test_a_file_that_lacks_a_key_is_refused(tmp_path: Path, key: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({k: v for k, v in asdict(IDENTITY).items() if k != key}))
    with pytest.raises(InvalidFile, match=f"{key}: is missing"):
        load_calibration(path)


@pytest.mark.parametrize("content", ["", "[]", "{}", "3", "no", '{"temperature": 1}{}', "null"])
def test_a_file_that_is_no_calibration_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(content)
    with pytest.raises(InvalidFile):
        load_calibration(path)
