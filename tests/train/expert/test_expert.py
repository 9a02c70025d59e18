"""The expert works through the agent and its tools; the cleaning finds what it does wrong."""

from __future__ import annotations

import dataclasses
import json

import pytest

from policy.trajectory import sequences
from train.expert.clean import Attempt, clean, rules
from train.expert.datasets import NothingLeft, chat_row, save_rows, slips_of
from train.expert.model import _MENDS
from train.tasks.funnel import Funnel


def _counted(funnel):
    return {name: count for name, count in funnel.dropped.items() if count}


def _dropped(attempt):
    """The first rule that objects, or ""."""
    return next((name for name, rule in rules().items() if rule(attempt)), "")


def _single(small, *, contested=True):
    return next(card for card in small[3] if len(card.subjects) == 1 and bool(card.contested) == contested)


def _pair(small):
    return next(card for card in small[3] if len(card.subjects) == 2)


async def test_an_episode_searches_opens_and_reports_with_citations_of_what_it_saw(small, attempt):
    for card in (_single(small), _pair(small)):
        done = await attempt(card)
        record = done.record
        names = [call["function"]["name"] for m in record["messages"] for call in m["tool_calls"] or ()]
        assert (record["status"], names) == ("done", ["search", "open"])
        assert [tool["function"]["name"] for tool in json.loads(record["tools"])] == ["search", "open"]
        assert all(thing.claim(name) in record["report"] for thing in card.subjects for name in card.asked)
        assert record["report"].count("\\cite{registry-") == len(card.subjects) * len(card.asked)
        assert _dropped(done) == ""
        assert len(list(sequences(record))) == 1


@pytest.mark.parametrize("slip", ["key", "tool", "json", "empty"])
async def test_a_slip_is_a_tool_error_that_the_expert_recovers_from(small, attempt, slip):
    done = await attempt(_single(small), slip=slip)
    assert done.record["usage"]["tool_errors"] == 1
    (wrong,) = slips_of(done.record)
    turns = [(place, m) for place, m in enumerate(done.record["messages"]) if m["role"] == "assistant"]
    mended = next(message for place, message in turns if place > wrong)
    assert mended["content"] in _MENDS.values()
    assert all(message["content"] for _, message in turns), "each tool turn says what it is for"
    assert _dropped(done) == ""


async def test_a_report_that_trusts_the_blog_is_cited_and_passes_for_what_it_is(small, attempt):
    card = next(
        card
        for card in small[3]
        if card.contested and len(card.subjects) == 1 and small[1][card.subjects[0].id][1].paragraphs
    )
    done = await attempt(card, trusts_blog=True)
    thing = card.subjects[0]
    seen = {source["key"] for source in done.record["sources"]}
    if f"blog-{thing.id}#1" in seen:
        assert thing.claim(card.contested, thing.false_value) in done.record["report"]
        assert f"\\cite{{blog-{thing.id}#1}}" in done.record["report"]
    assert _dropped(done) == ""


async def test_a_bonus_is_told_only_where_it_was_seen(small, attempt):
    done = await attempt(_single(small), names_town=True, compares=True)
    assert _dropped(done) == ""
    assert "Sources disagree" in done.record["report"] or "gazette" not in str(done.record["sources"])


@pytest.mark.parametrize(
    ("flaw", "rule"),
    [
        ("loop", "loop"),
        ("repetition", "n-gram repetition"),
        ("unseen", "citation not seen"),
        ("unsupported", "citation does not say so"),
        ("forgets", "wrong or incomplete"),
        ("year", "pinned to a year"),
        ("mixing", "language mixing"),
    ],
)
async def test_each_flaw_is_found_by_its_own_rule(small, attempt, flaw, rule):
    assert _dropped(await attempt(_single(small), flaw=flaw)) == rule


def _saying(attempt, query, report, shown=""):
    """The attempt with another query and report, and something more in what its last tool has shown."""
    messages = json.loads(json.dumps(attempt.record["messages"]))
    messages[-2]["content"] += shown
    messages[-1]["content"] = report
    return Attempt(attempt.card, {**attempt.record, "query": query, "report": report, "messages": messages})


@pytest.mark.parametrize(
    ("query", "report", "shown", "objects"),
    [
        ("这座桥是谁设计的?", "这座桥由 NVIDIA 公司的 New York Times Building 团队设计。", "", False),
        ("这座桥是谁设计的?", "这座桥 was designed by the man who built it.", "", True),
        ("Who designed the bridge?", "It was designed in 北京 by Anna Moss.", " 北京", False),
        ("Who designed the bridge?", "It was designed 在 1817 by Anna Moss.", " 北京", True),
    ],
)
async def test_names_of_another_script_are_no_mixing_and_sentences_are(small, attempt, query, report, shown, objects):
    plain = await attempt(_single(small))
    messages = [{**m, "content": "" if m["role"] == "assistant" else m["content"]} for m in plain.record["messages"]]
    silent = Attempt(plain.card, {**plain.record, "messages": messages})
    assert bool(rules()["language mixing"](_saying(silent, query, report, shown))) == objects


