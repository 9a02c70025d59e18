"""The cases that the demo judges: small, mixed, attributed, and without labels that nobody gave."""

from __future__ import annotations

from importlib.resources import files

from judger.rubric import iter_records
from judger.rubric.linting.lint import lint

CASES = files("judger") / "demo" / "cases.jsonl"
RECORDS = list(iter_records(str(CASES)))


def test_there_are_four_and_they_are_small() -> None:
    assert [record.case.id for record in RECORDS] == ["film", "airport", "misinformation", "citations"]
    assert len(CASES.read_bytes()) < 150_000


def test_each_is_a_whole_report_with_requirements_and_flaws() -> None:
    for record in RECORDS:
        assert 400 <= len(record.case.report.split()) <= 2500
        assert 5 <= len(record.case.criteria) <= 8
        assert {criterion.is_negative for criterion in record.case.criteria} == {True, False}


def test_each_names_its_source_and_licence() -> None:
    for record in RECORDS:
        assert record.case.source
        assert record.raw["licence"]
        criteria = record.raw["criteria"]
        assert isinstance(criteria, list)
        assert all(criterion["source"] for criterion in criteria)


def test_nobody_has_labelled_them() -> None:
    assert all(criterion.label is None for record in RECORDS for criterion in record.case.criteria)


def test_our_own_advice_has_nothing_to_say_but_of_one_that_is_an_experts_own() -> None:
    found = [(record.case.id, one.index, one.code) for record in RECORDS for one in lint(record.case.criteria)]
    assert found == [("citations", 0, "not-atomic")]  # "define citation metrics and their significance"
