"""Faults planted into clean rows, and what each filter makes of both: recall on the first, loss on the second."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policy.sources import Source
from train.expert.clean import loop
from train.synth import filters, hints, words
from train.synth.brief import Brief, Dropped
from train.synth.clues import Clues
from train.synth.duplicates import near_duplicates
from train.synth.extractive import ExtractiveWriter
from train.synth.forms import Summary
from train.synth.grounds import supported
from train.synth.leaks import leak, told
from train.synth.planning import deviation
from train.synth.ports import Ports
from train.synth.repetition import repeated
from train.synth.reports import MOST_BULLETS, bulleted, lost, paragraphs
from train.synth.searching import shortcut, shown
from train.synth.verification import VERDICTS, disagreement
from train.synth.writer import Prompt, Unwritten

FOREIGN = (
    "Diese Entwicklung hat in den letzten Jahren zu einer deutlichen Zunahme der Kosten geführt, die niemand sah.",
    "Cette évolution a conduit ces dernières années à une forte augmentation des coûts que personne n'avait prévue.",
    "近年来这一发展导致成本大幅上升，超出了所有人的预期。",
    "Esta evolución ha provocado en los últimos años un fuerte aumento de los costes que nadie había previsto.",
)  # fmt: skip
ENGLISH = "This development has led to a marked rise in costs over the last few years that nobody had expected at all."
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one filter: how many planted faults it finds, how many clean rows it takes."""

    name: str
    found: int
    planted: int
    taken: int
    clean: int

    @property
    def recall(self) -> float:
        return self.found / self.planted

    @property
    def loss(self) -> float:
        return self.taken / self.clean


def measure(name: str, rule: Callable[[Any], object], clean: Sequence[Any], planted: Sequence[Any]) -> Measured:
    assert clean
    assert planted
    return Measured(
        name, sum(bool(rule(x)) for x in planted), len(planted), sum(bool(rule(x)) for x in clean), len(clean)
    )


def table(every: Sequence[Measured]) -> str:
    lines = ["| filter | planted | recall | clean | loss |", "|---|---|---|---|---|"]
    lines += [f"| {m.name} | {m.planted} | {m.recall:.2f} | {m.clean} | {m.loss:.2f} |" for m in every]
    return "\n".join(lines)


def of_texts(reports: Sequence[str], seed: int = 0) -> list[Measured]:
    """Filters of text, on real reports."""
    draw = random.Random(seed)
    chunks = [part for report in reports for part in report.split("\n\n") if len(part.split()) >= 40]
    chunks = list(dict.fromkeys(chunks))
    first = near_duplicates((str(n), part) for n, part in enumerate(chunks))
    copies = [_touched(part, draw) for part in chunks]
    rows = [
        *((f"clean {n}", part) for n, part in enumerate(chunks)),
        *((f"copy {n}", part) for n, part in enumerate(copies)),
    ]
    near = near_duplicates(rows)
    duplicates = Measured(
        "near-duplicate", sum(name.startswith("copy") for name in near), len(copies), len(first), len(chunks)
    )
    formed = [paragraphs(report) for report in reports]
    return [
        measure("language mixing", filters.mixed, reports, [_mixed(report, draw) for report in reports]),
        measure("repetition", repeated, reports, [_repeating(x, n % 2 == 0) for n, x in enumerate(reports)]),
        duplicates,
        measure("fragmented", lambda text: bulleted(text) > MOST_BULLETS, formed, [_bullets(text) for text in formed]),
        measure(
            "coverage lost", lambda pair: lost(*pair), list(zip(reports, formed, strict=True)),
            [(report, _shortened(report)) for report in reports],
        ),
        of_plans(reports),
        of_summaries(reports),
    ]  # fmt: skip


