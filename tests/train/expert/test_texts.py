"""Mid-training: what the texts say stands in the documents; drills use tools and answer rightly."""

from __future__ import annotations

import re

from train.expert.capabilities import CAPABILITIES, stage_one, walk
from train.expert.drills import KINDS, make_drills, run_drills


def test_every_capability_gets_its_share_and_calls_no_tool(small):
    world, documents, _, _ = small
    rows = stage_one(world, documents, 60, seed=1)
    assert [row["kind"] for row in rows[: len(CAPABILITIES)]] == list(CAPABILITIES)
    assert not any("tool_call" in row["text"] for row in rows)
    assert len({row["text"] for row in rows}) > 50
    assert rows == stage_one(world, documents, 60, seed=1)


def test_what_is_recalled_is_drawn_for_its_text_alone_and_told_three_times_in_other_orders(small):
    world, documents, _, _ = small
    rows = [row for row in stage_one(world, documents, 210, 2) if row["kind"] == "recall"]
    true = 0
    for row in rows:
        thing = world.entities[row["source"]]
        *passages, second, third = row["text"].split("\n")
        facts = _facts(" ".join(passages), thing.called)
        assert _facts(second, thing.called) == _facts(third, thing.called) == facts
        true += sum(thing.claim(name) in row["text"] for name in thing.facts)
    assert len({row["text"].split("\n")[0] for row in rows}) == len(rows)
    assert true < 0.1 * sum(row["text"].count(". ") for row in rows)


def test_half_of_what_is_recalled_is_cited_by_the_passage_that_tells_it(small):
    world, documents, _, _ = small
    rows = [row for row in stage_one(world, documents, 420, 2) if row["kind"] == "recall"]
    cited = [row for row in rows if row["text"].startswith("[")]
    assert 0.3 < len(cited) / len(rows) < 0.7
    keys = set()
    for row in cited:
        called = world.entities[row["source"]].called
        *lines, second, third = row["text"].split("\n")
        passages = {key: _facts(text, called) for key, text in re.findall(r"^\[(\S+)\] (.*)$", "\n".join(lines), re.M)}
        assert len(passages) == len(lines)
        for again in (second, third):
            told = [(_fact(said, called), key) for said, key in re.findall(r"([^.]+?) \\cite\{(\S+)\}\.", again)]
            assert len(told) == sum(map(len, passages.values()))
            assert all(fact in passages[key] for fact, key in told)
        keys |= {key.partition("#")[0] for key in passages}
    assert keys <= {page.key for pages in documents.values() for page in pages}
    assert len(keys) > 0.5 * len(cited)
    assert not any("cite" in row["text"] for row in rows if row not in cited)


def _facts(text: str, called: str) -> set[str]:
    """The sentences without their subject and the keys before and behind them."""
    bare = re.sub(r"\[\S+\] | \\cite\{\S+\}", "", text)
    return {_fact(sentence, called) for sentence in re.findall(r"[^.]+(?=\.)", bare)}


def _fact(sentence: str, called: str) -> str:
    return sentence.strip().lower().removeprefix(called.lower()).removeprefix("it")


def test_what_is_cited_in_a_report_stands_in_the_passage_shown(small):
    world, documents, _, _ = small
    for row in stage_one(world, documents, 60, seed=2):
        if row["kind"] != "report":
            continue
        shown = dict(re.findall(r"^\[(\S+)\] (.*)$", row["text"], re.MULTILINE))
        report = row["text"].partition("Report: ")[2]
        cited = re.findall(r"([^.]+?) \\cite\{([^}]+)\}", report)
        assert cited
        for sentence, key in cited:
            words = sentence.split(" ", 1)[1].split()[-2:]
            assert " ".join(words) in shown[key]


def test_a_sought_answer_stands_at_the_end_of_links_that_the_question_does_not_name(small):
    world, documents, _, _ = small
    lengths = set()
    for row in stage_one(world, documents, 120, seed=5):
        if row["kind"] != "seeking":
            continue
        shown, _, rest = row["text"].partition("\nQuestion: ")
        question, steps, answer = rest.split("\n")
        answer = answer.removeprefix("Answer: ")
        *told, last = re.findall(r"[^.]+\.", steps)
        lengths.add(len(told))
        assert answer in last
        assert answer in shown
        assert world.entities[row["source"]].name in question
        for step in told:  # what each link leads to is in the steps, not in the question
            assert step.rstrip(".").split()[-1] not in question
    assert lengths >= {1, 2}


def test_verification_and_reflection_end_with_the_registrys_word(small):
    world, documents, _, _ = small
    for row in stage_one(world, documents, 60, seed=3):
        thing = world.entities[row["source"]]
        if row["kind"] == "reflection":
            assert thing.claim(thing.contested) in row["text"].partition("\nAnswer: ")[2]
        if row["kind"] == "verification":
            assert sorted(re.findall(r"Verdict: (\w+)", row["text"])) == ["refute", "support"]


def test_a_walk_is_breadth_first_bounded_and_does_not_pass_through_hubs(small):
    world = small[0]
    edges = list(world.edges())
    degree = {}
    for start, _, end in edges:
        degree[start], degree[end] = degree.get(start, 0) + 1, degree.get(end, 0) + 1
    start = world.structures[0].id
    assert len(walk(world, start, most=4)) == 3
    reached = walk(world, start, most=1000, hub=2)
    around = {start} | {end for a, _, end in edges if a == start}
    through = {node for a, _, b in reached for node in (a, b)} - around
    # Whatever lies further off was reached through a node of a small degree.
    for a, _, b in reached:
        if {a, b} & through:
            assert min(degree[a], degree[b]) <= 2


async def test_drills_are_played_by_the_agent_and_joined_to_long_conversations(small, tmp_path):
    world, documents, settings, _ = small
    drills = make_drills(world, documents, 2 * len(KINDS), seed=4)
    rows = await run_drills(drills, settings, tmp_path / "work", seed=4)
    assert not (tmp_path / "work").exists()
    assert sum(row["kind"].count("+") + 1 for row in rows) == len(drills)
    assert {kind for row in rows for kind in row["kind"].split("+")} == set(KINDS)
    for row in rows:
        roles = [message["role"] for message in row["messages"]]
        assert roles[0] == "system"
        assert roles.count("system") == 1
        assert roles[-1] == "assistant"
        assert roles.count("user") == row["kind"].count("+") + 1
    assert any("There is no document" in message["content"] for row in rows for message in row["messages"])
