"""judger eval researchrubrics, over the real loopback path."""

from __future__ import annotations

import json

import pytest

from tests.judger.cli.conftest import SCRIPTED, write

SAMPLE = [
    ("t1", "Science", [("[[fully]]", 4.0, "Explicit"), ("[[partially]]", 2.0, "Style"), ("[[fully]]", -1.0, "Style")]),
    ("t2", "Science", [("[[not]]", 5.0, "Explicit"), ("[[fully]]", 5.0, "Explicit")]),
    ("t3", "History", [("[[fully]]", 1.0, "Explicit"), ("[[partially]]", -2.0, "Flaws")]),
]


@pytest.fixture
def rubrics(tmp_path):
    return write(
        tmp_path / "rubrics.jsonl",
        *(
            {
                "sample_id": name,
                "prompt": f"Task {name}",
                "domain": domain,
                "rubrics": [
                    {"criterion": f"{name} {i} {t}", "weight": w, "axis": a} for i, (t, w, a) in enumerate(rows)
                ],
            }
            for name, domain, rows in SAMPLE
        ),
    )


@pytest.fixture
def reports(tmp_path):
    folder = tmp_path / "reports"
    folder.mkdir()
    for name, ending in (("t1", ".md"), ("t2", ".txt"), ("t3", ".md")):
        (folder / f"{name}{ending}").write_text(f"The report on {name}.")
    return folder


def result(run, rubrics, reports, *flags):
    ran = run("eval", "researchrubrics", "--rubrics", rubrics, "--reports", reports, *SCRIPTED, "--json", *flags)
    assert ran.code in (0, 1), ran.err
    (line,) = ran.lines
    return line


def test_a_task_scores_its_earned_weight_over_its_positive_weight_with_halves(run, rubrics, reports):
    line = result(run, rubrics, reports)
    assert line["tasks"] == {"t1": pytest.approx((4 + 1 - 1) / 6), "t2": 0.5, "t3": pytest.approx(1 - 1)}
    assert line["overall"]["score"]["value"] == pytest.approx((4 / 6 + 0.5 + 0) / 3)
    assert line["overall"]["labels"] == {"fully_satisfied": 4, "partially_satisfied": 2, "not_satisfied": 1}


def test_domains_are_means_over_their_tasks_and_axes_sums_over_all(run, rubrics, reports):
    line = result(run, rubrics, reports)
    assert line["domains"]["Science"]["score"]["value"] == pytest.approx((4 / 6 + 0.5) / 2)
    assert line["domains"]["History"]["score"] == {"value": pytest.approx(0), "low": None, "high": None}
    assert line["axes"]["Explicit"]["score"]["value"] == pytest.approx(10 / 15)
    assert line["axes"]["Style"]["score"]["value"] == pytest.approx((1 - 1) / 2)
    assert line["axes"]["Flaws"]["score"]["value"] is None  # nothing to divide by


def test_a_missing_report_is_named_and_is_no_zero(run, rubrics, reports):
    (reports / "t3.md").unlink()
    line = result(run, rubrics, reports)
    assert line["missing"] == ["t3"]
    assert line["overall"]["score"]["value"] == pytest.approx((4 / 6 + 0.5) / 2)
    ran = run("eval", "researchrubrics", "--rubrics", rubrics, "--reports", reports, *SCRIPTED)
    assert "1 task left out, no report: t3" in ran.out


def test_a_task_with_an_unscored_criterion_is_named_and_is_no_zero(run, tmp_path, rubrics, reports):
    rows = [json.loads(line) for line in rubrics.read_text().splitlines()]
    rows[2]["rubrics"][0]["criterion"] = "[[unscored=too_long]]"
    line = result(run, write(rubrics, *rows), reports)
    assert line["unscored"] == ["t3"]
    assert line["overall"]["tasks"] == 2
    assert run("eval", "researchrubrics", "--rubrics", rubrics, "--reports", reports, *SCRIPTED).code == 1


