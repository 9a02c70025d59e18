"""Questions over subgraphs: which page refers to all of these, each told by its definition.

Seeds, sizes and the search for each edge are those of arXiv 2512.20491, section 3.

What is asked has one answer: no other page is linked to all of them, and a search for their names shows no other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from policy.sources import Source
from train.synth import graph as graphs
from train.synth import words
from train.synth.brief import REFERS, Brief, Dropped, Fact
from train.synth.clues import Clues
from train.synth.definitions import genus
from train.synth.forms import Asked
from train.synth.grounds import strays, supported, untold
from train.synth.leaks import told
from train.synth.ports import Ports
from train.synth.searching import shortcut, shown
from train.synth.seeking import seek
from train.synth.writer import Prompt

__all__ = ["Subgraphs", "asked_of", "seeking_text", "unlike"]

CLUES = (2, 4)
"""How many a question has."""
LEAK, ONE_SEARCH, UNSOLVED = "answer in the question", "one search answers", "not solved by the agent"
UNTOLD = "not what the facts say"
_NUMBERED = re.compile(r"\(\d{1,2}\)")


class Subgraphs:
    """One question a seed."""

    name = "subgraphs"
    filters = (
        "small subgraph", "few clues", "not unique", "edge not shown", "another page names them all", "unreadable",
        LEAK, UNTOLD, ONE_SEARCH, UNSOLVED,
    )  # fmt: skip

    def __init__(self, ports: Ports, clues: Clues) -> None:
        self._ports, self._clues = ports, clues

    def briefs(self, count: int) -> Sequence[Brief]:
        return self._ports.briefs(self.name, "subgraph", graphs.seeds(self._ports.graph), count, draw="seeds")

    async def make(self, brief: Brief) -> Mapping[str, Any]:
        ports, seed = self._ports, brief.source
        around = graphs.subgraph(ports.graph, seed)
        if len(around) < graphs.SIZE[0]:
            raise Dropped("small subgraph", f"{len(around)} nodes around {seed}")
        answer, others = self._choose(around, seed)
        names = self._clues.names(answer)
        facts, passages = await self._shown(answer, others, names)
        clues = [self._clues.clue(other, names) for other in others]
        await self._alone(answer, others)
        written = Brief(
            id=brief.id, kind=self.name, source=answer, facts=(*facts, *clues), answer=ports.corpus.title(answer),
            passages=(*passages, *(ports.corpus.passages(other)[0] for other in others)), names=tuple(names),
            asked=genus(ports.corpus.definition(answer)),
        )  # fmt: skip
        return await asked_of(written, "subgraph", ports, {"subgraph": len(around)})

    def _choose(self, around: Sequence[str], seed: str) -> tuple[str, list[str]]:
        """An answer and the pages it refers to that no other page refers to all of: a proof over the whole graph."""
        graph, draw = self._ports.graph, self._ports.draw("clues", seed)
        reason = f"nothing around {seed} refers to two pages with a definition"
        nodes = list(around[1:])
        draw.shuffle(nodes)
        is_clear_anywhere = False
        for answer in [seed, *nodes[:6]]:
            pool = [
                node
                for node in graph.successors(answer)
                if node in around and self._clues.is_clear(node) and graphs.degree(graph, node) <= graphs.HUB
            ]
            if len(pool) < CLUES[0] or graphs.degree(graph, answer) > graphs.HUB:
                continue
            is_clear_anywhere = True
            draw.shuffle(pool)
            for size in range(CLUES[0], min(CLUES[1], len(pool)) + 1):
                chosen = pool[:size]
                if set.intersection(*(set(graph.predecessors(node)) for node in chosen)) == {answer}:
                    return answer, chosen
        if is_clear_anywhere:
            raise Dropped("not unique", f"several pages refer to the same things around {seed}")
        raise Dropped("few clues", reason)

    async def _shown(self, answer: str, others: Sequence[str], names: Sequence[str]) -> tuple[list[Fact], list[Source]]:
        """Each edge as a fact with the passage that a search shows for it; the passage enriches the brief."""
        ports, facts, passages = self._ports, [], []
        for other in others:
            said = [text for _, text in ports.graph.edges[answer, other]["evidence"]]
            found = await shown(ports.provider, names, [*said, *self._clues.names(other)], within=answer)
            if found is None:
                raise Dropped("edge not shown", f"{answer} -> {other}")
            facts.append(Fact(ports.corpus.title(answer), REFERS, ports.corpus.title(other), found.key))
            passages.append(found)
        return facts, passages

    async def _alone(self, answer: str, others: Sequence[str]) -> None:
        """No other page names them all, linked or not, as far as a search for their names shows."""
        ports = self._ports
        named = [self._clues.names(other) for other in others]
        for found in await ports.provider.search(" ".join(ports.corpus.title(other) for other in others), 10):
            document = found.source.key.partition("#")[0]
            if document in (answer, *others):
                continue
            text = " . ".join(words.plain(one.text) for one in ports.corpus.passages(document))
            if all(words.is_named(text, some) for some in named):
                raise Dropped("another page names them all", document)


async def asked_of(brief: Brief, prompt: str, ports: Ports, values: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a brief whose facts are settled: question, filters of what it gives away, an episode that answers."""
    question = (await ports.writer.write(Prompt(prompt, brief), Asked)).question
    if name := told(question, brief.names):
        raise Dropped(LEAK, f"{name!r} in {question[:120]!r}")
    if reason := unlike(question, brief):
        raise Dropped(UNTOLD, reason)
    if ports.drop_shortcuts and (key := await shortcut(ports.provider, question, brief.names)):
        raise Dropped(ONE_SEARCH, f"{key} answers {question[:120]!r}")
    row: dict[str, Any] = {
        "task": {
            "id": brief.id,
            "query": question,
            "answer": brief.answer,
            "names": list(brief.names),
            "criteria": [{"id": "answer", "text": f"Says that the answer is {brief.answer}.", "weight": 5}],
        },
        "text": seeking_text(brief, question),
        "written": question,
        "source": brief.source,
        "passages": [one.key for one in brief.passages],
        "facts": [[fact.subject, fact.relation, fact.object, fact.passage, fact.words] for fact in brief.facts],
        **values,
    }
    if ports.shared is not None:
        episode = await seek(brief, question, ports)
        if episode is None:
            raise Dropped(UNSOLVED, f"{brief.answer} is not found by its clues")
        row.update(episode)
    return row


def unlike(question: str, brief: Brief) -> str:
    """How a question does not ask what its brief says: other words, a clue left out, a name or number of its own."""
    said = [fact.object for fact in brief.facts if fact.relation != REFERS]
    given = "\n".join([brief.asked, *said, *(f"{one.title}. {words.plain(one.text)}" for one in brief.passages)])
    if reason := strays(question, given):
        return reason
    pages = {one.key: words.plain(one.text) for one in brief.passages}
    clues = [fact for fact in brief.facts if fact.relation != REFERS]
    if clue := untold(question, [f"{fact.object} {pages.get(fact.passage, '')}".strip() for fact in clues]):
        return f"nothing is told of {clue[:80]!r}"
    return supported(_NUMBERED.sub("", question), given)


def seeking_text(brief: Brief, question: str) -> str:
    """The question with its passages, the steps and the answer, for mid-training without tools."""
    shown = dict.fromkeys(f"[{one.key}] {one.title}: {words.plain(one.text)}" for one in brief.passages)
    steps = [f"{fact.subject} {fact.relation} {fact.object} \\cite{{{fact.passage}}}." for fact in brief.facts]
    return "\n".join([*shown, f"Question: {question}", *steps, f"Answer: {brief.answer}"])
