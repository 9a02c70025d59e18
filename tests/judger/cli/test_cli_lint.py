"""judger lint: faults, advice, and their exit codes."""

from __future__ import annotations

import json

import pytest

from judger.rubric.linting import CODES

CLEAN = {"criteria": [{"id": "c1", "text": "Names the capital of France"}]}
ADVISED = {"criteria": [{"id": "c1", "text": "The report fails to name the capital", "weight": 2}]}


WORDS = ("--engine", "none")
"""Words alone are looked at, which loads no judge."""


@pytest.fixture
def rubric(tmp_path):
    def written(content: object):
        path = tmp_path / "rubric.json"
        path.write_text(json.dumps(content))
        return path

    return written


def test_a_rubric_without_faults_ends_with_0_and_says_its_size(run, rubric):
    ran = run("lint", rubric(CLEAN))
    assert (ran.code, ran.err) == (0, "")
    assert "no faults" in ran.out
    assert "1 criterion" in ran.out


def test_a_warning_ends_with_1_and_a_note_only_if_strict(run, rubric):
    path = rubric(ADVISED)
    ran = run("lint", path, *WORDS)
    assert ran.code == 1
    assert "warning flaw-with-positive-weight" in ran.out
    assert "1 warning, 0 notes" in ran.out
    assert run("lint", path, *WORDS, "--exit-zero").code == 0
    assert run("lint", path, *WORDS, "--ignore", "flaw-with-positive-weight,vague").code == 0
    assert run("lint", path, *WORDS, "--select", "vague").code == 0
    assert run("lint", rubric(CLEAN), *WORDS, "--strict").code == 0
    noted = rubric({"criteria": [{"text": f"Names the {name}"} for name in ("river", "bridge", "mayor", "museum")]})
    assert run("lint", noted, *WORDS).code == 0
    ran = run("lint", noted, *WORDS, "--strict")
    assert (ran.code, "note no-flaws" in ran.out) == (1, True)


def test_a_code_that_does_not_exist_is_refused(run, rubric):
    ran = run("lint", rubric(CLEAN), "--select", "vaguely")
    assert ran.code == 2
    assert "'vaguely'" in ran.err


def test_the_codes_are_listed(run):
    ran = run("lint", "--codes")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()] == list(CODES)


def test_the_engine_that_is_named_says_what_it_cannot_judge(run, rubric):
    path = rubric({"query": "q", "criteria": [{"id": "zh", "text": "解释压缩机的作用"}]})
    for engine, found in (("mini", ["not-english", "not-judgeable"]), ("openai", ["not-english"])):
        assert [line["code"] for line in run("lint", path, "--engine", engine, "--json").lines] == found


def test_json_is_one_object_for_each_piece_of_advice(run, rubric):
    (line,) = run("lint", rubric(ADVISED), *WORDS, "--json").lines
    assert line["code"] == "flaw-with-positive-weight"
    assert line["criterion"] == "c1"
    assert line["text"] == ADVISED["criteria"][0]["text"]
    assert (line["severity"], line["principle"]) == ("warning", "aligned")
    assert line["quote"] == line["text"][line["span"]["start"] : line["span"]["end"]] == "The report fails to"
    assert run("lint", rubric(CLEAN), *WORDS, "--json").out == ""


def test_faults_are_lines_on_standard_error_and_end_with_2(run, rubric):
    path = rubric({"criteria": [{"id": "c1", "text": ""}, {"id": "c1", "text": "x", "weight": 0}]})
    ran = run("lint", path)
    assert ran.code == 2
    assert not ran.out
    assert all(line.startswith(f"{path}:") for line in ran.err.splitlines())
    assert len(ran.err.splitlines()) == 3


def test_a_dropped_criterion_is_told(run, tmp_path):
    path = tmp_path / "r.jsonl"
    criteria = [{"criterion": "a b", "weight": 0}, {"criterion": "c d", "weight": 1}]
    path.write_text(json.dumps({"sample_id": "s", "prompt": "p", "rubrics": criteria}) + "\n")
    ran = run("lint", path)
    assert ran.code == 0
    assert "the weight is 0" in ran.out
    assert run("lint", path, "--json").lines[0]["code"] == "warning"