def test_a_refused_task_is_named_with_its_reason_and_is_no_zero(run, tmp_path, rubrics, reports):
    kept, page = tmp_path / "run.jsonl", tmp_path / "page.html"
    result(run, rubrics, reports, "-o", kept)
    *others, last = kept.read_text().splitlines()
    why = "report: has 3,000,000 bytes of UTF-8, the limit is 2,097,152"
    refused = json.dumps(json.loads(last) | {"judgement": {"error": {"code": 3, "message": why}}})
    assert len(refused) < len(last)  # the journal knows how long the lines are
    kept.write_text("\n".join([*others, refused[:-1].ljust(len(last) - 1) + "}"]) + "\n")
    line = result(run, rubrics, reports, "-o", kept, "--html", page)
    assert (line["refused"], line["refusals"]) == (["t3"], {"t3": why})
    assert line["overall"]["tasks"] == 2
    assert why in page.read_text()
    ran = run("eval", "researchrubrics", "--rubrics", rubrics, "--reports", reports, *SCRIPTED, "-o", kept)
    assert f"1 task left out, refused: t3 ({why})" in " ".join(ran.out.split())


def test_a_cascade_scores_a_benchmark_and_goes_on_where_it_was(run, tmp_path, rubrics, reports):
    cascade, kept = tmp_path / "cascade.toml", tmp_path / "run.jsonl"
    cascade.write_text('margin = 0.1\n[[first]]\nengine = "scripted"\n[[second]]\nengine = "scripted"\n')
    flags = ["--rubrics", rubrics, "--reports", reports, "--engine", "cascade", "--cascade", cascade, "-o", kept]
    (line,) = run("eval", "researchrubrics", *flags, "--json").lines
    assert line["judge_id"].startswith("cascade-")
    assert line["tasks"] == result(run, rubrics, reports)["tasks"]
    before = kept.read_text()
    assert run("eval", "researchrubrics", *flags, "--json").lines == [line]
    assert kept.read_text() == before


def test_the_table_has_all_axes_and_domains(run, rubrics, reports):
    ran = run("eval", "researchrubrics", "--rubrics", rubrics, "--reports", reports, *SCRIPTED)
    assert ran.code == 0
    for word in ("by axis", "Explicit", "Style", "by domain", "Science", "History", "How to read it"):
        assert word in ran.out


def test_reports_may_come_as_json_lines(run, tmp_path, rubrics):
    path = write(tmp_path / "reports.jsonl", *({"id": name, "report": "x"} for name in ("t1", "t2", "t3")))
    assert result(run, rubrics, path)["overall"]["tasks"] == 3


def test_a_report_of_no_task_is_named(run, rubrics, reports):
    (reports / "other.md").write_text("x")
    ran = run("eval", "researchrubrics", "--rubrics", rubrics, "--reports", reports, *SCRIPTED)
    assert ran.code == 0
    assert "other.md" in ran.err


def test_two_reports_for_a_task_an_empty_one_and_bad_bytes_are_faults(run, rubrics, reports):
    (reports / "t1.txt").write_text("another")
    (reports / "t2.txt").write_text("")
    (reports / "t3.md").write_bytes(b"\xff\xff")
    ran = run("eval", "researchrubrics", "--rubrics", rubrics, "--reports", reports, "--engine", "vllm")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 3


def test_a_folder_without_a_report_of_these_tasks_is_refused(run, tmp_path, rubrics):
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = run("eval", "researchrubrics", "--rubrics", rubrics, "--reports", empty, *SCRIPTED)
    assert ran.code == 2
    assert "t1.md" in ran.err


def test_a_rubric_without_an_id_is_a_fault(run, tmp_path, reports):
    path = write(tmp_path / "r.jsonl", {"prompt": "x", "rubrics": [{"criterion": "x", "weight": 1}]})
    ran = run("eval", "researchrubrics", "--rubrics", path, "--reports", reports, *SCRIPTED)
    assert ran.code == 2
    assert "sample_id" in ran.err
