"""Keys that look like ours in files, for score and lint alike, and what stands beside a criterion's text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from judger.cli import main
from judger.errors import InvalidFile
from judger.rubric import read_cases, read_rubric, read_rubrics
from judger.validate import looks_like, misspelt

CASE = {"id": "a", "query": "q", "report": "r", "criteria": [{"text": "x"}]}


def written(folder: Path, value: Any, name: str = "file.jsonl") -> Path:
    path = folder / name
    path.write_text(json.dumps(value) + "\n")
    return path


def faults(path: Path, **options: Any) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        read_cases(path, **options)
    return [f"{fault.field}: {fault.reason}" for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("criterion", "field"),
    [
        ({"text": "x", "wieght": 3}, "criteria[0].wieght"),
        ({"text": "x", "Weight": 3}, "criteria[0].Weight"),
        ({"text": "x", "fatl": True, "weight": -1}, "criteria[0].fatl"),
        ({"text": "x", "rolle": "negative"}, "criteria[0].rolle"),
        ({"txt": "x"}, "criteria[0].txt"),
    ],
)
def test_a_misspelt_key_of_a_criterion_is_a_fault_in_a_case_and_in_a_rubric(
    tmp_path: Path, criterion: dict[str, Any], field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, CASE | {"criteria": [criterion]})
    [first, *_] = faults(path)
    assert first.startswith(f"{field}: is not read; is ")
    rubric = written(tmp_path, {"criteria": [criterion]}, "rubric.json")
    for command in (["score", str(path)], ["lint", str(rubric)]):
        assert main(command) == 2
        assert f"{field}: is not read" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["querry", "Query", "critera", "repport", "langauge"])
def test_a_misspelt_key_of_a_case_is_a_fault(tmp_path: Path, key: str) -> None:
    meant = {"querry": "query", "Query": "query", "critera": "criteria", "repport": "report", "langauge": "language"}
    case = CASE | {"language": "en"}
    case[key] = case.pop(meant[key])
    found = faults(written(tmp_path, case))
    assert any(one.startswith(f"{key}: is not read; is {meant[key]} meant?") or "is missing" in one for one in found)
    assert meant[key] in " ".join(found)


def test_other_keys_are_carried_along_and_so_are_like_ones_beside_ours(tmp_path: Path) -> None:
    own = {"rule": "R1", "weight_within_axis": 0.5, "labels": [1], "meta": {}, "source": "s", "total": 1, "notes": ""}
    criterion = {"text": "x", "weight": 2, "weights": [1, 2], **own}
    [case] = read_cases(written(tmp_path, CASE | {"criteria": [criterion], "querry": 1, "kind": "k", "texts": []}))
    assert case.criteria[0].weight == 2.0


def test_a_file_of_reports_alone_may_have_any_keys_for_its_own_criteria(tmp_path: Path) -> None:
    rubric = read_rubric(written(tmp_path, [{"text": "x"}], "rubric.json"))
    [case] = read_cases(written(tmp_path, {"id": "a", "report": "r", "critera": 5}), rubric=rubric)
    assert len(case.criteria) == 1


def test_the_other_formats_keys_are_known_by_their_own_names(tmp_path: Path) -> None:
    research = {"sample_id": "a", "prompt": "q", "rubrics": [{"criterion": "x", "wieght": 3, "axis": "a"}]}
    with pytest.raises(InvalidFile, match=r"rubrics\[0\]\.wieght: is not read; is weight meant"):
        read_rubrics(written(tmp_path, research, "r.json"))
    health = {"prompt_id": "a", "prompt": [], "rubrics": [{"criterion": "x", "point": 3, "tags": []}]}
    with pytest.raises(InvalidFile, match=r"rubrics\[0\]\.point: is not read; is points meant"):
        read_rubrics(written(tmp_path, health, "h.json"))


def test_a_description_or_explanation_is_judged_with_the_text_but_for_a_labellers(tmp_path: Path) -> None:
    criteria = [
        {"text": "Cost", "description": "names a price in euros"},
        {"text": "Coverage.", "explanation": "all ten firms are named"},
        {"description": "names a price"},
    ]
    [case] = read_cases(written(tmp_path, CASE | {"criteria": criteria}))
    texts = ["Cost: names a price in euros", "Coverage. all ten firms are named", "names a price"]
    assert [criterion.text for criterion in case.criteria] == texts
    labelled = [{"text": "names a price", "explanation": "3 euros", "label": "fully_satisfied"}]
    [case] = read_cases(written(tmp_path, CASE | {"criteria": labelled}), labelled=True)
    assert case.criteria[0].text == "names a price"
    assert faults(written(tmp_path, CASE | {"criteria": [{"explanation": ""}]})) == ["criteria[0].text: is missing"]


def test_likeness_is_a_slip_of_a_letter_and_no_more() -> None:
    for key in ("wieght", "weigth", "wight", "Weight", "weights", " weight ", "weihgt"):
        assert looks_like(key, "weight")
    for key in ("weight_within_axis", "width", "points", "w", "", "eight hundred", "x" * 10_000):
        assert not looks_like(key, "weight")
    for key in ("rule", "test", "total", "axes", "next", "context"):
        assert not any(looks_like(key, name) for name in ("role", "text", "fatal", "axis"))
    assert list(misspelt({"wieght": 1, "weight": 2}, ["weight"])) == []
