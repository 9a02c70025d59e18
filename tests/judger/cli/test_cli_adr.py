"""judger eval adr: both tracks, in Chinese, with an endpoint that reads it (a real HTTP server) and with mini."""

from __future__ import annotations

import json
import re

import pytest

from tests.judger.cli.conftest import SCRIPTED, write
from tests.judger.engines.generative.endpoint import completion, serving

TASKS = {"t1": "请分析中国新能源汽车产业的发展趋势", "t2": "请比较两种养老金制度", "t3": "请说明土地财政的成因"}
LONG = "这份报告讨论了市场规模、政策环境和主要企业之间的竞争关系，并给出了相应的数据来源和结论。" * 6
QUALITY = {"甲": "好好好", "乙": "好好", "丙": "好"}


def reader(request):
    """Reads Chinese: of two reports the one with more 好 is better; a criterion is met by a report with its words."""
    text = request["messages"][-1]["content"]
    if "Second report:" in text:
        first, second = (part.count("好") for part in text.split("Second report:"))
        word = "equal" if first == second else "first" if first > second else "second"
        others = {"first": 0.03, "second": 0.03, "equal": 0.03} | {word: 0.94}
    else:
        wanted = re.findall(r"「(.+?)」", text)  # none in the warm-up
        word = "fully" if not wanted or wanted[-1] in text.split("「")[0] else "not"
        others = {"fully": 0.03, "partially": 0.03, "not": 0.03} | {word: 0.94}
    return completion(word, [(word, others)])


@pytest.fixture
def teacher():
    with serving() as endpoint:
        endpoint.answer = reader
        yield ("--engine", "openai", "--model", "m", "--base-url", endpoint.url)


@pytest.fixture
def tasks(tmp_path):
    criteria = [
        {"text": "报告提到「市场规模」", "weight": 3, "axis": "事实"},
        {"text": "报告提到「不存在的内容」", "weight": 1, "axis": "事实"},
        {"text": "报告出现「严重错误」", "weight": -2, "fatal": True, "axis": "错误"},
    ]
    rows = (
        {"id": name, "query": query, "criteria": criteria, "topic": "金融", "language": "zh"}
        for name, query in TASKS.items()
    )
    return write(tmp_path / "tasks.jsonl", *rows)


@pytest.fixture
def reports(tmp_path):
    """Flags for three systems; 甲 is the best."""
    flags = []
    for system, mark in QUALITY.items():
        folder = tmp_path / system
        folder.mkdir()
        for name in TASKS:
            (folder / f"{name}.md").write_text(f"{LONG}{mark}{name}", encoding="utf-8")
        flags += ["--reports", folder]
    return flags


def test_a_fatal_error_makes_zero_and_chinese_works_end_to_end(run, teacher, tasks, reports, tmp_path):
    (tmp_path / "甲" / "t1.md").write_text(f"{LONG}严重错误", encoding="utf-8")
    ran = run("eval", "adr", "professional", "--rubrics", tasks, *reports, *teacher, "--json")
    assert ran.code == 0, ran.err
    first, second, _ = ran.lines
    assert (first["system"], second["system"]) == ("甲", "乙")
    assert first["tasks"] == {"t1": 0.0, "t2": 0.75, "t3": 0.75}
    assert second["tasks"] == dict.fromkeys(TASKS, 0.75)
    assert first["behind_first"] is None
    assert second["behind_first"]["value"] == pytest.approx(-0.25)
    assert set(first["axes"]) == {"事实", "错误"}


def test_mini_says_that_it_reads_no_chinese_and_no_number_comes_of_it(run, tasks, reports):
    ran = run("eval", "adr", "professional", "--rubrics", tasks, *reports[:2], "--json")
    assert ran.code == 1
    (line,) = ran.lines
    assert line["unscored"] == list(TASKS)
    assert line["overall"]["score"]["value"] is None
    assert line["tasks"] == {}


