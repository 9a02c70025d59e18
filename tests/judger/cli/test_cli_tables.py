"""Parquet files and folders of `datasets`, in and out."""

from __future__ import annotations

import json
import sys

import pytest

from tests.judger.cli.conftest import SCRIPTED, case, write

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ROWS = [
    case("a", {"text": "x [[fully]]", "weight": 2.0}, {"text": "y [[not]]", "weight": -1.0, "role": "negative"}),
    case("b", {"text": "天 [[not]]", "weight": 1.0}, report="天空是蓝色的", note="kept"),
    case("c", {"text": "x [[unscored=too_long]]", "weight": 1.0}),
]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "cases.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    return path


def test_a_parquet_file_is_judged_as_its_lines_are(run, table, tmp_path):
    lines = run("score", write(tmp_path / "cases.jsonl", *ROWS), *SCRIPTED, "--json")
    rows = run("score", table, *SCRIPTED, "--json")
    assert rows.code == lines.code == 1
    kept = [[(line["request_id"], line["verdicts"], line["reward"]) for line in ran.lines] for ran in (rows, lines)]
    assert kept[0] == kept[1]


def test_a_folder_of_datasets_is_read_and_written(run, table, tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    folder = tmp_path / "saved"
    datasets.Dataset.from_list(ROWS).save_to_disk(folder)
    out = tmp_path / "out.dataset"
    ran = run("score", folder, *SCRIPTED, "-o", out, "--keep-cases")
    assert ran.code == 1
    back = datasets.load_from_disk(out)
    assert back["id"] == ["a", "b", "c"] if isinstance(back["id"], list) else list(back["id"]) == ["a", "b", "c"]
    assert back[2]["judgement"]["reward"]["value"] is None  # nothing unscored becomes a number
    assert run("score", "--only-unscored", out, *SCRIPTED, "-o", tmp_path / "x").code == 2  # a run is a file
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(tmp_path / "both")
    ran = run("score", tmp_path / "both", *SCRIPTED)
    assert ran.code == 2
    assert "name one of them (train)" in ran.err
    assert run("score", tmp_path / "both" / "train", *SCRIPTED, "--json").code == 1


def test_filter_keeps_rows_of_a_table_in_a_table_and_goes_on(run, table, tmp_path):
    out = tmp_path / "kept.parquet"
    flags = ("filter", table, "-o", out, "--min-reward", "0.5", *SCRIPTED, "--json")
    assert run(*flags).code == 1
    assert pq.read_table(out).column("id").to_pylist() == ["a"]
    again = run(*flags)
    assert again.lines[0]["resumed_from"] == 3
    assert pq.read_table(out).num_rows == 1


def test_faults_name_the_row(run, tmp_path):
    path = tmp_path / "bad.parquet"
    pq.write_table(pa.Table.from_pylist([ROWS[0], {**ROWS[1], "report": " "}, {**ROWS[2], "id": "a"}]), path)
    ran = run("score", path, "--engine", "vllm")
    assert ran.code == 2
    assert [line.split("bad.parquet:")[1].split(": ")[:2] for line in ran.err.splitlines()] == [
        ["2", "report"],
        ["3", "id"],
    ]
    path.write_bytes(b"PAR1 and nothing else")
    assert "can't be read as a table" in run("score", path, *SCRIPTED).err
    other = tmp_path / "cases.jsonl"
    other.write_bytes(b"PAR1....")
    assert "name it .parquet" in run("score", other, *SCRIPTED).err
    assert "no data set" in run("score", tmp_path, *SCRIPTED).err


def test_lines_that_make_no_table_are_kept_and_named(run, tmp_path):
    rows = [case("a", "x [[fully]]", note=1), case("b", "x [[fully]]", note={"a": "text"})]
    out = tmp_path / "out.parquet"
    ran = run("score", write(tmp_path / "in.jsonl", *rows), *SCRIPTED, "-o", out, "--keep-cases")
    assert ran.code == 2
    assert "make no table" in ran.err
    assert len((tmp_path / "out.parquet.jsonl").read_text().splitlines()) == 2
    assert not out.exists()


def test_without_pyarrow_it_says_what_to_install(run, table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = run("score", table, *SCRIPTED)
    assert ran.code == 2
    assert "pip install pyarrow" in ran.err
    ran = run("score", write(tmp_path / "in.jsonl", ROWS[0]), *SCRIPTED, "-o", tmp_path / "o.parquet")
    assert ran.code == 2
    assert "pip install pyarrow" in ran.err
    assert json.loads((tmp_path / "in.jsonl").read_text())["id"] == "a"
