"""Faults as a real pipeline makes them: a result in other words, an answer by its initials, one detail that is changed.

What a rule without a model cannot see is in the table, too: its recall says so.
"""

from __future__ import annotations

import asyncio
import copy
import json
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from policy.sources import Source
from train.expert.clean import loop
from train.judge.edits import negate
from train.judge.restate import another_number, opposite
from train.synth import filters, words
from train.synth.brief import Brief
from train.synth.clues import Clues
from train.synth.duplicates import near_duplicates
from train.synth.extractive import ExtractiveWriter
from train.synth.forms import Summary
from train.synth.grounds import supported
from train.synth.leaks import leak, told
from train.synth.ports import Ports
from train.synth.repetition import repeated
from train.synth.searching import shortcut, shown
from train.synth.verification import disagreement
from train.synth.writer import Prompt

from .planted import Measured, Record, measure

_JOINTS = frozenset("and or of to in on for with that which by from as at while but because through".split())
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_CHINESE = ("显著", "提升", "成本", "市场", "增长", "风险", "合作", "策略")
_ENGLISH = ("significantly", "however", "growth", "therefore", "increasing", "strategy", "however", "impact")


UNSEEN = (
    "not supported by the text: a number changed", "not supported by the text: turned round",
    "not supported by the text: another's number", "conclusion and evidence disagree: one detail changed",
    "one search answers: half of the words, in another order", "near-duplicate: a word in ten changed",
)  # fmt: skip
"""What words alone do not see, or not often enough: it takes a judge, or a search by meaning."""


def of_reports(reports: Sequence[str], seed: int = 0) -> list[Measured]:
    """On real reports in English."""
    draw = random.Random(seed)
    return [
        *of_leaks(reports, draw), *of_copies(reports, draw), *of_details(reports, draw), *of_loops(reports),
        measure("language mixing: Chinese words in English sentences", filters.mixed, reports,
                [_switched(report, _CHINESE, draw) for report in reports]),
    ]  # fmt: skip