def test_systems_are_ranked_side_by_side_on_every_dimension(run, teacher, tasks, reports):
    ran = run("eval", "adr", "general", "--resamples", 50, "--tasks", tasks, *reports, *teacher, "--json")
    assert ran.code == 0, ran.err
    assert [line["dimension"] for line in ran.lines] == [
        "overall",
        "information_completeness",
        "content_depth",
        "requirement_fitness",
        "readability",
    ]
    overall = ran.lines[0]
    assert [one["system"] for one in overall["standings"]] == ["甲", "乙", "丙"]
    assert overall["against"]["甲"] == {"乙": [3, 0, 0], "丙": [3, 0, 0]}
    assert overall["position_bias"]["value"] == pytest.approx(0, abs=1e-9)
    ratings = [one["rating"]["value"] for one in overall["standings"]]
    assert sum(ratings) / 3 == pytest.approx(1000)
    table = run("eval", "adr", "general", "--resamples", 50, "--tasks", tasks, *reports, *teacher).out
    assert "How to read it" in table
    assert "content depth" in table


def test_a_judge_that_always_favours_the_first_gives_ties_and_its_bias_is_told(run, tasks, reports):
    with serving() as endpoint:
        first = completion("first", [("first", {"first": 0.9, "second": 0.05, "equal": 0.05})])
        endpoint.answer = lambda request: first if "Second report:" in str(request) else reader(request)
        flags = ("--engine", "openai", "--model", "m", "--base-url", endpoint.url)
        ran = run("eval", "adr", "general", "--resamples", 50, "--tasks", tasks, *reports, *flags, "--json")
    overall = ran.lines[0]
    assert overall["position_bias"]["value"] == pytest.approx(0.425)
    assert all(one["ties"] == 6 and one["wins"] == 0 for one in overall["standings"])
    assert overall["answers"] == {"both_good": 9}  # to this reader, who finds all well that quotes nothing


@pytest.mark.parametrize(("word", "answer"), [("fully", "both_good"), ("partially", "both_fair"), ("charming", "tie")])
def test_a_judges_tie_is_good_fair_or_poor_by_what_it_says_of_each_report(run, tasks, reports, tmp_path, word, answer):
    first = completion("first", [("first", {"first": 0.9, "second": 0.05, "equal": 0.05})])
    others = {"fully": 0.02, "partially": 0.02, "not": 0.02} | {word: 0.94}
    alone = completion(word, [(word, others)])
    rows = [
        {"task": "t1", "dimension": "overall", "left": "乙", "right": "甲", "answer": "both_good", "voter": "anna"},
        {"task": "t2", "dimension": "overall", "left": "甲", "right": "乙", "answer": "left", "voter": "anna"},
    ]
    votes = write(tmp_path / "votes.jsonl", *rows)
    with serving() as endpoint:
        endpoint.answer = lambda request: (
            first
            if "Second report:" in str(request)
            else alone
            if any(text in str(request) for text in ("all in all", "in this respect"))
            else reader(request)  # the warm-up
        )
        flags = ("--engine", "openai", "--model", "m", "--base-url", endpoint.url, "--votes", votes, "--resamples", 20)
        ran = run("eval", "adr", "general", "--tasks", tasks, *reports[:4], *flags, "--json")
    overall = ran.lines[0]
    assert overall["answers"] == {"both_good": 1, "left": 1} | {answer: 3 + (answer == "both_good")}
    both = overall["people_and_judge"]
    assert (both["n"], both["same"]["value"]) == (2, 0.5)
    of_five = {"both_good": 0.5, "both_fair": 0.0, "tie": None}
    assert both["same_answer"]["value"] == of_five[answer]
    assert ran.lines[1]["people_and_judge"] is None


def test_a_judge_without_a_pairwise_prompt_is_refused_before_anything_is_asked(run, tasks, reports):
    ran = run("eval", "adr", "general", "--resamples", 50, "--tasks", tasks, *reports, *SCRIPTED)
    assert ran.code == 2
    assert "no pairwise prompt" in ran.err


