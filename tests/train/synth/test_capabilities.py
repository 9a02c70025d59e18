"""Planning, reading, verification, reports, reflection, difficulty: what each keeps and what it finds wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
from typing import ClassVar

import pytest

from policy.model import Completion
from policy.models.scripted import calls, says
from policy.sources import Source
from train.synth import forms, hints
from train.synth.brief import Brief, Dropped, Fact
from train.synth.difficulty import sieve, solve_rates
from train.synth.grounds import supported
from train.synth.leaks import leak, told
from train.synth.planning import stripped
from train.synth.reading import ActiveReading, unanswered
from train.synth.reflection import Reflection, Retrying
from train.synth.repetition import repeated
from train.synth.reports import bulleted, lost, paragraphs
from train.synth.sections import outline, said_headings
from train.synth.subgraphs import Subgraphs, unlike
from train.synth.verdicts import by_words
from train.synth.verification import Verification
from train.synth.walks import Walks

from .conftest import made

PAGE = [Source("mill#1", "Mill", "mill.md", "A tidal mill that grinds barley for the island."),
        Source("mill#2", "Mill", "mill.md", "Its wheel was lost in 1822.")]  # fmt: skip


def test_what_is_short_or_has_no_sections_is_no_report(ports):
    with pytest.raises(Dropped, match="under 250 words"):
        outline(ports, ports.corpus.documents()[0])


def test_a_line_of_a_pdf_that_looks_like_a_heading_is_one():
    pages = [
        "On Tides\nBackground of the Survey\nThe mills of the\nCoast were counted.",
        "They were few. 2.1 How they were counted\nBy hand. The end of\nIt all",
        "goes on here.",
    ]
    said = said_headings([Source(f"a#{n}", "T", "", page) for n, page in enumerate(pages)])
    assert said == ["Background of the Survey", "2.1 How they were counted", "2.1 How they were counted"]


def test_results_and_numbers_are_stripped_from_an_abstract():
    said = "We study tides in mills. We found that they fall. 12 mills were seen. The method is new."
    assert stripped([Source("a#1", "T", "", said)], "T") == "We study tides in mills. The method is new."


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("Write a report on tidal mills.", ""),
        ("Write a report on tidal mills of 1822.", ""),  # which the title names
        ("Say why 37 mills were lost.", "37 in"),
        ("Show that the wheel of the mill was carried out to sea.", "'the wheel of the mill was carried out' is"),
    ],
)
def test_a_task_gives_no_result_away(task, reason):
    body = ["In all, 37 mills were lost.", "The wheel of the mill was carried out to sea."]
    assert leak(task, "Tidal mills of 1822", body).startswith(reason)
    assert bool(leak(task, "Tidal mills of 1822", body)) == bool(reason)


@pytest.mark.parametrize(
    ("question", "names", "found"),
    [
        ("Which of the tidal mills is meant?", ["Tidal Mill"], "Tidal Mill"),
        ("Is it ObjectiveC?", ["Objective C"], "Objective C"),
        ("Is it the WAN of the harbour?", ["Wide Area Network"], "Wide Area Network"),
        ("Is it a yacc?", ["ayacc"], ""),
        ("Is it wan of face?", ["Wide Area Network"], ""),
    ],
)
def test_an_answer_is_told_in_the_plural_as_one_word_and_by_its_initials_too(question, names, found):
    assert told(question, names) == found


def test_reading_asks_only_what_the_text_answers(ports, clues, tmp_path, monkeypatch):
    monkeypatch.setattr("train.synth.reading._LEAST_WORDS", 20)
    rows = made(ActiveReading(ports, clues), tmp_path, 12)
    kept = list(rows)
    assert len(kept) >= 8
    for row in kept:
        text, _, asked = row["text"].partition("\nQuestion: ")
        for pair in asked.partition("\nIn other words: ")[0].split("\nQuestion: "):
            question, _, answer = pair.partition("\nAnswer: ")
            assert unanswered(question, answer, text) == ""
    assert unanswered("Who was a widow?", "Arne", "The widow Arne.") == ""
    assert unanswered("Which planet is largest?", "Arne", "The widow Arne.").startswith("0% of the words")
    assert unanswered("Is it Arne?", "Arne", "The widow Arne.") == "'Arne' is in the question"
    assert supported("The mill of Arne had 3 wheels.", "Arne has a mill.") == "'3' is not in the text"


class _Babbler:
    """A chat model at its worst: every reply can be read, and none is about what was asked."""

    name, tier = "babbler", 3
    _SAID: ClassVar = {
        forms.Asked: {"question": "Which planet of the outer system has the largest number of known moons?"},
        forms.Plan: {"task": "Write about planets of the outer system.", "steps": ["Count moons.", "Name planets."]},
        forms.Reading: {"questions": [{"question": "Which planet is largest?", "answer": "a"}], "rewrite": "Moons."},
        forms.Summary: {"summary": "Planets have moons."},
        forms.Claims: {"claims": ["The largest planet has ninety moons."]},
        forms.Queries: {"queries": ["moons"]},
        forms.Finding: {"verdict": "support", "reason": "So it is.", "citations": []},
        forms.Report: {"report": "Planets have moons."},
    }

    async def write(self, prompt, kind):
        return kind.model_validate(self._SAID[kind])


@pytest.mark.parametrize("kind", [Subgraphs, Walks, ActiveReading, Verification])
def test_nothing_is_kept_of_a_writer_whose_replies_are_about_something_else(kind, ports, clues, tmp_path, monkeypatch):
    monkeypatch.setattr("train.synth.reading._LEAST_WORDS", 20)
    rows = made(kind(dataclasses.replace(ports, writer=_Babbler()), clues), tmp_path, 12)
    assert rows.funnel.total == 12
    assert list(rows) == []
    by = {"subgraphs": "not what the facts say", "walks": "not what the facts say", "reading": "answer not in the text",
          "verification": "claim about something else"}  # fmt: skip
    assert rows.funnel.dropped[by[kind.name]] >= 3


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("What does the island's machine at the water grind, which stands near where fish are sold?", ""),
        ("Which machine on the island grinds barley?", "nothing is told of 'a place where fish are sold'"),
        ("Which machine of 1822 grinds barley near where fish are sold?", "'1822' is not in the text"),
        ("Which machine grinds barley near Skerrow, where fish are sold?", "'Skerrow' is not in the text"),
    ],
)
def test_a_question_tells_every_clue_and_nothing_else(question, reason):
    facts = (Fact("Mill", "is", "a tidal machine that grinds barley", "mill#1"),
             Fact("Market", "is", "a place where fish are sold", "market#1"))  # fmt: skip
    passages = (Source("mill#1", "Mill", "", "It stands at the water of the island."),)
    assert unlike(question, Brief(id="a", kind="subgraphs", facts=facts, passages=passages)) == reason


def test_each_claim_has_the_verdict_that_it_was_made_for_and_a_passage_that_shows_it(ports, clues, tmp_path):
    rows = list(made(Verification(ports, clues), tmp_path, 12))
    assert len(rows) >= 5
    for row in rows:
        assert sorted(row["verdicts"]) == ["doubtful", "refute", "support"]
        titles = {source["key"]: source["title"] for source in json.loads(row["record"])["sources"]}
        for part in row["messages"][-1]["content"].split("\n\n"):
            claim, _, said = part.partition(". ")[2].partition(". ")
            (key,) = [said.partition("\\cite{")[2].partition("}")[0]]
            assert claim.startswith(titles[key])
            if " was first made in " in claim:
                assert said.startswith("Doubtful")


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ("Mill is a tidal mill that grinds barley for the island.", "support"),
        ("Mill is a toll house whose roof fell in.", "refute"),
        ("Mill is a tidal mill that grinds barley for the island, and was first made in 1607.", "doubtful"),
    ],
)
def test_words_alone_tell_support_refutation_and_doubt(claim, verdict):
    assert by_words(claim, PAGE, "Mill") == verdict
    assert by_words(claim, [Source("x#1", "Elsewhere", "", "Nothing of the kind.")], "Mill") == "doubtful"


_ROW = "| Arnewick | 20 paces | built by monks from the north |"
_ITEM = "- The ferry of Arnewick floods every second winter"
_CHINESE = "这座桥由北方的僧侣在漫长的战争之后建造"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (f"{_ITEM}\n" * 3, "3 times"),
        (f"{_ITEM}\n\nMore.\n\n{_ITEM}\n- And so on\n\n{_ITEM}", "3 times"),
        (f"## What monks from the north have built\n\n{_ITEM}\n\n" * 2, ""),
        ("The monks from the north have built:\n" * 3, "3 times in a row"),
        (f"{_ROW}\n" * 3, "3 times in a row"),
        (f"{_ROW}\n\nMore.\n\n{_ROW}\n\nAnd more.\n\n{_ROW}", ""),  # a row may come again
        (f"{_CHINESE} " * 3, "3 times in a row"),
        ("| 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |", ""),
        ("\n".join(f"[{n}] https://example.org/{n}/a/page/of/the/whole/wiki" for n in range(9)), ""),
    ],
)
def test_what_has_no_end_of_its_own_is_heard_again_too(said, reason):
    draw = random.Random(0)
    prose = " ".join(f"The {''.join(draw.sample('aeioukmnprst', 6))} was {draw.random()} paces long." for _ in range(3))
    prose += " " + " ".join("".join(draw.sample("aeioukmnprst", 6)) for _ in range(400)) + "."
    assert repeated(f"{prose}\n\n{said}").endswith(reason)
    assert bool(repeated(f"{prose}\n\n{said}")) == bool(reason)


def test_a_chinese_report_whose_list_of_sources_comes_twice_repeats_itself():
    draw = random.Random(0)
    body = "。".join("".join(draw.sample([chr(0x4E00 + n) for n in range(900)], 30)) for _ in range(30)) + "。"
    sources = "\n".join(f"[{n}] Bridge {n * 7} of county{n}, a survey: https://example.org/b{n}" for n in range(16))
    assert repeated(f"{body}\n\n{sources}") == ""
    assert repeated(f"{body}\n\n{sources}\n\n{sources}").endswith("said before")


def test_bullets_become_paragraphs_and_nothing_is_lost():
    report = "## Mills\n\n1. The first has 3 wheels\n2. The second\n   has none.\n\n- A third: gone\n\nThat is all."
    formed = paragraphs(report)
    assert bulleted(report) > 0.5
    assert bulleted(formed) == 0
    assert lost(report, formed) == ""
    assert lost(report, formed.replace("3 wheels", "wheels")) == "1 of 1 numbers, such as '3'"


def test_reflection_begins_wrong_ends_right_and_keeps_no_trace_of_the_hint(ports, asked, tmp_path):
    rows = list(made(Reflection(ports, list(asked)[:6]), tmp_path, 6))
    assert rows
    for row in rows:
        assert row["tries"] == 2
        said = [message for message in row["messages"] if message["role"] == "assistant"]
        answer = said[-1]["content"].rpartition("The answer is ")[2]
        assert f"The answer is {answer}" not in said[1]["content"]
        assert "it was not checked" in said[1]["content"]
        assert said[1]["tool_calls"]
        assert all(message["role"] != hints.HINT for message in row["messages"])


def test_a_model_that_repeats_its_hint_is_dropped(ports, asked):
    class Parrot:
        name = "parrot"

        async def complete(self, messages, tools, *, max_tokens, use_tools=True):
            if messages[-1]["role"] == "user" and len(messages) > 2:
                return says(f"I was told: {messages[-1]['content']}")
            return says("It is Nowhere.")

        async def aclose(self):
            return None

    capability = Reflection(ports, list(asked)[:1], Parrot())
    with pytest.raises(Dropped, match="trace of the hint"):
        asyncio.run(capability.make(capability.briefs(1)[0]))


def test_after_three_wrong_answers_it_is_given_up():
    model = Retrying(_Says("Nowhere"), ["Arwick"])
    messages = [{"role": "system", "content": ""}, {"role": "user", "content": "Where?"}]
    reply = asyncio.run(model.complete(messages, (), max_tokens=10))
    assert reply.content == "Nowhere"
    assert len(model.wrong) == 2
    told = [message["role"] for message in model.shown(messages)]
    assert told == ["system", "user", "assistant", "hint", "assistant", "hint"]
    assert [message["role"] for message in hints.without_hints(model.shown(messages))] == [
        "system",
        "user",
        "assistant",
    ]


def test_a_name_that_only_the_hint_has_given_is_a_trace():
    ask = {"role": "user", "content": "Where is it?"}
    told = hints.hint("Wrong. Expected: Arwick.")
    search = calls(("search", {"queries": ["Arwick"]})).message()
    shown = {"role": "tool", "content": "[arwick#1] Arwick"}
    assert hints.traces([ask, told, search, shown], ["Arwick"]) == "'Arwick' was known from the hint alone"
    assert (
        hints.traces([ask, told, calls(("search", {"queries": ["ferry"]})).message(), shown, search], ["Arwick"]) == ""
    )
    assert hints.traces([ask, told, says("As the hint says, on.").message()], ["Arwick"]) == "it speaks of a 'hint'"


def test_tasks_that_the_baseline_solves_are_dropped_and_failures_count_neither_way():
    tasks = [{"id": name, "query": "?", "answer": "Arwick"} for name in ("easy", "hard", "down")]
    ends = {"easy": ["Arwick", "Arwick", "no"], "hard": ["no", "no", "Arwicks"], "down": []}
    records = [
        {"task": task, "status": "done", "report": f"x\n\nThe answer is {end}."} for task in ends for end in ends[task]
    ]
    records.append({"task": "down", "status": "failed", "report": ""})
    rates = solve_rates(tasks, records)
    assert rates == {"easy": pytest.approx(2 / 3), "hard": 0}
    kept, funnel = sieve(tasks, rates)
    assert [(task["id"], task["solve_rate"]) for task in kept] == [("hard", 0), ("down", None)]
    assert funnel.as_dict()["dropped"] == {"solved by the baseline": 1}


class _Says:
    name = "says"

    def __init__(self, words: str) -> None:
        self._words = words

    async def complete(self, messages, tools, *, max_tokens, use_tools=True) -> Completion:
        return says(self._words)

    async def aclose(self) -> None:
        return None
