"""Questions over subgraphs and walks: one answer each, which nothing gives away, and the agent finds it."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json

from train.synth import words
from train.synth.brief import Dropped
from train.synth.extractive import ExtractiveWriter
from train.synth.forms import Asked
from train.synth.searching import shortcut, shown
from train.synth.subgraphs import LEAK, Subgraphs
from train.synth.work import Progress

from .conftest import made


def test_a_question_names_neither_its_answer_nor_what_leads_to_it(asked, ports):
    rows = list(asked)
    assert len(rows) >= 5
    titles = [ports.corpus.title(key) for key in ports.corpus.documents()]
    for row in rows:
        assert words.is_named(row["task"]["query"], titles) == ""
        assert row["corpus"] == "wiki"
        assert row["subgraph"] >= 10


def test_no_other_page_refers_to_all_that_a_question_tells(asked, ports):
    for row in asked:
        clues = {key.partition("#")[0] for key in row["passages"]} - {row["source"]}
        assert len(clues) >= 2
        assert set.intersection(*(set(ports.graph.predecessors(key)) for key in clues)) == {row["source"]}


def test_the_agent_finds_the_answer_with_its_own_tools_and_cites_what_it_saw(asked):
    for row in asked:
        report = row["messages"][-1]["content"]
        assert f"The answer is {row['task']['answer']}." in report
        seen = {source["key"] for source in json.loads(row["record"])["sources"]}
        assert {part.partition("}")[0] for part in report.split("\\cite{")[1:]} <= seen
        assert "Today is 2026-01-02." in row["messages"][0]["content"]


def test_each_step_of_a_walk_has_one_way(walked):
    rows = list(walked)
    assert rows
    for row in rows:
        assert row["steps"] in (2, 3)
        assert row["task"]["query"].count("take the one about") == row["steps"]


def test_a_run_that_was_interrupted_goes_on_and_ends_the_same(ports, clues, tmp_path, asked):
    again = made(Subgraphs(ports, clues), tmp_path, 12)
    assert len(again.done) == 12
    rest = made(Subgraphs(ports, clues), tmp_path, 24)
    assert [_timeless(row) for row in rest] == [_timeless(row) for row in asked]
    assert rest.funnel.dropped == asked.funnel.dropped
    assert rest.funnel.total == 24


def test_a_writer_that_gives_the_answer_away_is_found_out(ports, clues):
    class Careless(ExtractiveWriter):
        async def write(self, prompt, kind):
            return Asked(question=f"Is the answer perhaps {prompt.brief.answer}?")

    capability = Subgraphs(_with(ports, Careless()), clues)
    dropped = []
    for brief in capability.briefs(12):
        try:
            asyncio.run(capability.make(brief))
        except Dropped as one:
            dropped.append(one.by)
    assert LEAK in dropped
    assert dropped.count(LEAK) == 12 - sum(by != LEAK for by in dropped)


def test_an_edge_is_shown_by_a_passage_that_names_both_ends(ports):
    one, other = next(iter(ports.graph.edges))
    found = asyncio.run(shown(ports.provider, [ports.corpus.title(one)], [ports.corpus.title(other)]))
    assert found is not None
    strangers = [
        node for node in ports.graph if not ports.graph.has_edge(one, node) and not ports.graph.has_edge(node, one)
    ]
    stranger = next(node for node in strangers if node != one)
    assert asyncio.run(shown(ports.provider, [ports.corpus.title(one)], [ports.corpus.title(stranger)])) is None


def test_a_question_that_one_search_answers_is_found(ports):
    key = ports.corpus.documents()[0]
    title = ports.corpus.title(key)
    assert asyncio.run(shortcut(ports.provider, f"Which is {ports.corpus.definition(key)}?", [title])).startswith(key)


def test_progress_says_how_fast_and_how_long():
    stream, times = io.StringIO(), iter([0.0, 2.0, 10.0])
    progress = Progress(stream, every=1.0, now=lambda: next(times))
    progress.start("walks", 4, 2)
    progress.step(1)
    progress.step(2)
    assert stream.getvalue().splitlines() == [
        "walks: 3/4, 1 kept, 0.5/s, 2 s left",
        "walks: 4/4, 2 kept, 0.2/s, 0 s left",
    ]


def _timeless(row):
    return {name: value for name, value in row.items() if name != "record"}  # which says how long things took


def _with(ports, writer):
    return dataclasses.replace(ports, writer=writer)
