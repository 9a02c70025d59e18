"""DeepResearch Bench II's tasks_and_rubrics.jsonl, in its published shape."""

from __future__ import annotations

import json

import pytest

from judger.errors import InvalidFile
from judger.rubric import read_cases, read_rubrics

LINE = {
    "id": "task1+",
    "idx": 2,
    "language": "zh",
    "theme": "Finance & Business",
    "description": "土地财政",
    "prompt": "请撰写报告 **important** you are not allowed to view ...",
    "content": {
        "task": "请撰写报告",
        "rubric": {"info_recall": ["指出1994年", "给出定义"], "analysis": ["解释成因"], "presentation": ["分两部分"]},
        "blocked": {"title": "T", "authors": ["A"], "urls": ["https://example.org"]},
    },
}


def write(tmp_path, *rows):
    path = tmp_path / "tasks_and_rubrics.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_texts_by_dimension_are_criteria_of_that_axis(tmp_path):
    (rubric,) = read_rubrics(write(tmp_path, LINE))
    assert (rubric.id, rubric.query, rubric.domain, rubric.language) == (
        "task1+",
        "请撰写报告",
        "Finance & Business",
        "zh",
    )
    assert [(c.id, c.axis, c.weight) for c in rubric.criteria] == [
        ("info_recall-1", "info_recall", 1.0),
        ("info_recall-2", "info_recall", 1.0),
        ("analysis-1", "analysis", 1.0),
        ("presentation-1", "presentation", 1.0),
    ]
    (case,) = read_cases(write(tmp_path, LINE | {"report": "x"}))
    assert (case.id, case.language, len(case.criteria)) == ("task1+", "zh", 4)


@pytest.mark.parametrize(
    ("rubric", "field"),
    [
        ([], "content.rubric"),
        ({"analysis": "x"}, "content.rubric.analysis"),
        ({"analysis": [" "]}, "content.rubric.analysis[0]"),
        ({"analysis": [3]}, "content.rubric.analysis[0]"),
        ({}, "content.rubric"),
    ],
)
def test_faults_have_their_line_and_field(tmp_path, rubric, field):
    with pytest.raises(InvalidFile) as caught:
        read_rubrics(write(tmp_path, LINE, LINE | {"id": "t2", "content": {"task": "x", "rubric": rubric}}))
    (fault,) = caught.value.faults
    assert (fault.line, fault.field) == (2, field)
