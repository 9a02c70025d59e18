"""The margin of a cascade, replayed on what both levels said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judger.calibration.cascade import Row, choose, curve, read_rows, write_rows
from judger.cli import main
from judger.errors import InvalidRequest

# The first level is wrong exactly where it is within 0.2 of its threshold; the second is always right.
ROWS = [Row(met, met if far else not met, 0.4 if far else 0.15, met) for met in (True, False) for far in (True, False)]
ROWS *= 10


def test_the_cheapest_margin_that_is_as_right_as_the_best_is_chosen() -> None:
    found = curve(ROWS)
    assert found.points[0].balanced_accuracy == 0.5
    assert found.points[-1].second_share == 1.0
    assert (found.chosen.margin, found.chosen.second_share, found.chosen.balanced_accuracy) == (0.16, 0.5, 1.0)
    assert found.second_alone == 1.0


def test_a_criterion_without_a_verdict_counts_as_wrong_unless_the_firsts_may_stand() -> None:
    rows = [Row(row.satisfied, row.satisfied, row.margin, None) for row in ROWS]
    assert curve(rows).points[-1].balanced_accuracy == 0.0
    assert curve(rows, on_failure="first").points[-1].balanced_accuracy == 1.0
    assert choose(curve(rows).points).second_share == 0.0


def test_too_few_labels_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="at least 10"):
        curve(ROWS[:8])


def test_what_was_recorded_is_read_back_and_a_broken_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    write_rows(ROWS, file)
    assert read_rows(file) == ROWS
    file.write_text('{"satisfied": 1}\n')
    with pytest.raises(InvalidRequest, match=r"rows\.jsonl:1"):
        read_rows(file)


def test_the_command_judges_records_plots_and_replays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = ("fully_satisfied", "not_satisfied")
    cases = [
        {
            "id": str(i),
            "query": "q",
            "report": f"report number {i} on heat pumps",
            "criteria": [
                {"id": f"c{j}", "text": f"[[p=0.45,0,0.55]] says {j}", "label": label} for j, label in enumerate(labels)
            ],
        }
        for i in range(12)
    ]
    labelled, settings = tmp_path / "cases.jsonl", tmp_path / "c.toml"
    labelled.write_text("".join(json.dumps(case) + "\n" for case in cases))
    settings.write_text('margin = 0.1\n[[first]]\nengine = "scripted"\n[[second]]\nengine = "scripted"\n')
    rows, out, picture = tmp_path / "rows.jsonl", tmp_path / "out.json", tmp_path / "curve.svg"
    told = ["--cascade", str(settings), "-o", str(out), "--record", str(rows), "--plot", str(picture), "--json", "-q"]
    assert main(["calibrate", str(labelled), *told]) == 0
    judged = json.loads(capsys.readouterr().out)
    assert judged["num_criteria"] == 24
    assert judged["chosen"]["second_share"] == 0.0
    assert picture.read_text().count("<svg") == 1
    assert main(["calibrate", "--replay", str(rows), "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["points"] == judged["points"]


def test_a_cascade_scores_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = {
        "id": "1",
        "query": "",
        "report": "Propane moves heat.",
        "criteria": [{"id": "a", "text": "[[fully]] x"}, {"id": "b", "text": "[[p=0.5,0,0.5]] y"}],
    }
    cases, settings = tmp_path / "cases.jsonl", tmp_path / "c.yaml"
    cases.write_text(json.dumps(case) + "\n")
    settings.write_text("margin: 0.1\nfirst: [{engine: scripted}]\nsecond: [{engine: scripted}]\n")
    assert main(["score", str(cases), "--engine", "cascade", "--cascade", str(settings), "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["judge_id"].startswith("cascade-")
    assert main(["score", str(cases), "--engine", "cascade", "--cascade", str(tmp_path / "no.toml"), "-q"]) == 2
