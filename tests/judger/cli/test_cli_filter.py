"""judger filter, over the real loopback path."""

from __future__ import annotations

import json
import random
import subprocess
import time

import pytest

from tests.judger.cli.conftest import JUDGER, SCRIPTED, case, write

ROWS = (
    case("good", "x [[fully]]", note={"kept": ["as", "it", "is"]}),
    case("half", "x [[fully]]", "y [[not]]"),
    case("bad", "x [[not]]"),
    case("unscored", "x [[unscored=too_long]]"),
)


@pytest.fixture
def cases(tmp_path):
    return write(tmp_path / "in.jsonl", *ROWS)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.jsonl"


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def ids(path):
    return [row["id"] for row in read(path)]


def test_cases_are_kept_by_their_reward_with_the_judgement_beside_their_own_keys(run, cases, out):
    ran = run("filter", cases, "-o", out, "--min-reward", "0.5", *SCRIPTED)
    assert ran.code == 1  # one is unscored
    assert ids(out) == ["good", "half"]
    first = read(out)[0]
    assert {key: first[key] for key in ROWS[0]} == ROWS[0]
    assert first["judgement"]["reward"]["value"] == 1.0
    assert "kept 2 of 4 cases, dropped 1 · 1 unscored and dropped" in ran.out


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        (["--min-reward", "0.51"], ["good"]),
        (["--max-reward", "0.5"], ["half", "bad"]),
        (["--min-reward", "0.5", "--max-reward", "0.5"], ["half"]),
        (["--max-reward", "0", "--keep-unscored"], ["bad", "unscored"]),
    ],
)
def test_both_bounds_belong_to_the_range(run, cases, out, flags, kept):
    run("filter", cases, "-o", out, *flags, *SCRIPTED)
    assert ids(out) == kept


def test_json_says_what_became_of_the_cases(run, cases, out):
    ran = run("filter", cases, "-o", out, "--min-reward", "0.5", *SCRIPTED, "--json")
    (line,) = ran.lines
    assert {name: line[name] for name in ("kept", "dropped", "unscored", "refused", "resumed_from")} == {
        "kept": 2,
        "dropped": 1,
        "unscored": 1,
        "refused": 0,
        "resumed_from": 0,
    }


def test_without_anything_unscored_the_code_is_0(run, tmp_path, out):
    path = write(tmp_path / "in.jsonl", *ROWS[:3])
    assert run("filter", path, "-o", out, "--min-reward", "0.5", *SCRIPTED).code == 0


def test_doing_it_again_changes_nothing(run, cases, out):
    flags = ("filter", cases, "-o", out, "--min-reward", "0.5", *SCRIPTED, "--json")
    first, content = run(*flags), out.read_bytes()
    again = run(*flags)
    assert again.code == first.code
    assert again.lines[0]["resumed_from"] == 4
    assert out.read_bytes() == content


def test_another_threshold_or_input_does_not_go_on_with_the_old_output(run, cases, out):
    run("filter", cases, "-o", out, "--min-reward", "0.5", *SCRIPTED)
    content = out.read_bytes()
    ran = run("filter", cases, "-o", out, "--min-reward", "0.6", *SCRIPTED)
    assert ran.code == 2
    assert "another min_reward (0.5, now 0.6)" in ran.err
    write(cases, *ROWS[:2])
    ran = run("filter", cases, "-o", out, "--min-reward", "0.5", *SCRIPTED)
    assert ran.code == 2
    assert "another input" in ran.err
    assert out.read_bytes() == content
    assert run("filter", cases, "-o", out, "--min-reward", "0.6", "--restart", *SCRIPTED).code == 0
    assert ids(out) == ["good"]


@pytest.mark.parametrize(
    "flags", [[], ["--min-reward", "nan"], ["--min-reward", "1", "--max-reward", "0"]], ids=["none", "nan", "empty"]
)
def test_bounds_that_keep_everything_or_nothing_are_refused(run, cases, out, flags):
    ran = run("filter", cases, "-o", out, *flags, *SCRIPTED)
    assert ran.code == 2
    assert "--min-reward" in ran.err


def test_an_output_that_could_not_be_continued_is_refused(run, cases, tmp_path):
    assert run("filter", cases, "-o", tmp_path / "o.jsonl.gz", "--min-reward", "0", *SCRIPTED).code == 2


def test_a_rubric_judges_reports_that_have_none(run, tmp_path, out):
    rubric = tmp_path / "rubric.yaml"
    rubric.write_text("criteria:\n- text: green grass\n")
    path = write(tmp_path / "in.jsonl", {"id": "a", "report": "green grass"}, {"id": "b", "report": "blue sky"})
    assert run("filter", path, "-o", out, "--min-reward", "0.5", "--rubric", rubric, *SCRIPTED).code == 0
    assert ids(out) == ["a"]
    assert "criteria" not in read(out)[0]


def test_a_task_of_several_reports_becomes_a_line_for_each(run, tmp_path, out):
    task = {"id": "t", "query": "q", "criteria": [{"text": "green"}]}
    task["reports"] = [{"model": "one", "text": "green"}, {"model": "two", "text": "green too"}]
    run("filter", write(tmp_path / "in.jsonl", task), "-o", out, "--min-reward", "0.5", *SCRIPTED)
    assert [(row["id"], row["report"]) for row in read(out)] == [("t/one", "green"), ("t/two", "green too")]
    assert all("reports" not in row for row in read(out))