def test_a_run_goes_on_where_it_was_and_asks_nothing_twice(run, tasks, reports, tmp_path):
    out = tmp_path / "run.jsonl"
    with serving() as endpoint:
        endpoint.answer = reader
        flags = ("--engine", "openai", "--model", "m", "--base-url", endpoint.url)
        whole = run(
            "eval", "adr", "general", "--resamples", 50, "--tasks", tasks, *reports, *flags, "-o", out, "--json"
        )
        asked = len(endpoint.requests)
        lines = out.read_bytes().splitlines(keepends=True)
        journal = tmp_path / "run.jsonl.journal"
        entries = journal.read_bytes().splitlines(keepends=True)
        out.write_bytes(b"".join(lines[:20]) + lines[20][:9])  # as a kill -9 leaves it
        journal.write_bytes(b"".join(entries[:21]))
        again = run(
            "eval", "adr", "general", "--resamples", 50, "--tasks", tasks, *reports, *flags, "-o", out, "--json"
        )
        assert asked == 90 + 1  # the warm-up, and 45 questions in both orders
        assert len(endpoint.requests) == asked + 50 + 1
    assert again.lines == whole.lines
    assert out.read_bytes().splitlines(keepends=True) == lines


def votes_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_voting_page_is_blind_and_its_votes_are_counted(run, tasks, reports, tmp_path):
    page = tmp_path / "vote.html"
    assert run("eval", "adr", "general", "--resamples", 50, "--tasks", tasks, *reports, "--page", page).code == 0
    text = page.read_text(encoding="utf-8")
    data = votes_of(text)
    assert len(data["pairs"]) == 9
    assert not any(name in text or json.dumps(name)[1:-1] in text for name in QUALITY)
    assert "http://" not in text
    assert "https://" not in text
    rows = []
    for pair in data["pairs"]:
        better = "left" if pair["left"].count("好") > pair["right"].count("好") else "right"
        rows.append({"pair": pair["id"], "dimension": "overall", "answer": better, "voter": "anna"})
    rows.append({"task": "t1", "dimension": "readability", "left": "甲", "right": "丙", "answer": "both_poor"})
    votes = write(tmp_path / "votes.jsonl", *rows)
    ran = run(
        "eval",
        "adr",
        "general",
        "--resamples",
        50,
        "--tasks",
        tasks,
        *reports,
        "--votes",
        votes,
        "--no-judge",
        "--json",
    )
    assert ran.code == 0, ran.err
    overall, readability = ran.lines
    assert overall["judge_id"] == ""
    assert [one["system"] for one in overall["standings"]] == ["甲", "乙", "丙"]
    assert readability["against"]["甲"] == {"丙": [0, 1, 0]}
    assert readability["standings"][-1]["rating"]["value"] is None  # nobody voted on it


def test_people_and_the_judge_are_mixed(run, teacher, tasks, reports, tmp_path):
    row = {"task": "t1", "dimension": "overall", "left": "丙", "right": "甲", "answer": "left", "voter": "bo"}
    votes = write(tmp_path / "votes.jsonl", row)
    ran = run(
        "eval", "adr", "general", "--resamples", 50, "--tasks", tasks, *reports, *teacher, "--votes", votes, "--json"
    )
    assert ran.lines[0]["against"]["丙"]["甲"] == [1, 0, 3]
    assert (ran.lines[0]["people"], ran.lines[0]["judge"]) == (1, 45)


def test_bad_votes_are_named_by_line_before_any_judge_is_loaded(run, tasks, reports, tmp_path):
    good = {"task": "t1", "dimension": "overall", "left": "甲", "right": "乙", "answer": "left", "voter": "x"}
    votes = write(
        tmp_path / "votes.jsonl",
        good,
        good,
        good | {"answer": "maybe", "voter": "y"},
        good | {"left": "nobody", "voter": "z"},
        {"pair": "0000", "dimension": "overall", "answer": "left"},
        good | {"dimension": "charm", "voter": "w"},
        [1],
    )
    ran = run(
        "eval", "adr", "general", "--resamples", 50, "--tasks", tasks, *reports, "--votes", votes, "--engine", "vllm"
    )
    assert ran.code == 2
    places = [line.split("votes.jsonl:")[1].split(": ")[:2] for line in ran.err.splitlines()]
    assert places == [["2", "voter"], ["3", "answer"], ["4", "left"], ["5", "pair"], ["6", "dimension"], ["7", "file"]]
