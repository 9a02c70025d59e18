"""Run files: score --keep-cases and --only-unscored, rejudge, monitors."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.judger.cli.conftest import JUDGER, SCRIPTED, case, write

OPEN = case(
    "open", "x [[unscored=deadline]]", {"text": "y [[fully]]", "weight": 3}, {"text": "z [[not]]", "weight": -1}
)
WHOLE = case("whole", "x [[fully]]", {"text": "y [[partially]]", "axis": "Style"})


@pytest.fixture
def run_file(run, tmp_path):
    """A run in which one criterion has no verdict."""
    path = tmp_path / "run.jsonl"
    ran = run("score", write(tmp_path / "cases.jsonl", OPEN, WHOLE), *SCRIPTED, "-o", path, "--keep-cases")
    assert ran.code == 1
    return path


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_file_is_the_cases_with_their_judgement(run_file):
    rows = read(run_file)
    assert [{key: row[key] for key in case_} for row, case_ in zip(rows, (OPEN, WHOLE), strict=True)] == [OPEN, WHOLE]
    assert rows[1]["judgement"]["reward"]["value"] == 0.5


def test_only_what_has_no_verdict_is_judged_again_and_the_rest_stays(run, run_file, tmp_path):
    text = run_file.read_text().replace("[[unscored=deadline]]", "[[fully]]").replace("y [[fully]]", "y [[not]]")
    run_file.write_text(text)  # what has a verdict keeps it, whatever the judge would say now
    out = tmp_path / "new.jsonl"
    ran = run("score", "--only-unscored", run_file, *SCRIPTED, "-o", out)
    assert ran.code == 0, ran.err
    first, second = read(out)
    assert [v["score"]["label"] for v in first["judgement"]["verdicts"]] == [
        "FULLY_SATISFIED",
        "FULLY_SATISFIED",
        "NOT_SATISFIED",
    ]
    assert first["judgement"]["reward"]["value"] == 1.0
    assert second == read(run_file)[1]


def test_another_judge_fills_gaps_only_where_that_is_said_and_is_named(run, run_file, tmp_path):
    run_file.write_text(run_file.read_text().replace('"scripted-', '"other-').replace("unscored=deadline", "fully"))
    out = tmp_path / "new.jsonl"
    ran = run("score", "--only-unscored", run_file, *SCRIPTED, "-o", out)
    assert ran.code == 2
    assert "pinned to other-" in ran.err
    assert run("score", "--only-unscored", run_file, *SCRIPTED, "-o", out, "--mixed").code == 0
    ids = [row["judgement"]["judge_id"] for row in read(out)]
    assert "+scripted-" in ids[0]
    assert ids[1].startswith("other-")
    assert "+" not in ids[1]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda row: row.pop("judgement"), "judgement: is missing"),
        (lambda row: row["judgement"]["verdicts"].pop(), "judgement.verdicts: are not those"),
        (lambda row: row["judgement"].update(surprise=1), "judgement.surprise: is no field"),
        (lambda row: row.update(judgement=[1]), "judgement"),
        (lambda row: row["judgement"]["verdicts"][0].update(unscored=5), "judgement.verdicts[0].unscored"),
    ],
)
def test_a_line_without_its_judgement_is_named_before_the_judge_is_loaded(run, run_file, tmp_path, change, where):
    rows = read(run_file)
    change(rows[1])
    write(run_file, *rows)
    for command in (("score", "--only-unscored", run_file, "-o", tmp_path / "o"), ("rejudge", run_file)):
        ran = run(*command, "--engine", "vllm")
        assert ran.code == 2
        assert f"{run_file}:2: {where}" in ran.err


def test_rejudge_says_what_changed_which_way_and_on_which_kinds(run, run_file, tmp_path):
    text = (
        run_file.read_text().replace("x [[unscored=deadline]]", "x [[partially]]").replace("z [[not]]", "z [[fully]]")
    )
    run_file.write_text(text.replace("y [[partially]]", "y [[unscored=too_long]]"))
    ran = run("rejudge", run_file, *SCRIPTED, "--json", "-o", tmp_path / "new.jsonl")
    assert ran.code == 1
    (line,) = ran.lines
    assert line["kinds"]["all"] == {
        "criteria": 5,
        "compared": 3,
        "same": 2,
        "up": 1,
        "down": 0,
        "newly_scored": 1,
        "newly_unscored": 1,
        "moves": {"not_satisfied -> fully_satisfied": 1},
    }
    assert line["kinds"]["flaws"]["up"] == 1
    assert line["axes"]["Style"]["newly_unscored"] == 1
    # One reward was missing, the other is now: there is nothing to compare, and that is no zero.
    assert line["rewards"] == {"compared": 0, "missing": 2, "old_mean": None, "new_mean": None, "up": 0, "down": 0}
    assert {(change["criterion"], change["old"], change["new"]) for change in line["changed"]} == {
        ("c3", "not_satisfied", "fully_satisfied"),
        ("c1", "unscored: deadline", "partially_satisfied"),
        ("c2", "partially_satisfied", "unscored: too_long"),
    }
    beside = run("rejudge", run_file, "--with", tmp_path / "new.jsonl", "--json")
    assert beside.lines[0]["kinds"] == line["kinds"]
    table = run("rejudge", run_file, *SCRIPTED)
    assert "not → fully" in table.out
    assert "2 cases without a reward on a side" in table.out


def test_the_new_rewards_have_the_mapping_of_the_run(run, tmp_path):
    cases = write(tmp_path / "cases.jsonl", WHOLE)
    run("score", cases, *SCRIPTED, "--mapping", "ternary", "-o", tmp_path / "run.jsonl", "--keep-cases")
    (line,) = run("rejudge", tmp_path / "run.jsonl", *SCRIPTED, "-o", tmp_path / "new.jsonl", "--json").lines
    assert (line["rewards"]["old_mean"], line["rewards"]["new_mean"]) == (0.75, 0.75)
    assert read(tmp_path / "new.jsonl")[0]["judgement"]["reward"]["mapping"] == "TERNARY"


def test_two_runs_of_other_cases_are_not_compared(run, run_file, tmp_path):
    rows = read(run_file)
    other = write(tmp_path / "other.jsonl", rows[0], rows[1] | {"report": "Another."})
    ran = run("rejudge", run_file, "--with", other)
    assert ran.code == 2
    assert f"{other}:2: case: " in ran.err
    ran = run("rejudge", run_file, "--with", write(other, rows[0]))
    assert "has fewer cases" in ran.err


MONITORED = case(
    "m",
    {"text": "x [[fully]]", "weight": 2},
    {"text": "seen [[unscored=too_long]]", "weight": 0},
    {"text": "flaw [[partially]]", "weight": 0, "role": "negative"},
)


def test_a_monitor_is_judged_and_shown_and_counts_nothing(run, tmp_path):
    path = write(tmp_path / "m.jsonl", MONITORED)
    assert run("score", path, *SCRIPTED).code == 2  # only where the caller says so
    ran = run("score", path, *SCRIPTED, "--monitors", "--json")
    assert ran.code == 1
    (line,) = ran.lines
    assert line["reward"]["value"] == 1.0  # though a monitor has no verdict
    assert (line["reward"]["positive_weight"], line["reward"]["negative_weight"]) == (2.0, 0.0)
    assert line["verdicts"][1]["unscored"]["reason"] == "TOO_LONG"
    assert line["verdicts"][2]["score"]["satisfied"] is True  # judged as the flaw that it is
    table = run("score", path, *SCRIPTED, "--monitors").out
    assert table.count("monitor") == 2
    assert "flaw in part" in table


def test_a_rubric_of_monitors_alone_has_no_reward(run, tmp_path):
    path = write(tmp_path / "m.jsonl", case("m", {"text": "x [[fully]]", "weight": 0}))
    ran = run("score", path, *SCRIPTED, "--monitors", "--json")
    assert "value" not in ran.lines[0]["reward"]
    assert "every criterion is a monitor" in run("score", path, *SCRIPTED, "--monitors").out
    fatal = case("m", "x", {"text": "y", "weight": 0, "role": "negative", "fatal": True})
    ran = run("score", write(path, fatal), *SCRIPTED, "--monitors")
    assert ran.code == 2
    assert "criteria[1].fatal" in ran.err


def test_whoever_leaves_the_pipe_ends_the_command(run_file):
    argv = [*JUDGER, "score", "--only-unscored", str(run_file), *SCRIPTED, "-o", str(run_file) + ".new", "--json"]
    shell = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$@" | head -c 1 >/dev/null; echo ${PIPESTATUS[0]}', "x", *argv],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shell.stdout.strip() in ("1", "141")
    assert "Traceback" not in shell.stderr