def test_killed_again_and_again_it_ends_up_with_every_line_once(run, tmp_path, out, addr):
    rng = random.Random(0)
    rows = [case(f"c{i}", f"{i} [[{rng.choice(['fully', 'not'])}]] [[slow=0.004]]") for i in range(300)]
    path = write(tmp_path / "in.jsonl", *rows)
    command = ["filter", str(path), "-o", str(out), "--min-reward", "0.5", "--addr", addr]
    for _ in range(2):
        process = subprocess.Popen([*JUDGER, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = out.stat().st_size if out.exists() else 0
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline and process.poll() is None:
            if out.exists() and out.stat().st_size > before:
                time.sleep(rng.random() / 5)
                break
            time.sleep(0.005)
        process.kill()
        process.wait()
    ran = run(*command, "--json")
    assert ran.code == 0
    assert 0 < ran.lines[0]["resumed_from"] <= 300
    assert ids(out) == [row["id"] for row in rows if "fully" in row["criteria"][0]["text"]]


def test_kept_lines_keep_every_character_that_filter_does_not_read(run, tmp_path, out):
    line = json.dumps(case("a", "x [[fully]]"))[:-1]
    odd = (
        line + ', "huge": 1e999, "tiny": -1e-9999, "digits": 12345678901234567890.50, "half": "cut \\ud83d", '
        '"\\u006b\\ud83d": [1.0, 1E2, "\\/"]}  ',
        (line + ',"no":"space" }').replace('"a"', '"b"', 1),
    )
    path = tmp_path / "in.jsonl"
    path.write_text("".join(text + "\n" for text in odd))
    assert run("filter", path, "-o", out, "--min-reward", "0.5", *SCRIPTED).code == 0
    for text, kept in zip(odd, out.read_text().splitlines(), strict=True):
        assert kept.startswith(text.rstrip()[:-1] + ', "judgement": {')
    again = tmp_path / "again.jsonl"  # what we write is what we read: the old judgement gives way to the new one
    assert run("filter", out, "-o", again, "--min-reward", "0.5", *SCRIPTED).code == 0
    for text, kept in zip(out.read_text().splitlines(), again.read_text().splitlines(), strict=True):
        assert kept.startswith(text.split('"judgement"')[0])
        assert kept.count('"judgement"') == 1


def test_a_document_of_several_lines_keeps_its_numbers_too(run, tmp_path, out):
    path = tmp_path / "in.json"
    path.write_text(json.dumps([case(name, "x [[fully]]", n=7) for name in "ab"], indent=2).replace("7", "1e999"))
    assert run("filter", path, "-o", out, "--min-reward", "0.5", *SCRIPTED).code == 0
    assert [line.count('"n": 1e999') for line in out.read_text().splitlines()] == [1, 1]
    assert ids(out) == ["a", "b"]


def test_a_task_of_several_reports_keeps_its_other_characters_in_each_line(run, tmp_path, out):
    task = {"id": "t", "query": "q", "criteria": [{"text": "x [[fully]]"}], "reports": [{"text": "A."}, {"text": "B."}]}
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(task)[:-1] + ', "n": 1e999}\n')
    assert run("filter", path, "-o", out, "--min-reward", "0.5", *SCRIPTED).code == 0
    lines = out.read_text().splitlines()
    assert ['"n": 1e999' in line and '"reports"' not in line for line in lines] == [True, True]
    assert [(row["id"], row["report"]) for row in read(out)] == [("t/1", "A."), ("t/2", "B.")]


def test_of_yaml_what_json_cannot_hold_is_refused_and_half_characters_are_escaped(run, tmp_path, out):
    path = tmp_path / "in.yaml"
    rows = 'id: a\nquery: q\nreport: The sky.\ncriteria: [{text: "x [[fully]]"}]\n'
    path.write_text(rows + "n: .inf\nm: .nan\n")
    ran = run("filter", path, "-o", out, "--min-reward", "0.5", *SCRIPTED)
    assert ran.code == 2
    assert [line.split(" ", 1)[0] for line in ran.err.splitlines()] == [f"{path}:5:", f"{path}:6:"]
    path.write_text(rows + 'n: "cut \\ud83d"\n')
    assert run("filter", path, "-o", out, "--min-reward", "0.5", *SCRIPTED).code == 0
    assert '"n": "cut \\ud83d"' in out.read_text()


@pytest.mark.parametrize("key", ["id", "report", "query", "language", "source"])
def test_half_a_character_in_what_is_sent_is_a_fault_of_its_line(run, tmp_path, out, key):
    path = write(tmp_path / "in.jsonl", ROWS[0], case("b", "x [[fully]]") | {key: "cut \ud83d"})
    ran = run("filter", path, "-o", out, "--min-reward", "0.5", *SCRIPTED)
    assert ran.code == 2
    assert ran.err.startswith(f"{path}:2: {key}: character 4 is a lone surrogate")
