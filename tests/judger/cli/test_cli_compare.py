"""judger compare, filter --pairwise and --top-k, eval's trials: against a real HTTP endpoint, or a scripted judge."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from tests.judger.cli.conftest import SCRIPTED, case, write
from tests.judger.engines.generative.endpoint import completion, serving


def marks(request):
    """Of two reports the one that says DEPTH (asked for depth) or COVER (coverage) more often is better."""
    text = request["messages"][-1]["content"]
    if "Second report:" not in text:
        return completion("fully", [("fully", {"fully": 0.9, "partially": 0.05, "not": 0.05})])
    mark = "COVER" if "Coverage:" in text else "DEPTH"
    first, second = (part.count(mark) for part in text.split("Second report:"))
    word = "equal" if first == second else "first" if first > second else "second"
    return completion(word, [(word, {"first": 0.02, "second": 0.02, "equal": 0.02} | {word: 0.96})])


@pytest.fixture
def endpoint():
    with serving() as made:
        made.answer = marks
        yield made


@pytest.fixture
def teacher(endpoint):
    return ("--engine", "openai", "--model", "m", "--base-url", endpoint.url)


def test_two_files_are_compared_in_both_orders(run, teacher, tmp_path):
    (tmp_path / "a.md").write_text("thin")
    (tmp_path / "b.md").write_text("thick DEPTH")
    ran = run("compare", tmp_path / "a.md", tmp_path / "b.md", "--query", "Why?", *teacher, "--json")
    assert ran.code == 0, ran.err
    (line,) = ran.lines
    assert line["preference"] == "B"
    assert line["p_a"] == pytest.approx(0.03, abs=0.01)
    assert line["position_bias"] == pytest.approx(0)
    assert "B is better" in run("compare", tmp_path / "a.md", tmp_path / "b.md", *teacher).out


def test_pairs_with_criteria_need_no_pairwise_prompt_and_unscored_is_no_preference(run, tmp_path):
    rows = [
        {"id": "1", "report_a": "blue sky", "report_b": "grass", "criteria": [{"text": "blue sky"}]},
        {"id": "2", "report_a": "x", "report_b": "y", "criteria": [{"text": "x [[unscored=too_long]]"}]},
    ]
    ran = run("compare", write(tmp_path / "p.jsonl", *rows), *SCRIPTED, "--json")
    assert ran.code == 1
    assert [line["preference"] for line in ran.lines] == ["A", "UNSPECIFIED"]
    assert "difference" not in ran.lines[1]
    table = run("compare", tmp_path / "p.jsonl", *SCRIPTED).out
    assert "A better 1, B better 0, ties 0 · 1 without an answer" in table


def test_a_comparison_that_was_killed_goes_on_where_it_was(run, teacher, endpoint, tmp_path):
    rows = [{"id": str(i), "report_a": "DEPTH " * (i % 3), "report_b": "DEPTH."} for i in range(1, 5)]
    rows[2]["report_a"] = "thin"
    path, out = write(tmp_path / "p.jsonl", *rows), tmp_path / "out.jsonl"
    ran = run("compare", path, *teacher, "-o", out, "--json")
    whole, asked = out.read_text(), len(endpoint.requests)
    assert ran.out == whole
    journal = out.with_name("out.jsonl.journal").read_text().splitlines()
    out.write_text("".join(whole.splitlines(keepends=True)[:3])[:-5])  # as a kill leaves it
    out.with_name("out.jsonl.journal").write_text("\n".join(journal[:3]) + "\n")
    endpoint.requests.clear()
    again = run("compare", path, *teacher, "-o", out, "--json")
    assert (again.code, again.out, out.read_text()) == (ran.code, whole, whole)
    assert len(endpoint.requests) < asked
    endpoint.requests.clear()
    summary = run("compare", path, *teacher, "-o", out).out
    assert "4 pairs: A better 1, B better 1, ties 2" in " ".join(summary.split())
    other = run("compare", write(path, *rows[:2]), *teacher, "-o", out)
    assert other.code == 2
    assert "begun with another input" in other.err
    assert run("compare", path, *teacher, "-o", out, "--restart").code == 0
    assert len(out.read_text().splitlines()) == 2


def test_bad_pairs_are_named_by_line(run, tmp_path):
    good = {"id": "1", "report_a": "x", "report_b": "y"}
    path = write(tmp_path / "p.jsonl", good, good, good | {"id": "3", "report_b": " "}, {"id": "4", "report_a": "x"}, 5)
    ran = run("compare", path, "--engine", "vllm")
    assert ran.code == 2
    places = [line.split("p.jsonl:")[1].split(": ")[:2] for line in ran.err.splitlines()]
    assert places == [["2", "id"], ["3", "report_b"], ["4", "report_b"], ["5", "file"]]
    assert run("compare", write(path, good), *SCRIPTED).code == 2  # it has no pairwise prompt


REWRITES = [
    {"id": "deeper", "query": "q", "report": "DEPTH COVER", "original": "COVER", "note": 0.1234567890123456789},
    {"id": "loses", "query": "q", "report": "DEPTH", "original": "COVER"},
    {"id": "same", "query": "q", "report": "DEPTH COVER", "original": "DEPTH COVER."},
    {"id": "broader", "query": "q", "report": "COVER COVER", "original": "COVER"},
]


def test_a_rewrite_is_kept_only_if_it_is_deeper_and_covers_no_less(run, teacher, endpoint, tmp_path):
    path, out = write(tmp_path / "in.jsonl", *REWRITES), tmp_path / "out.jsonl"
    ran = run("filter", path, "-o", out, "--pairwise", *teacher)
    assert ran.code == 0, ran.err
    (kept,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert kept["id"] == "deeper"
    assert kept["pairwise"]["depth"]["p"] > 0.9
    assert kept["pairwise"]["coverage"]["p"] == pytest.approx(0.5)
    assert path.read_text().splitlines()[0][:-1] in out.read_text()  # no character of it is changed
    asked = len(endpoint.requests)
    again = run("filter", path, "-o", out, "--pairwise", *teacher, "--json")
    assert again.lines[0]["resumed_from"] == 4
    assert len(endpoint.requests) == asked + 1  # the warm-up


def test_a_judge_that_goes_by_place_keeps_nothing(run, endpoint, teacher, tmp_path):
    first = completion("first", [("first", {"first": 0.96, "second": 0.02, "equal": 0.02})])
    endpoint.answer = lambda request: first if "Second report:" in str(request) else marks(request)
    out = tmp_path / "out.jsonl"
    ran = run("filter", write(tmp_path / "in.jsonl", *REWRITES), "-o", out, "--pairwise", *teacher, "--json")
    assert (ran.lines[0]["kept"], ran.lines[0]["dropped"]) == (0, 4)


def test_the_best_of_each_group_are_kept_and_what_has_no_reward_is_in_no_place(run, tmp_path):
    rows = [
        case("a1", "x [[fully]]", "y [[not]]", task="a"),
        case("b1", "x [[unscored=too_long]]", task="b"),
        case("a2", "x [[fully]]", task="a"),
        case("b2", "x [[not]]", task="b"),
        case("a3", "x [[fully]]", "y [[not]]", task="a"),
    ]
    path, out = write(tmp_path / "in.jsonl", *rows), tmp_path / "out.jsonl"
    ran = run("filter", path, "-o", out, "--top-k", 2, "--group-by", "task", *SCRIPTED, "--json")
    assert ran.code == 1
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["a1", "a2", "b2"]
    assert (ran.lines[0]["kept"], ran.lines[0]["dropped"], ran.lines[0]["unscored"]) == (3, 1, 1)
    assert "1 of 2 groups have fewer than 2" in ran.err
    again = run("filter", path, "-o", out, "--top-k", 2, "--group-by", "task", *SCRIPTED, "--json")
    assert again.lines[0]["resumed_from"] == 5
    del rows[1]["task"]
    ran = run("filter", write(path, *rows), "-o", out, "--top-k", 1, "--group-by", "task", "--engine", "vllm")
    assert ran.code == 2
    assert "in.jsonl:2: task: is missing" in ran.err


def rubric_file(tmp_path):
    rubrics = [{"criterion": "Says x", "weight": 4, "axis": "Explicit"}]
    return write(tmp_path / "r.jsonl", {"sample_id": "t1", "prompt": "q", "domain": "D", "rubrics": rubrics})


def test_three_trials_of_a_judge_that_reasons_are_averaged(run, endpoint, teacher, tmp_path):
    words = iter(["fully", "partially", "not"] * 9)

    def answer(request):
        if "Reason:" not in json.dumps(request["messages"]):
            return marks(request)
        return completion(f"Reason: because\nQuote: none\nVerdict: {next(words)}")

    endpoint.answer = answer
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "t1.md").write_text("x")
    ran = run(
        "eval", "researchrubrics", "--rubrics", rubric_file(tmp_path), "--reports", tmp_path / "s",
        *teacher, "--trials", 3, "--trial-temperature", 0.4, "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.lines[0]["tasks"]["t1"] == pytest.approx(0.5, abs=0.05)  # the mean of 1, 0.5 and 0
    assert Counter(request["temperature"] for request in endpoint.requests)[0.4] == 3


def test_a_judge_of_exact_probabilities_says_that_trials_change_nothing(run, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "t1.md").write_text("says x")
    flags = ("eval", "researchrubrics", "--rubrics", rubric_file(tmp_path), "--reports", tmp_path / "s", *SCRIPTED)
    ran = run(*flags, "--trials", 3, "--json")
    assert ran.code == 0
    assert re.search(r"--trials 3 changes nothing: this judge \(scripted\)", ran.err)
    assert ran.lines == run(*flags, "--json").lines
