"""judger score, over the real loopback path."""

from __future__ import annotations

import gzip
import json
import subprocess

import pytest

from judger.engines.calibration_file import save_calibration
from judger.engines.scripted import ScriptedEngine
from judger.verdict import Calibration
from tests.judger.cli.conftest import JUDGER, SCRIPTED, case, write

TWO = (
    case("a", "The sky is blue [[fully]]", {"text": "Wrong colours [[not]]", "weight": -1.0}),
    case("b", {"text": "Grass [[partially]]", "weight": 2.0}, "Sky [[fully]]"),
)


@pytest.fixture
def cases(tmp_path):
    return write(tmp_path / "cases.jsonl", *TWO)


def test_the_table_shows_every_case_and_how_to_read_it(run, cases):
    ran = run("score", cases, *SCRIPTED)
    assert ran.code == 0
    assert ran.err == ""
    assert "reward 1.00  = 1 points / 1 positive weight" in ran.out
    assert "reward 0.33  = 1 points / 3 positive weight" in ran.out
    assert ran.out.count("How to read it") == 1
    assert "2 cases, 4 criteria · mean reward 0.67" in ran.out


def test_reports_of_one_query_that_all_earn_the_same_are_told_of(run, tmp_path):
    path = write(tmp_path / "c.jsonl", *(case(name, "The sky is blue [[fully]]") for name in "abc"))
    assert "no spread: all 3 reports of the group have the reward 1" in run("score", path, *SCRIPTED).out
    assert "no spread" not in run("score", path, *SCRIPTED, "--json").out
    assert "no spread" not in run("score", write(tmp_path / "d.jsonl", *TWO), *SCRIPTED).out


def test_json_is_one_response_a_line_and_nothing_else(run, cases):
    ran = run("score", cases, *SCRIPTED, "--json")
    assert ran.code == 0
    assert [line["request_id"] for line in ran.lines] == ["a", "b"]
    assert [line["reward"]["value"] for line in ran.lines] == [1.0, pytest.approx(1 / 3)]
    first = ran.lines[0]
    assert first["verdicts"][0]["score"]["label"] == "FULLY_SATISFIED"
    assert first["verdicts"][1]["score"]["satisfied"] is False
    assert first["flags"] == []
    assert first["judge_id"].startswith("scripted-")


def test_the_order_is_that_of_the_file_whatever_finishes_first(run, tmp_path):
    slow = case("slow", "x [[slow=0.4]]")
    path = write(tmp_path / "c.jsonl", slow, *(case(f"q{i}", f"x {i}") for i in range(400)))
    ran = run("score", path, *SCRIPTED, "--json", "--max-batch-tokens", "20")
    assert [line["request_id"] for line in ran.lines] == ["slow", *(f"q{i}" for i in range(400))]
    assert [line["index"] for line in ran.lines] == list(range(401))


def test_something_unscored_ends_with_1_and_has_no_reward(run, tmp_path):
    path = write(tmp_path / "c.jsonl", case("a", "x [[unscored=too_long]]", "y [[fully]]"))
    ran = run("score", path, *SCRIPTED, "--json")
    assert ran.code == 1
    assert "value" not in ran.lines[0]["reward"]
    ran = run("score", path, *SCRIPTED, "--json", "--allow-unscored")
    assert ran.code == 1
    assert ran.lines[0]["reward"]["value"] == 1.0


@pytest.mark.parametrize(
    ("mapping", "value"), [("strict", 1 / 3), ("ternary", 2 / 3), ("expected", (2 * 0.05 + 0.9) / 3)]
)
def test_the_mapping_is_the_callers(run, tmp_path, mapping, value):
    ran = run("score", write(tmp_path / "c.jsonl", TWO[1]), *SCRIPTED, "--json", "--mapping", mapping)
    assert ran.lines[0]["reward"]["value"] == pytest.approx(value)
    assert ran.lines[0]["reward"]["mapping"] == mapping.upper()


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_an_output_holds_the_lines_of_json(run, cases, tmp_path, name):
    ran = run("score", cases, *SCRIPTED, "-o", tmp_path / name)
    assert ran.code == 0
    assert ran.out == f"2 cases, 4 criteria · mean reward 0.67 → {tmp_path / name}\n" or str(tmp_path) in ran.out
    opened = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "rt") as file:
        assert [json.loads(line)["request_id"] for line in file] == ["a", "b"]


def test_a_compressed_file_is_read_as_it_is(run, tmp_path):
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in TWO)))
    assert len(run("score", path, *SCRIPTED, "--json").lines) == 2


def test_a_rubric_takes_the_place_of_the_files_own(run, tmp_path):
    rubric = tmp_path / "rubric.json"
    rubric.write_text(json.dumps({"criteria": [{"id": "r", "text": "green [[fully]]"}]}))
    path = write(tmp_path / "c.jsonl", {"id": "a", "report": "Grass is green."})
    ran = run("score", path, "--rubric", rubric, *SCRIPTED, "--json")
    assert ran.code == 0
    assert [verdict["criterion_id"] for verdict in ran.lines[0]["verdicts"]] == ["r"]