def of_plans(reports: Sequence[str]) -> Measured:
    """A task of the title and the first sentence; planted is a number, or a sentence, of the report's second half."""
    clean, planted = [], []
    for number, report in enumerate(reports):
        said = words.sentences(report)
        title = said[0]
        late = [one for one in said[len(said) // 2 :] if len(one.split()) >= 10]
        with_number = [one for one in late if any(len(x) > 1 and x not in title for x in words.numbers(one))]
        clean.append((f"Write a report: {title}", title, [report]))
        if number % 2 and with_number:
            told = next(x for x in words.numbers(with_number[0]) if len(x) > 1 and x not in title)
            planted.append((f"Write a report: {title} Say why it is {told}.", title, [report]))
        elif late:
            planted.append((f"Write a report: {title} It should say that {late[0]}", title, [report]))
    return measure("result in the task", lambda given: leak(*given), clean, planted)


def of_summaries(reports: Sequence[str]) -> Measured:
    """The extractive writer's own summaries; planted is another name, or another number."""
    clean, planted = [], []
    for number, report in enumerate(reports):
        brief = Brief(id="x", kind="x", passages=(Source("x#1", "", "", report),))
        summary = asyncio.run(ExtractiveWriter().write(Prompt("summary", brief), Summary)).summary
        text = words.plain(report)
        clean.append((summary, text))
        said = words.sentences(summary)[0].rstrip(".")
        planted.append((f"{said}, as Zembrowski says." if number % 2 else f"{said}, 48.3917 in all.", text))
    return measure("not supported by the text", lambda pair: supported(*pair), clean, planted)


def of_records(records: Sequence[Record], names: Mapping[str, Sequence[str]]) -> list[Measured]:
    """Filters of episodes, on records of the real agent."""
    plant: dict[str, tuple[Callable[[Record], str], Callable[[Record], Record]]] = {
        "not finished": (filters.unfinished, lambda r: {**r, "status": "stopped", "reason": "turns"}),
        "wrong": (lambda r: filters.wrong(r, names, None), _wrong),
        "citation not seen": (filters.unseen, _unseen),
        "loop": (loop, looping),
        "pinned to a year": (filters.pinned, _pinned),
    }
    return [
        measure(name, rule, records, [fault(copy.deepcopy(record)) for record in records])
        for name, (rule, fault) in plant.items()
    ]


def of_hints(rows: Sequence[Mapping[str, Any]]) -> Measured:
    """Episodes of reflection with the hint put back where it was; planted are three ways to repeat it."""
    clean, planted = [], []
    for number, (messages, names) in enumerate((row["messages"], row["names"]) for row in rows):
        place = next(n for n, m in enumerate(messages) if m["role"] == "assistant" and n > 2)
        told = hints.hint(f"Wrong. Expected: {names[0]}. Search on, and find out what did not fit.")
        clean.append(([*messages[:place], told, *messages[place:]], names))
        said = (f"It must be {names[0]}.", "The hint says so.", "I search on, and find out what did not fit.")[
            number % 3
        ]
        turn = {**messages[place], "content": f"{messages[place]['content']} {said}"}
        planted.append(([*messages[:place], told, turn, *messages[place + 1 :]], names))
    return measure("trace of the hint", lambda pair: hints.traces(*pair), clean, planted)


def of_questions(rows: Sequence[Mapping[str, Any]]) -> Measured:
    clean = [(row["task"]["query"], row["task"]["names"]) for row in rows]
    planted = [
        (query.replace("?", f", such as {names[0]}?").replace(".", f", as on {names[0]}.", 1), names)
        for query, names in clean
    ]
    return measure("answer in the question", lambda pair: told(*pair), clean, planted)


def of_edges(ports: Ports, count: int, seed: int = 0) -> Measured:
    """True edges, and the same with another tail that the page does not link to."""
    draw, graph = random.Random(seed), ports.graph
    edges = draw.sample(list(graph.edges), min(count, graph.number_of_edges()))
    nodes = list(graph)

    def is_hidden(edge: tuple[str, str, list[str]]) -> bool:
        one, _, said = edge
        return asyncio.run(shown(ports.provider, [ports.corpus.title(one)], said, within=one)) is None

    clean, planted = [], []
    for one, other in edges:
        said = [text for _, text in graph.edges[one, other]["evidence"]]
        clean.append((one, other, [*said, ports.corpus.title(other)]))
        false = next(node for node in draw.sample(nodes, len(nodes)) if node != one and not graph.has_edge(one, node))
        planted.append((one, false, [ports.corpus.title(false)]))
    return measure("edge not shown", is_hidden, clean, planted)


def of_verdicts(ports: Ports, clues: Clues, count: int, seed: int = 0) -> Measured:
    """Claims whose verdict is known, on the page's own passages and some others; planted is another verdict."""
    draw = random.Random(seed)
    clear = [key for key in ports.corpus.documents() if clues.is_clear(key)]
    clean, planted = [], []
    for number, key in enumerate(draw.sample(clear, min(count, len(clear)))):
        verdict = VERDICTS[number % 3]
        title, said = ports.corpus.title(key), ports.corpus.definition(key)
        if verdict == "refute":
            said = ports.corpus.definition(draw.choice([other for other in clear if other != key]))
        elif verdict == "doubtful":
            said += ", and was first made in 1851"
        others = [passage for other in draw.sample(clear, 3) for passage in ports.corpus.passages(other)[:1]]
        evidence = [*ports.corpus.passages(key)[:3], *others]
        wrong = draw.choice([other for other in VERDICTS if other != verdict])
        clean.append((f"{title} is {said}.", verdict, evidence, title))
        planted.append((f"{title} is {said}.", wrong, evidence, title))

    def rule(given: tuple[str, Any, Sequence[Source], str]) -> str:
        claim, verdict, evidence, title = given
        return asyncio.run(disagreement(claim, verdict, evidence, None, title))

    return measure("conclusion and evidence disagree", rule, clean, planted)


def of_trajectories(rows: Sequence[Mapping[str, Any]]) -> Measured:
    """Episodes that follow their plan; planted leave half of it out: of the searches and of the report."""
    clean, planted = [], []
    for row in rows:
        record = json.loads(row["record"])
        clean.append((record, row["plan"]))
        short = copy.deepcopy(record)
        parts = short["report"].split("\n\n")
        short["report"] = "\n\n".join(parts[: len(parts) // 2])
        for message in short["messages"]:
            for call in message["tool_calls"] or ():
                asked = json.loads(call["function"]["arguments"])
                if queries := asked.get("queries"):
                    keep = {part.partition(":")[0] for part in parts[: len(parts) // 2]}
                    asked["queries"] = [query for query in queries if any(query.endswith(name) for name in keep)] or [
                        "x"
                    ]
                    call["function"]["arguments"] = json.dumps(asked)
        planted.append((short, row["plan"]))
    return measure("not by the plan", lambda pair: asyncio.run(deviation(*pair, None)), clean, planted)


def of_shortcuts(ports: Ports, clues: Clues, rows: Sequence[Mapping[str, Any]], count: int, seed: int = 0) -> Measured:
    """Kept questions, and planted ones of a single hop: which thing is what its own page says it is?

    That no kept question is taken is so by construction; how many one search answers by other means is another figure.
    """
    clear = [key for key in ports.corpus.documents() if clues.is_clear(key)]
    planted = []
    for key in random.Random(seed).sample(clear, min(count, len(clear))):
        names = clues.names(key)
        said = words.masked(ports.corpus.definition(key), names, "(it)")
        planted.append((f"Which thing is {said}?", names))
    clean = [(row["task"]["query"], row["task"]["names"]) for row in rows]
    return measure(
        "one search answers", lambda given: asyncio.run(shortcut(ports.provider, *given)), clean, planted
    )  # fmt: skip


def rows_of(capability: Any, count: int) -> list[dict[str, Any]]:
    """The rows that a capability keeps of its first briefs."""
    kept = []
    for brief in capability.briefs(count):
        try:
            kept.append({"id": brief.id, "kind": capability.name, **asyncio.run(capability.make(brief))})
        except (Dropped, Unwritten):
            continue
    return kept


def _touched(text: str, draw: random.Random) -> str:
    """The text with one word in twenty-five replaced."""
    parts = text.split()
    for place in draw.sample(range(len(parts)), max(1, len(parts) // 25)):
        parts[place] = draw.choice(("also", "often", "largely", "again"))
    return " ".join(parts)


def _mixed(report: str, draw: random.Random) -> str:
    """Every sixth line of prose behind a sentence in another language."""
    cjk = sum("\u4e00" <= letter <= "\u9fff" for letter in report)
    foreign = (ENGLISH,) if cjk > len(report) / 5 else FOREIGN
    lines = [line for line in report.split("\n") if line.strip()]
    share = max(1, len(lines) // 6)
    sentences = max(2, len(report) // (6 * 110))
    for number in range(sentences):
        lines.insert(min(len(lines), (number + 1) * share), foreign[number % len(foreign)])
    return "\n".join(lines)


def _repeating(report: str, by_sentence: bool) -> str:
    said = [one for one in words.sentences(report) if words.length(one) >= 8]
    if by_sentence:
        return report + "\n\n" + " ".join([said[len(said) // 2]] * 3)
    return report + "\n\n" + report[2 * len(report) // 3 :]


def _bullets(text: str) -> str:
    return "\n".join(f"- {sentence}" for line in text.split("\n") for sentence in words.sentences(line))


def _shortened(report: str) -> str:
    return report[: 2 * len(report) // 3]


def _wrong(record: Record) -> Record:
    return {**record, "report": record["report"].rpartition("The answer is")[0] + "The answer is Zembrowski."}


def _unseen(record: Record) -> Record:
    return {**record, "report": record["report"].replace("\\cite{", "\\cite{elsewhere-", 1)}


def looping(record: Record) -> Record:
    """The first call and what it showed, a second time, under the footer of another turn."""
    call, result = copy.deepcopy(record["messages"][2:4])
    replied, observed = copy.deepcopy(record["steps"][:2])
    call["tool_calls"][0]["id"] = result["tool_call_id"] = "again"
    footer = observed["footer"].replace("[turn 1 ", "[turn 2 ")
    assert footer != observed["footer"]
    result["content"] = result["content"].removesuffix(observed["footer"]) + footer
    record["messages"][4:4] = [call, result]
    record["steps"][2:2] = [replied, {**observed, "footer": footer}]
    return record


def _pinned(record: Record) -> Record:
    function = record["messages"][2]["tool_calls"][0]["function"]
    asked = json.loads(function["arguments"])
    asked["queries"] = [f"{asked['queries'][0]} 2017", *asked["queries"][1:]]
    function["arguments"] = json.dumps(asked)
    return record
