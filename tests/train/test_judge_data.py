import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.judge.data import (
    FULLY,
    NOT,
    PARTIALLY,
    DataError,
    Example,
    balancing_weights,
    case_files,
    digest,
    examples,
    read_cases,
    split_examples,
    split_of,
)


def row(**changes: Any) -> dict[str, Any]:
    criterion = {"id": "c1", "text": "States that tides rise.", "label": "fully_satisfied", "meta": {"group": "g"}}
    return {"id": "r1", "query": "", "report": "Tides rise.", "criteria": [criterion], "kind": "nli"} | changes


def example(source: str = "s", label: int = FULLY, document: str = "d", **changes: Any) -> Example:
    fields: dict[str, Any] = {"case_id": "c", "criterion_id": "c1", "query": "", "report": "r", "criterion": "t"}
    return Example(source=source, label=label, document=document, **(fields | {"negative": False} | changes))


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_plain_and_compressed_files_read_alike(tmp_path: Path, name: str) -> None:
    text = json.dumps(row()) + "\n\n" + json.dumps(row(id="r2")) + "\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    cases = list(read_cases(path))
    assert [case.id for case in cases] == ["r1", "r2"]
    assert cases[0].source == "a"
    assert cases[0].criteria[0].label == FULLY
    assert case_files(tmp_path) == {"a": path}


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", json.dumps(row(criteria=[{"id": "c", "text": "t", "label": "yes"}]))]
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row()) + "\n" + line)
    with pytest.raises(DataError, match=r"a\.jsonl:2: "):
        list(read_cases(path))


def test_a_folder_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \.jsonl"):
        case_files(tmp_path)


def test_a_case_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row()))
    (case,) = read_cases(path)
    path.write_text(json.dumps(case.to_json()))
    assert list(read_cases(path)) == [case]


def test_examples_carry_what_training_needs(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row()))
    (made,) = examples(read_cases(path))
    assert (made.group, made.document, made.satisfied, made.synthetic) == ("g", digest("tides  RISE."), True, "")


def test_the_strict_bit_of_a_flaw_is_any_trace() -> None:
    assert example(label=PARTIALLY, negative=True).satisfied
    assert not example(label=PARTIALLY).satisfied


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)), max_size=80), st.booleans())
def test_a_document_is_on_one_side_only(pairs: list[tuple[int, int]], by_group: bool) -> None:
    items = [example(document=str(d), group=str(g)) for d, g in pairs]
    split = split_examples(items, by_group=by_group, dev=0.3, calibration=0.3)
    assert sum(map(len, split.values())) == len(items)
    for key in ("document", "group") if by_group else ("document",):
        sides = [{getattr(item, key) for item in side} for side in split.values()]
        assert not sides[0] & sides[1]
        assert not sides[0] & sides[2]
        assert not sides[1] & sides[2]


def test_the_split_is_stable_and_of_the_wanted_size() -> None:
    sides = [split_of(str(i), dev=0.1, calibration=0.2) for i in range(5_000)]
    assert sides == [split_of(str(i), dev=0.1, calibration=0.2) for i in range(5_000)]
    assert abs(sides.count("dev") / 5_000 - 0.1) < 0.02
    assert abs(sides.count("calibration") / 5_000 - 0.2) < 0.02


def test_classes_weigh_alike_within_a_source() -> None:
    items = [example(label=NOT)] * 30 + [example(label=FULLY)] * 10
    weights = balancing_weights(items)
    assert sum(weights[:30]) == pytest.approx(sum(weights[30:]))
    assert sum(weights) == pytest.approx(len(items))


def test_the_cap_keeps_a_rare_class_from_taking_over() -> None:
    items = [example(label=NOT)] * 999 + [example(label=FULLY)]
    weights = balancing_weights(items, cap=4)
    assert weights[-1] / weights[0] <= 4 / 0.5 + 1e-9


def test_sources_weigh_by_a_power_of_their_size() -> None:
    items = [example("big")] * 900 + [example("small")] * 100
    weights = balancing_weights(items, source_power=0.5)
    assert sum(weights[:900]) / sum(weights[900:]) == pytest.approx(3)
    assert balancing_weights([]) == []