def test_a_server_gives_what_the_same_engine_gives_in_process(run, cases, addr):
    ours, theirs = run("score", cases, *SCRIPTED, "--json"), run("score", cases, "--addr", addr, "--json")
    assert (ours.code, theirs.code) == (0, 0)
    for line in (*ours.lines, *theirs.lines):
        del line["usage"]
    strip = [{k: v for k, v in line.items() if k != "usage"} for line in ours.lines]
    assert strip == [{k: v for k, v in line.items() if k != "usage"} for line in theirs.lines]


def test_the_judge_id_of_an_answer_can_be_pinned(run, cases, addr):
    pin = run("score", cases, "--addr", addr, "--json").lines[0]["judge_id"]
    assert run("score", cases, "--addr", addr, "--judge-id", pin, "--json").code == 0


def test_a_calibration_changes_the_judge_and_its_probabilities(run, cases, tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text(
        json.dumps(
            {
                "temperature": 2.0,
                "bias": [0, 0, 0],
                "positive_threshold": 0.5,
                "negative_threshold": 0.5,
                "partial_threshold": 0.5,
                "fitted_on": "a test",
                "fitted_for": ScriptedEngine().identity.model_id,
            }
        )
    )
    raw, calibrated = (run("score", cases, *SCRIPTED, "--json", *f).lines[0] for f in ([], ["--calibration", path]))
    assert calibrated["judge_id"] != raw["judge_id"]
    assert calibrated["verdicts"][0]["score"]["p_full"] < raw["verdicts"][0]["score"]["p_full"]


@pytest.mark.parametrize("whose", ["torch-0123456789abcdef", ""])
def test_a_calibration_of_another_judge_is_refused_and_both_are_named(run, cases, tmp_path, whose):
    path = tmp_path / "calibration.json"
    save_calibration(Calibration(temperature=2.0, fitted_on="a test", fitted_for=whose), path)
    ran = run("score", cases, *SCRIPTED, "--calibration", path)
    assert ran.code == 2
    assert ScriptedEngine().identity.model_id in ran.err
    assert (whose or "no model that it names") in ran.err
    assert ran.out == ""


def test_several_files_are_judged_in_their_order_and_all_are_checked_first(run, tmp_path):
    first, second = write(tmp_path / "1.jsonl", case("a", "x [[fully]]")), write(tmp_path / "2.jsonl", case("b", "x"))
    ran = run("score", first, second, *SCRIPTED, "--json")
    assert [(line["request_id"], line["index"]) for line in ran.lines] == [("a", 0), ("b", 1)]
    second.write_text("{}\n")
    ran = run("score", first, second, *SCRIPTED, "--json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"{second}:1: ")


@pytest.mark.parametrize("indent", [None, 1])
def test_a_dash_is_standard_input_lines_or_one_document(tmp_path, indent):
    text = json.dumps(case("a", "x [[fully]]"), indent=indent)
    argv = [*JUDGER, "score", "-", *SCRIPTED, "--json"]
    ran = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["request_id"] == "a"


def test_standard_input_is_named_once(run):
    ran = run("score", "-", "-", *SCRIPTED)
    assert ran.code == 2
    assert "standard input can be read once" in ran.err


def test_labels_and_roles_are_read_as_they_are_printed(run, tmp_path):
    row = case("a", {"text": "x [[fully]]", "label": "FULLY_SATISFIED", "role": "EXPLICIT"})
    path = write(tmp_path / "c.jsonl", row, case("b", {"text": "y [[not]]", "label": "not_satisfied"}))
    ran = run("agree", path, *SCRIPTED, "--json")
    assert ran.code == 0
    assert ran.lines[0]["mean"]["balanced_accuracy"]["value"] == 1.0


def test_the_text_of_the_evidence_comes_on_request(run, cases, tmp_path):
    ran = run("score", cases, *SCRIPTED, "--json", "--evidence-text")
    spans = [(line, span) for line in ran.lines for verdict in line["verdicts"] for span in verdict["evidence"]]
    assert spans
    reports = {row["id"]: row["report"] for row in TWO}
    assert all(span["text"] == reports[line["request_id"]][span["start"] : span["end"]] for line, span in spans)
    assert "text" not in run("score", cases, *SCRIPTED, "--json").out
    out = tmp_path / "out.jsonl"
    run("filter", cases, "-o", out, "--min-reward", "-9", *SCRIPTED, "--evidence-text")
    assert '"text": "The sky is blue' in out.read_text()
    ran = run("score", cases, *SCRIPTED, "--evidence-text")
    assert (ran.code, ran.out) == (2, "")
    assert "--evidence-text: is of JSON" in ran.err
