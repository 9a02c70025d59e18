"""People's verdicts: the file, and the way back into `judger agree` and `judger calibrate`."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from judger.errors import InvalidFile
from judger.pages import PeopleFile, export, load_run, panel
from judger.pages.people import PersonsVerdict
from judger.types import Label
from tests.judger.cli.conftest import SCRIPTED, Run, case, run, write

__all__ = ["run"]


def verdict(identifier: str, criterion: str, label: Label | None, **more: object) -> PersonsVerdict:
    return PersonsVerdict(case=identifier, criterion=criterion, label=label, **more)


def test_the_last_verdict_counts_and_one_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl.people.jsonl"
    people = PeopleFile(path)
    people.add(verdict("a", "c1", Label.NOT_SATISFIED))
    people.add(verdict("a", "c1", Label.FULLY_SATISFIED, star=True))
    people.add(verdict("a", "c2", Label.NOT_SATISFIED))
    people.add(verdict("a", "c2", None))
    again = PeopleFile(path)
    assert {key: said.label for key, said in again.latest.items()} == {("a", "c1"): Label.FULLY_SATISFIED}
    assert len(path.read_text().splitlines()) == 4


@pytest.mark.parametrize("tail", [b'{"case": "b", "crit', b"\xff\xfe", b"{"])
def test_a_torn_tail_costs_nothing_but_itself(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "people.jsonl"
    PeopleFile(path).add(verdict("a", "c1", Label.NOT_SATISFIED))
    with open(path, "ab") as file:
        file.write(tail)
    people = PeopleFile(path)
    people.add(verdict("a", "c2", Label.FULLY_SATISFIED))
    assert set(PeopleFile(path).latest) == {("a", "c1"), ("a", "c2")}
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_whole_line_that_is_no_verdict_is_named(tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text('{"case": "a", "criterion": "c1", "label": "maybe"}\n')
    with pytest.raises(InvalidFile, match=r"people\.jsonl:1: label"):
        PeopleFile(path)


def test_the_export_is_read_by_agree_and_calibrate_and_has_their_figures(run: Run, tmp_path: Path) -> None:
    rng = random.Random(0)
    said = ("not", "partially", "fully")
    rows = [
        case(f"case{i}", *(f"{i} [[{rng.choice(said)}]] {j}" for j in range(4)), report=f"Report {i}.")
        for i in range(30)
    ]
    source, judged = write(tmp_path / "cases.jsonl", *rows), tmp_path / "run.jsonl"
    assert run("filter", source, "-o", judged, "--min-reward", "-9", *SCRIPTED).code == 0
    found = load_run(judged)
    people = PeopleFile(tmp_path / "run.jsonl.people.jsonl")
    for entry in found.entries:
        assert entry.judgement is not None
        for one in entry.judgement.verdicts[:3]:  # one is left without a label
            own = one.result.label
            label = own if rng.random() < 0.8 else rng.choice(list(Label))
            people.add(verdict(entry.key, one.criterion_id, label, comment="why"))
    labelled = tmp_path / "labelled.jsonl"
    labelled.write_text("".join(line + "\n" for line in export(found.entries, people.latest)), encoding="utf-8")
    agreed = run("agree", labelled, *SCRIPTED, "--json", "--resamples", "50")
    assert agreed.code == 0
    source_figures = agreed.lines[0]["sources"]["labelled"]
    shown = panel(found.entries, people.latest, resamples=50)
    assert shown is not None
    assert shown["n"] == source_figures["n"] == 90
    for name in ("balanced_accuracy", "kappa", "ece"):
        assert shown["figures"][name]["value"] == pytest.approx(source_figures[name]["value"])
    assert sum(map(sum, shown["confusion"])) == 90
    assert sum(point["n"] for point in shown["reliability"]) == 90
    fitted = run("calibrate", labelled, "-o", tmp_path / "calibration.json", *SCRIPTED, "--json")
    assert fitted.code in (0, 1)  # 1: done, and no help on unseen reports
    assert json.loads((tmp_path / "calibration.json").read_text())["fitted_on"] == "labelled"
