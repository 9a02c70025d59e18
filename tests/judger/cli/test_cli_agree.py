"""judger agree and judger calibrate, over the real loopback path."""

from __future__ import annotations

import json
import random

import pytest

from judger.agreement.figures import FIGURES
from judger.cli.labelled import source_names
from judger.errors import InvalidRequest
from tests.judger.cli.conftest import SCRIPTED, case, write

LABELS = {"fully": "fully_satisfied", "partially": "partially_satisfied", "not": "not_satisfied"}


def labelled(n: int, *, seed: int = 0, error: float = 0.2, prefix: str = "") -> list[dict]:
    """Cases of two criteria; the scripted judge errs on some."""
    rng = random.Random(seed)
    rows = []
    for i in range(n):
        criteria = []
        for sign in (1.0, -1.0):
            human = rng.choice(list(LABELS))
            said = human if rng.random() > error else rng.choice(list(LABELS))
            criteria.append({"text": f"{prefix}{i} [[{said}]]", "weight": sign, "label": LABELS[human]})
        rows.append(case(f"{prefix}{i}", *criteria, report=f"Report {prefix}{i}"))
    return rows


@pytest.fixture
def files(tmp_path):
    return write(tmp_path / "one.jsonl", *labelled(40)), write(tmp_path / "two.jsonl", *labelled(20, seed=1, error=0.5))


def test_the_json_is_one_object_of_the_designs_shape(run, files):
    ran = run("agree", *files, *SCRIPTED, "--json", "--resamples", "200")
    assert ran.code == 0
    (result,) = ran.lines
    assert list(result["sources"]) == ["one", "two"]
    assert result["judge_id"].startswith("scripted-")
    assert [row["n"] for row in result["sources"].values()] == [80, 40]
    for row in (*result["sources"].values(), result["mean"], result["baselines"]["majority_class"]["mean"]):
        assert all(set(row[name]) == {"value", "low", "high"} for name in FIGURES)
    one = result["sources"]["one"]["balanced_accuracy"]
    assert one["low"] < one["value"] < one["high"]
    assert one["value"] > result["sources"]["two"]["balanced_accuracy"]["value"]


def test_the_table_shows_sources_mean_and_baselines_and_explains_itself(run, files):
    ran = run("agree", *files, *SCRIPTED, "--resamples", "50")
    assert ran.code == 0
    for word in ("one", "two", "mean", "majority class", "word overlap", "How to read it", "by sign of weight"):
        assert word in ran.out
    assert ran.err == ""


def test_a_judge_that_is_always_right_agrees_wholly(run, tmp_path):
    path = write(tmp_path / "right.jsonl", *labelled(30, error=0.0))
    mean = run("agree", path, *SCRIPTED, "--json", "--resamples", "20").lines[0]["mean"]
    assert mean["balanced_accuracy"]["value"] == mean["kappa"]["value"] == mean["ternary_macro_f1"]["value"] == 1.0


def test_unscored_criteria_are_shown_and_end_with_1(run, tmp_path):
    rows = labelled(20)
    rows[3]["criteria"][0]["text"] = "[[unscored=too_long]]"
    path = write(tmp_path / "gaps.jsonl", *rows)
    ran = run("agree", path, *SCRIPTED, "--resamples", "20")
    assert ran.code == 1
    assert "gaps: 2.5% unscored (1 too_long)" in ran.out
    (result,) = run("agree", path, *SCRIPTED, "--resamples", "20", "--json").lines
    assert result["sources"]["gaps"]["n"] == 39
    assert result["details"]["unscored"] == {"gaps": {"too_long": 1}}


def test_a_label_that_is_missing_in_any_file_is_a_fault(run, files, tmp_path):
    bare = write(tmp_path / "bare.jsonl", case("a", "x"))
    ran = run("agree", files[0], bare, "--engine", "vllm")
    assert ran.code == 2
    assert ran.err.startswith(f"{bare}:1: criteria[0].label: ")


@pytest.mark.parametrize("flags", [["--resamples", "0"], ["--seed", "-1"]])
def test_a_bootstrap_that_can_not_be_is_refused(run, files, flags):
    assert run("agree", *files, *SCRIPTED, *flags).code == 2


def test_a_source_has_the_name_of_its_file(tmp_path):
    a, b = tmp_path / "a" / "x.jsonl.gz", tmp_path / "b" / "x.jsonl"
    assert source_names([a]) == ["x"]
    assert source_names([a, b, tmp_path / "y.json"]) == ["a/x", "b/x", "y"]
    with pytest.raises(InvalidRequest, match="2 files"):
        source_names([a, a])


def test_a_calibration_is_written_that_serves_and_helps(run, tmp_path):
    path = write(tmp_path / "labels.jsonl", *labelled(80, error=0.5))
    out = tmp_path / "calibration.json"
    ran = run("calibrate", path, "-o", out, *SCRIPTED, "--json")
    assert ran.code == 0
    (result,) = ran.lines
    assert result["after"]["nll"] < result["before"]["nll"]
    assert json.loads(out.read_text())["temperature"] > 1
    assert json.loads(out.read_text())["fitted_for"].startswith("scripted-")
    after = run("agree", path, *SCRIPTED, "--calibration", out, "--json", "--resamples", "20").lines[0]
    before = run("agree", path, *SCRIPTED, "--json", "--resamples", "20").lines[0]
    assert after["judge_id"] != before["judge_id"]
    assert after["mean"]["ece"]["value"] < before["mean"]["ece"]["value"]


def test_calibrating_a_calibrated_judge_gives_the_same_calibration(run, tmp_path):
    path = write(tmp_path / "labels.jsonl", *labelled(80, error=0.5))
    once, twice = tmp_path / "once.json", tmp_path / "twice.json"
    run("calibrate", path, "-o", once, *SCRIPTED)
    run("calibrate", path, "-o", twice, *SCRIPTED, "--calibration", once)
    assert json.loads(twice.read_text())["temperature"] == pytest.approx(
        json.loads(once.read_text())["temperature"], rel=1e-3
    )


def test_the_calibrations_table_compares_before_and_after(run, tmp_path):
    path = write(tmp_path / "labels.jsonl", *labelled(80, error=0.5))
    ran = run("calibrate", path, "-o", tmp_path / "c.json", *SCRIPTED)
    assert ran.code == 0
    for word in ("before", "after", "negative log-likelihood", "temperature", "160 labels, 80 reports"):
        assert word in ran.out


def test_too_few_labels_make_no_calibration(run, tmp_path):
    out = tmp_path / "calibration.json"
    ran = run("calibrate", write(tmp_path / "few.jsonl", *labelled(5)), "-o", out, *SCRIPTED)
    assert ran.code == 2
    assert "10 labelled criteria" in ran.err
    assert not out.exists()
