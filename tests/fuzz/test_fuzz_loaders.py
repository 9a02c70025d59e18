"""Whatever a file holds, a reader gives valid cases or InvalidFile, and nothing else."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judger.errors import Fault, InvalidFile
from judger.rubric import iter_cases, read_cases, read_report, read_reports, read_rubric, read_rubrics
from judger.validate import check

LIGHT = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))

KEYS = st.sampled_from(
    "id query report criteria text weight role axis fatal label prompt prompt_id sample_id rubrics rubric criterion "
    "points tags binary_labels completion completion_id reports model ideal_completions_data source content".split()
)
WORDS = st.sampled_from(["", " ", "a", "negative", "fully_satisfied", "\ud800", "x" * 500, "axis:a\nb"]) | st.text(
    max_size=8
)
NUMBERS = st.sampled_from([0, -1, 1, 2**70, 10**400, 1e308, 5e-324, -0.0]) | st.floats() | st.integers()
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | WORDS, inner, max_size=6),
    max_leaves=25,
)
CRITERIA = st.lists(st.dictionaries(KEYS, VALUES, max_size=6) | VALUES, max_size=4)
LINES = st.fixed_dictionaries(
    {}, optional={"id": WORDS, "report": WORDS, "criteria": CRITERIA, "rubrics": CRITERIA, "reports": CRITERIA}
)


def check_faults(read: Callable[[], object]) -> None:
    """Reads; where that fails, it does so with faults that print as one line each."""
    faults: tuple[Fault, ...] = ()
    try:
        read()
        return
    except InvalidFile as error:
        faults = error.faults
    assert faults
    for fault in faults:
        assert "\n" not in f"{fault.field}: {fault.reason}"
        assert fault.line >= 1
        str(fault).encode()


def read_all(path: Path) -> None:
    """Every reader on one file; cases that come out pass the rules of the server."""
    readers = (read_rubric, read_rubrics, read_cases, read_reports, lambda p, **_: read_report(p))
    for reader in readers:
        check_faults(lambda reader=reader: reader(path, on_warning=str))  # type: ignore[misc]
    try:
        cases = list(iter_cases(path, on_warning=str))
    except InvalidFile:
        return
    assert cases
    for case in cases:
        check(case.query, case.report, case.criteria)


@LIGHT
@given(st.lists(LINES | VALUES, min_size=1, max_size=3), st.sampled_from(["f.jsonl", "f.json", "f.yaml"]))
def test_any_json_gives_cases_or_faults(tmp_path: Path, values: list[object], name: str) -> None:
    path = tmp_path / name
    path.write_text("\n".join(json.dumps(value) for value in values))
    read_all(path)


@LIGHT
@given(VALUES, st.sampled_from(["f.json", "f.yaml"]), st.integers(0, 2))
def test_any_indented_document_gives_cases_or_faults(tmp_path: Path, value: object, name: str, indent: int) -> None:
    path = tmp_path / name
    path.write_text(json.dumps(value, indent=indent))
    read_all(path)


@LIGHT
@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from(["f.jsonl", "f.json", "f.yaml", "f.jsonl.gz"]),
    st.booleans(),
)
def test_any_bytes_give_cases_or_faults(tmp_path: Path, content: bytes, name: str, packed: bool) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content)[: len(content) + 10] if packed else content)
    read_all(path)


YAML_PIECES = [
    *"- , ? : | text weight &a *a !!int !!float !!bool !!null !!binary !!set !!timestamp !x [ ] { }".split(),
    *"' \" > << 1 .inf 2020-01-01 0x _ % 1:2 # @ yes ...".split(),
    *("\n", "- ", "  ", ": ", ", ", "? ", "|\n ", "---\n", "\t"),
]


@LIGHT
@given(st.lists(st.sampled_from(YAML_PIECES) | st.just(" "), max_size=25).map("".join))
def test_any_yaml_gives_criteria_or_faults(tmp_path: Path, text: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(text)
    read_all(path)


@LIGHT
@given(st.data())
def test_a_valid_file_with_a_few_bytes_changed_gives_cases_or_faults(tmp_path: Path, data: st.DataObject) -> None:
    line = {"id": "a", "query": "q", "report": "r", "criteria": [{"id": "x", "text": "t", "weight": -1, "fatal": True}]}
    content = bytearray(json.dumps(line).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.sampled_from(b'"{}[]:,1eN\\\xff\n u'))
    path = tmp_path / "f.jsonl"
    path.write_bytes(content)
    read_all(path)


@pytest.mark.parametrize("name", ["f.json", "f.yaml", "f.jsonl"])
def test_a_report_of_gigabytes_in_a_small_gzip_ends_early(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(b'"' + b"x" * 2**20) + gzip.compress(b"x" * 2**20) * 140)
    with pytest.raises(InvalidFile, match="is longer than"):
        read_cases(path)