async def test_a_call_made_again_is_a_loop_only_where_nothing_new_came_of_it(small, attempt):
    looping = await attempt(_single(small), flaw="loop")
    assert _dropped(looping) == "loop"
    messages = json.loads(json.dumps(looping.record["messages"]))
    for number, message in enumerate(message for message in messages if message["role"] == "tool"):
        message["content"] = f"Page {number} has changed. {message['content']}"
    assert rules()["loop"](Attempt(looping.card, {**looping.record, "messages": messages})) == ""


async def test_a_wrong_value_is_caught_although_it_reads_well(small, attempt):
    done = await attempt(_single(small))
    thing = done.card.subjects[0]
    name = next(name for name in done.card.asked if name in ("opened", "cost", "measure", "material", "owner"))
    report = done.record["report"].replace(thing.facts[name], "Nowhere")
    assert _dropped(Attempt(done.card, {**done.record, "report": report})) == "citation does not say so"


async def test_a_forced_report_or_a_failed_episode_is_dropped(small, attempt):
    done = await attempt(_single(small))
    for status in ("forced", "failed"):
        assert _dropped(Attempt(done.card, {**done.record, "status": status})) == "not finished"


async def test_a_year_that_the_query_or_a_page_names_may_be_searched_for(small, attempt):
    done = await attempt(_single(small))
    asked = {**done.record, "query": "What happened in 2024?", "messages": _searching(done.record, "flood 2024")}
    assert _dropped(Attempt(done.card, asked)) == ""
    assert _dropped(Attempt(done.card, {**asked, "query": "What happened?"})) == "pinned to a year"


def _searching(record, words):
    messages = json.loads(json.dumps(record["messages"]))
    call = next(call for message in messages for call in message["tool_calls"] or ())
    call["function"]["arguments"] = json.dumps({"queries": [words]})
    return messages


async def test_the_shortest_correct_attempt_of_a_task_is_kept(small, attempt):
    card = _single(small)
    long, short = await attempt(card, second_search=True), await attempt(card)
    funnel = Funnel("t")
    assert clean([long, short], funnel, order=rules(), recovered=0) == [short]
    assert (_counted(funnel), funnel.kept) == ({"not the shortest": 1}, 1)


async def test_recovered_errors_are_kept_for_a_share_of_the_tasks(small, attempt):
    cards = [card for card in small[3] if len(card.subjects) == 1][:10]
    attempts = []
    for card in cards:
        attempts += [await attempt(card), await attempt(card, slip="key")]
    for share, wanted in ((0.0, 0), (0.2, 2), (1.0, 10)):
        funnel = Funnel("t")
        kept = clean(attempts, funnel, order=rules(), recovered=share)
        assert len(kept) == funnel.kept == 10
        assert sum(one.record["usage"]["tool_errors"] > 0 for one in kept) == wanted


async def test_a_task_with_nothing_but_errors_beyond_the_share_is_left_out(small, attempt):
    slipped = await attempt(_single(small), slip="tool")
    funnel = Funnel("t")
    assert clean([slipped], funnel, order=rules(), recovered=0) == []
    assert _counted(funnel) == {"over the share of recovered errors": 1}


async def test_a_dataset_row_holds_the_conversation_as_it_was_and_its_provenance(small, attempt, tmp_path):
    from datasets import load_from_disk

    done = await attempt(_single(small), slip="json")
    save_rows([chat_row(done, {"writer": "templates", "world_seed": 11})], tmp_path / "sft")
    row = load_from_disk(str(tmp_path / "sft"))[0]
    assert [message["role"] for message in row["messages"]] == [
        "system", "user", "assistant", "tool", "assistant", "tool", "assistant", "tool", "assistant",
    ]  # fmt: skip
    calls = [c["function"]["arguments"] for m in row["messages"] for c in m["tool_calls"] or ()]
    assert calls[1].startswith('{"targets": ["registry-')
    assert not calls[1].endswith("}")  # the slip, as it was written
    assert row["slips"] == [4]  # the call that was cut off, and not the one that mends it
    assert (row["turns"], row["tool_errors"], row["writer"], row["world_seed"]) == (4, 1, "templates", 11)
    assert json.loads(row["tools"])[0]["function"]["name"] == "search"


def test_no_rows_are_no_dataset(tmp_path):
    with pytest.raises(NothingLeft, match="not one row"):
        save_rows([], tmp_path / "sft")


def test_cards_are_frozen_so_that_attempts_can_share_them(small):
    with pytest.raises(dataclasses.FrozenInstanceError):
        small[3][0].asked = ()
