"""What docs/rubrics.md says of lint: its codes, its example, and how often it is right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import torch

from judger.engines.preview import Preview
from judger.rubric.linting import CODES
from judger.rubric.linting.lint import lint
from tests.benchmarks.lint_rubrics import planted, rows
from tests.docs.blocks import ROOT, blocks
from tests.judger.cli.conftest import Run, run  # noqa: F401  (a fixture)

PAGE = (ROOT / "docs" / "rubrics.md").read_text(encoding="utf-8")
FIGURES = re.findall(r"^\| `([\w-]+)` \| (\d+) \| (\d+) \| (\d+) \| (\S+) \| (\S+) \|$", PAGE, re.MULTILINE)
OF_MEANING = ("overlap", "unrelated")
"""They rest on float32 sums, whose last digits another processor may round otherwise."""


@pytest.fixture(scope="module")
def reader() -> Iterator[Preview]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Preview()
    torch.set_num_threads(before)


def test_every_code_is_in_the_table_with_its_severity() -> None:
    table = dict(re.findall(r"^\| `([\w-]+)` \| (warning|note) \|", PAGE, re.MULTILINE))
    assert table == {name: str(code.severity) for name, code in CODES.items()}


@pytest.mark.timeout(600)
def test_the_figures_are_those_that_are_measured(reader: Preview) -> None:
    measured = {row.name: row for row in [*rows(reader), planted(reader)]}
    assert [name for name, *_ in FIGURES] == list(measured)
    for name, labelled, found, both, precision, recall in FIGURES:
        row, slack = measured[name], 1 if name in OF_MEANING else 0
        assert row.labelled == int(labelled)
        if name == "not-judgeable":  # it says what mini does, whatever its weights are by now
            assert row.precision is not None
            assert row.precision > 0.5
        else:
            assert abs(row.found - int(found)) <= slack
            assert abs(row.both - int(both)) <= slack
        assert precision == ("-" if not int(found) else f"{int(both) / int(found):.2f}")
        assert recall == f"{int(both) / int(labelled):.2f}"


def test_the_example_gets_what_the_page_says_and_the_better_one_nothing(
    run: Run,  # noqa: F811
    tmp_path,
    monkeypatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    _, first, said, better, *_ = [block for block in blocks() if block.page == "docs/rubrics.md"]
    for name, block, code in (("first.json", first, 1), ("better.json", better, 0)):
        (tmp_path / name).write_text(json.dumps(json.loads(block.text)))
        ran = run("lint", name)
        assert ran.code == code
        warned = [line for line in ran.out.splitlines() if re.match(r"\w+  warning ", line)]
        assert warned == (said.text.splitlines() if code else [])


def test_a_reader_that_finds_a_stray_says_so(reader: Preview) -> None:
    from judger.types import Criterion

    texts = ("Explains the refrigeration cycle", "Names at least one refrigerant", "Says what the compressor does")
    own = [Criterion(id=str(i), text=text) for i, text in enumerate(texts)]
    stray = Criterion(id="s", text="Names the winner of the football world cup of 1998")
    found = lint([*own, stray], query="How do heat pumps work?", reader=reader)
    assert [(one.code, one.index) for one in found if one.index is not None] == [("unrelated", 3)]
