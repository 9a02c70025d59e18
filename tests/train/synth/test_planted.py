"""Each filter finds nine of ten planted faults, and takes one of ten clean rows at the most. All of tiers 1 and 2."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from train.synth.build import Plan, make_ports
from train.synth.corpus import open_corpus
from train.synth.extractive import ExtractiveWriter
from train.synth.planning import Planning
from train.synth.reflection import Reflection

from . import planted, realistic


@pytest.fixture(scope="module")
def reports():
    lines = files("judger").joinpath("demo/cases.jsonl").read_text("utf-8").splitlines()
    whole = [json.loads(line)["report"] for line in lines]
    # Halves, so that there are more: each is still several hundred words of a real report.
    halves = []
    for text in whole:
        parts = text.split("\n\n")
        halves += ["\n\n".join(parts[: len(parts) // 2]), "\n\n".join(parts[len(parts) // 2 :])]
    return [*whole, *halves]


@pytest.fixture(scope="module")
def planned(reports, tmp_path_factory):
    """Plans of these reports, with episodes that follow them."""
    folder, out = tmp_path_factory.mktemp("reports"), tmp_path_factory.mktemp("plans")
    for number, report in enumerate(reports):
        (folder / f"report-{number}.md").write_text(report, encoding="utf-8")
    corpus = open_corpus(folder, out)
    return planted.rows_of(Planning(make_ports(corpus, ExtractiveWriter(), Plan(out=out))[0]), len(reports))


@pytest.fixture(scope="module")
def every(reports, asked, walked, planned, ports, clues):
    asked = [*asked, *walked]
    records = [json.loads(row["record"]) for row in asked]
    names = {row["id"]: row["task"]["names"] for row in asked}
    reflected = planted.rows_of(Reflection(ports, asked), 40)
    by_id = {f"reflect-{row['id']}": row for row in asked}
    traces = [{"messages": row["messages"], "names": by_id[row["id"]]["task"]["names"]} for row in reflected]
    return [
        *planted.of_texts(reports), *planted.of_records(records, names), planted.of_hints(traces),
        planted.of_trajectories(planned), planted.of_shortcuts(ports, clues, asked, 30),
        planted.of_questions(asked), planted.of_edges(ports, 40), planted.of_verdicts(ports, clues, 45),
    ]  # fmt: skip


def test_every_filter_finds_what_was_planted_and_leaves_what_is_clean(every):
    print(planted.table(every))
    assert len({one.name for one in every}) == len(every) >= 15
    assert [(one.name, one.recall) for one in every if one.recall < 0.9] == []
    assert [(one.name, one.loss) for one in every if one.loss > 0.1] == []


def test_faults_as_a_pipeline_makes_them_are_found_where_words_can_find_them(reports, asked, walked, ports, clues):
    rows = [*asked, *walked]
    every = [
        *realistic.of_reports(reports), *realistic.of_answers(rows), *realistic.of_near_edges(ports, 40),
        *realistic.of_calls([json.loads(row["record"]) for row in rows]), *realistic.of_claims(ports, clues, 40),
        *realistic.of_hops(ports, clues, rows, 30),
    ]  # fmt: skip
    print(planted.table(every))
    seen = [one for one in every if one.name not in realistic.UNSEEN]
    assert len(seen) >= 10
    assert [(one.name, one.recall) for one in seen if one.recall < 0.9] == []
    assert [(one.name, one.loss) for one in every if one.loss > 0.1] == []