def of_chinese(reports: Sequence[str], seed: int = 0) -> list[Measured]:
    """On real reports in Chinese, with the English names and terms that they have."""
    draw = random.Random(seed)
    switched = [_switched(report, _ENGLISH, draw) for report in reports]
    paragraphs = [_translated(report, english) for report, english in zip(reports, _english(draw), strict=False)]
    leaks = [(*_title_and_late(report), report) for report in reports]
    return [
        measure("Chinese report: English words in its sentences", filters.mixed, reports, switched),
        measure("Chinese report: paragraphs left in English", filters.mixed, reports, paragraphs),
        measure("Chinese report: said over and over", repeated, reports,
                [report + "\n\n" + report[len(report) // 4 : len(report) // 2] for report in reports]),
        measure("Chinese report: a result in the task, word by word", lambda given: leak(*given),
                [(f"撰写一份报告：{title}", title, [report]) for title, _, report in leaks],
                [(f"撰写一份报告：{title}，说明{late}", title, [report]) for title, late, report in leaks if late]),
    ]  # fmt: skip


def _english(draw: random.Random) -> list[str]:
    said = (
        "The market has grown at a steady pace since the reform, and most of the firms expect it to go on for years.",
        "Several of the studies that were made in the last decade point out that the costs are higher than expected.",
        "It remains to be seen whether the measures that were taken by the government will have the wanted effect.",
    )
    return [" ".join(draw.sample(said, 3)) for _ in range(1000)]


def _translated(report: str, english: str) -> str:
    """Every fifth paragraph as one in English."""
    parts = report.split("\n\n")
    return "\n\n".join(english if number % 5 == 2 else part for number, part in enumerate(parts))


def _title_and_late(report: str) -> tuple[str, str]:
    said = words.sentences(report)
    late = [one for one in said[len(said) // 2 :] if words.length(one) >= 16]
    return said[0][:60], next(iter(late), "")


def of_leaks(reports: Sequence[str], draw: random.Random) -> list[Measured]:
    """A task that tells a result: in other words, rounded, spelled out. Clean are the title and the first sentences."""
    clean, reworded, rounded, spelled = [], [], [], []
    for report in reports:
        said = words.sentences(report)
        title = said[0]
        clean.append((f"Write a report: {title} {' '.join(said[1:3])}", " ".join(said[:3]), [report]))
        late = [one for one in said[len(said) // 2 :] if len(words.content(one)) >= 9]
        if late:
            told = draw.choice(late)
            reworded.append((f"Write a report: {title} Work out how {_reworded(told, draw)}.", title, [report]))
        for told in late:
            if found := re.search(r"(?<![\d.,])(\d{2})(\.\d+)?%", told):
                number = float(found.group(1) + (found.group(2) or ""))
                about = f"about {5 * round(number / 5)}%"
                rounded.append((f"Write a report: {title} Say why it is {about}.", title, [report]))
                if 20 <= int(number) < 100:
                    spelled.append(
                        (f"Write a report: {title} Say why it is {_spelled(int(number))} percent.", title, [report])
                    )
                break
    rule = lambda given: leak(*given)  # noqa: E731
    return [
        measure(f"result in the task: {name}", rule, clean, some)
        for name, some in (("in other words", reworded), ("rounded", rounded), ("spelled out", spelled))
        if some
    ]


def _spelled(number: int) -> str:
    units = "one two three four five six seven eight nine".split()
    tens = _TENS[number // 10 - 2]
    return tens if number % 10 == 0 else f"{tens}-{units[number % 10 - 1]}"


def _reworded(sentence: str, draw: random.Random) -> str:
    """Its parts between joints in another order and joined anew, a third of its small words gone."""
    parts: list[list[str]] = [[]]
    for word in words.plain(sentence).rstrip(".").split():
        if word.lower() in _JOINTS or len(parts[-1]) >= 4:
            parts.append([])
        if word.lower() not in _JOINTS and (len(word) > 3 or draw.random() > 0.3):
            parts[-1].append(word)
    some = [" ".join(part) for part in parts if part]
    draw.shuffle(some)
    return ", ".join(some)


def of_copies(reports: Sequence[str], draw: random.Random) -> list[Measured]:
    """Near-duplicates: sentences in another order, one left out, one put before, a tenth of the words changed."""
    parts = (words.plain(part) for report in reports for part in report.split("\n\n"))
    chunks = [part for part in parts if len(words.sentences(part)) >= 4]
    chunks = [part for part in dict.fromkeys(chunks) if len(part.split()) >= 40]
    taken = len(near_duplicates((str(number), part) for number, part in enumerate(chunks)))

    def shuffled(part: str) -> str:
        return " ".join(draw.sample(words.sentences(part), len(words.sentences(part))))

    def without_one(part: str) -> str:
        said = words.sentences(part)
        return " ".join(one for one in said if one != min(said, key=len))

    def changed(part: str) -> str:
        said = part.split()
        for place in draw.sample(range(len(said)), len(said) // 10):
            said[place] = draw.choice(("also", "often", "largely", "again"))
        return " ".join(said)

    ways = {
        "in another order": shuffled,
        "a sentence left out": without_one,
        "with a new beginning": lambda part: f"In this part the main points are looked at in turn. {part}",
        "a word in ten changed": changed,
    }
    out = []
    for name, way in ways.items():
        rows = [*((f"clean {n}", part) for n, part in enumerate(chunks)), *((f"copy {n}", way(part)) for n, part in enumerate(chunks))]  # fmt: skip  # noqa: E501
        found = sum(one.startswith("copy") for one in near_duplicates(rows))
        out.append(Measured(f"near-duplicate: {name}", found, len(chunks), taken, len(chunks)))
    return out


def of_details(reports: Sequence[str], draw: random.Random) -> list[Measured]:
    """Summaries of which one detail is changed: a number, a name for another of the same text, "rose" for "fell"."""
    clean: list[tuple[str, str]] = []
    planted: dict[str, list[tuple[str, str]]] = {"a number changed": [], "turned round": [], "another's number": []}
    for report in reports:
        brief = Brief(id="x", kind="x", passages=(Source("x#1", "", "", report),))
        summary = asyncio.run(ExtractiveWriter().write(Prompt("summary", brief), Summary)).summary
        text = words.plain(report)
        clean.append((summary, text))
        numbers = sorted({one for one in words.numbers(text) if len(one) > 1})
        for said in words.sentences(summary):
            if new := another_number(said, draw):
                planted["a number changed"].append((new, text))
                own = words.numbers(said)
                if own and len(numbers) > 5:
                    other = draw.choice([one for one in numbers if one not in own])
                    planted["another's number"].append((said.replace(own[0], other, 1), text))
            if new := opposite(said, draw) or negate(said):
                planted["turned round"].append((new, text))
    return [
        measure(f"not supported by the text: {name}", lambda pair: supported(*pair), clean, some)
        for name, some in planted.items()
        if some
    ]


def of_loops(reports: Sequence[str]) -> list[Measured]:
    """A report that runs into a loop: one sentence again and again, another year in each."""

    def whole(report: str) -> list[str]:
        return [one for one in words.sentences(report) if 10 <= len(one.split()) <= 30]

    def looping(report: str) -> str:
        said = whole(report)
        return "\n\n".join([report, " ".join(f"In {year}, {said[len(said) // 2]}" for year in range(1990, 2020))])

    some = [one for one in reports if whole(one)]  # those of tables alone have nothing to say again
    out = [measure("repetition: a loop with another year each time", repeated, some, [looping(one) for one in some])]
    for name, opening, way in (
        ("a heading or a row, three times in a row", ("#", "|"), lambda parts, said: [*parts, "\n".join([said] * 3)]),
        ("an item of a list, in three places", ("- ", "* "), _scattered),
    ):
        clean, planted = [], []
        for report in reports:
            lines = [one for one in report.split("\n") if one.strip().startswith(opening)]
            lines = [
                one for one in lines if words.length(one) >= 8 and not one.rstrip(" *").endswith((".", "。", ":", "："))
            ]
            if lines:
                clean.append(report)
                planted.append("\n\n".join(way(report.split("\n\n"), lines[len(lines) // 2])))
        if planted:
            out.append(measure(f"repetition: {name}", repeated, clean, planted))
    return out


def _scattered(parts: list[str], said: str) -> list[str]:
    """The parts of a report with the same behind each third of them."""
    third = max(1, len(parts) // 3)
    return [*parts[:third], said, *parts[third : 2 * third], said, *parts[2 * third :], said]


def of_answers(rows: Sequence[Mapping[str, Any]]) -> list[Measured]:
    """Questions that tell the answer in another form."""
    clean = [(row["task"]["query"], row["task"]["names"]) for row in rows]
    planted: dict[str, list[tuple[str, Sequence[str]]]] = {"inflected": [], "written as one": [], "its initials": []}
    for question, names in clean:
        name = names[0]
        parts = words.tokens(name)
        planted["inflected"].append((question.replace("?", f", one of the {name}s?"), names))
        if len(parts) > 1:
            planted["written as one"].append((question.replace("?", f", or {''.join(parts)}?"), names))
        if len(parts) > 2:
            planted["its initials"].append(
                (question.replace("?", f", the {''.join(part[0] for part in parts).upper()}?"), names)
            )
    return [
        measure(f"answer in the question: {name}", lambda pair: told(*pair), clean, some)
        for name, some in planted.items()
        if some
    ]


def of_calls(records: Sequence[Record]) -> list[Measured]:
    """The first call a second time with another case, spaces, and its queries in another order."""

    def again(record: Record) -> Record:
        record = copy.deepcopy(record)
        call, result = copy.deepcopy(record["messages"][2:4])
        replied, observed = copy.deepcopy(record["steps"][:2])
        function = call["tool_calls"][0]["function"]
        asked = json.loads(function["arguments"])
        asked["queries"] = [f" {query.upper()} " for query in asked["queries"]]
        function["arguments"] = json.dumps(asked)
        call["tool_calls"][0]["id"] = result["tool_call_id"] = "again"
        record["messages"][4:4] = [call, result]
        record["steps"][2:2] = [replied, observed]
        return record

    return [measure("loop: the same call in other letters", loop, records, [again(record) for record in records])]


def of_claims(ports: Ports, clues: Clues, count: int, seed: int = 0) -> list[Measured]:
    """A page's own definition with one detail changed, said to be supported."""
    draw = random.Random(seed)
    clear = [key for key in ports.corpus.documents() if clues.is_clear(key)]
    clean, planted = [], []
    for key in draw.sample(clear, min(count, len(clear))):
        title, said = ports.corpus.title(key), ports.corpus.definition(key)
        evidence = ports.corpus.passages(key)[:3]
        other = ports.corpus.definition(draw.choice([one for one in clear if one != key])).split()
        parts = said.split()
        telling = [place for place, word in enumerate(parts) if words.content(word)]
        parts[draw.choice(telling[1:] or telling)] = draw.choice([one for one in other if words.content(one)])
        new = another_number(said, draw) or opposite(said, draw) or " ".join(parts)
        clean.append((f"{title} is {said}.", "support", evidence, title))
        planted.append((f"{title} is {new}.", "support", evidence, title))

    def rule(given: tuple[str, Any, Sequence[Source], str]) -> str:
        claim, verdict, evidence, title = given
        return asyncio.run(disagreement(claim, verdict, evidence, None, title))

    return [measure("conclusion and evidence disagree: one detail changed", rule, clean, planted)]


def of_near_edges(ports: Ports, count: int, seed: int = 0) -> list[Measured]:
    """True edges, and tails two links away that the page does not name."""
    draw, graph = random.Random(seed), ports.graph
    clean, planted = [], []
    for one, other in draw.sample(list(graph.edges), min(count, graph.number_of_edges())):
        said = [text for _, text in graph.edges[one, other]["evidence"]]
        clean.append((one, [*said, ports.corpus.title(other)]))
        text = " ".join(words.plain(passage.text) for passage in ports.corpus.passages(one))
        away = [node for node in graph.successors(other) if node != one and not graph.has_edge(one, node)]
        away = [node for node in away if not words.is_named(text, [ports.corpus.title(node)])]
        if away:
            planted.append((one, [ports.corpus.title(draw.choice(away))]))

    def is_hidden(edge: tuple[str, list[str]]) -> bool:
        one, said = edge
        return asyncio.run(shown(ports.provider, [ports.corpus.title(one)], said, within=one)) is None

    return [measure("edge not shown: a tail two links away", is_hidden, clean, planted)]


def of_hops(ports: Ports, clues: Clues, rows: Sequence[Mapping[str, Any]], count: int, seed: int = 0) -> list[Measured]:
    """Questions of a single hop with half of the definition's telling words, in another order."""
    draw = random.Random(seed)
    clear = [key for key in ports.corpus.documents() if clues.is_clear(key)]
    planted = []
    for key in draw.sample(clear, min(count, len(clear))):
        names = clues.names(key)
        said = words.content(words.masked(ports.corpus.definition(key), names, ""))
        half = draw.sample(said, max(3, len(said) // 2)) if len(said) > 3 else said
        planted.append((f"Which thing has to do with {', '.join(half)}?", names))
    clean = [(row["task"]["query"], row["task"]["names"]) for row in rows]
    return [
        measure("one search answers: half of the words, in another order",
                lambda given: asyncio.run(shortcut(ports.provider, *given)), clean, planted)
    ]  # fmt: skip


def _switched(report: str, foreign: Sequence[str], draw: random.Random) -> str:
    """In every fourth sentence of prose one or two words stand in the other language."""
    lines = []
    count = 0
    for line in report.split("\n"):
        said = words.sentences(line) if not line.startswith(("#", "|")) else [line]
        for place, sentence in enumerate(said):
            count += 1
            if count % 4 or words.length(sentence) < 8:
                continue
            at = len(sentence) // 2
            at = sentence.find(" ", at) if " " in sentence[at:] and not words.is_cjk(sentence) else at
            said[place] = f"{sentence[:at]} {draw.choice(foreign)} {sentence[at:].lstrip()}"
        lines.append(" ".join(said))
    return "\n".join(lines)
