"""Questions over walks: begin at a page told by its definition, and follow its links to pages told by their kind.

Each step has one way: of the pages that a page refers to, one alone is of that kind (arXiv 2512.20491, section 3).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from policy.sources import Source
from train.synth import graph as graphs
from train.synth import words
from train.synth.brief import REFERS, Brief, Dropped, Fact
from train.synth.clues import Clues
from train.synth.definitions import genus
from train.synth.ports import Ports
from train.synth.searching import shown
from train.synth.subgraphs import LEAK, ONE_SEARCH, UNSOLVED, UNTOLD, asked_of

__all__ = ["Walks"]

STEPS = (2, 3)
"""How many a walk has."""


def _words(passage: Source, said: Sequence[str]) -> str:
    return words.is_named(words.plain(passage.text), said)


class Walks:
    """One question a starting page."""

    name = "walks"
    filters = ("no clear walk", "edge not shown", "unreadable", LEAK, UNTOLD, ONE_SEARCH, UNSOLVED)

    def __init__(self, ports: Ports, clues: Clues) -> None:
        self._ports, self._clues = ports, clues

    def briefs(self, count: int) -> Sequence[Brief]:
        clear = filter(self._clues.is_clear, graphs.seeds(self._ports.graph))
        return self._ports.briefs(self.name, "walk", clear, count, draw="starts")

    async def make(self, brief: Brief) -> Mapping[str, Any]:
        ports, start = self._ports, brief.source
        path = self._walk(start)
        names = self._clues.names(path[-1])
        facts, passages = [], list[Source]()
        for one, other in itertools.pairwise(path):
            said = [text for _, text in ports.graph.edges[one, other]["evidence"]]
            found = await shown(ports.provider, self._clues.names(one), [*said, *self._clues.names(other)], within=one)
            if found is None:
                raise Dropped("edge not shown", f"{one} -> {other}")
            facts.append(
                Fact(ports.corpus.title(one), REFERS, ports.corpus.title(other), found.key, _words(found, said))
            )
            passages.append(found)
        clues = [self._clues.clue(start, names)]
        clues += [
            Fact(ports.corpus.title(node), "is a kind of", self._called(node), ports.corpus.passages(node)[0].key)
            for node in path[1:]
        ]
        written = Brief(
            id=brief.id, kind=self.name, source=path[-1], facts=(*facts, *clues),
            passages=(*passages, *(ports.corpus.passages(node)[0] for node in path)),
            answer=ports.corpus.title(path[-1]), names=tuple(names),
        )  # fmt: skip
        return await asked_of(written, "walk", ports, {"steps": len(path) - 1})

    def _walk(self, start: str) -> list[str]:
        """A path along links, each the only one to a page of its kind. Hubs end no step: everything leads to them."""
        draw, graph = self._ports.draw("walk", start), self._ports.graph
        wanted = draw.randint(*STEPS)
        path = [start]
        while len(path) <= wanted:
            kinds: dict[str, list[str]] = {}
            for node in graph.successors(path[-1]):
                kinds.setdefault(self._kind(node).lower(), []).append(node)
            onward = [
                nodes[0]
                for kind, nodes in kinds.items()
                if kind and len(nodes) == 1 and nodes[0] not in path and graphs.degree(graph, nodes[0]) <= graphs.HUB
                and not words.is_named(kind, self._clues.names(nodes[0]))
            ]  # fmt: skip
            # The last page must not stand on the first: then the walk could be cut short.
            onward = [node for node in onward if len(path) == 1 or not graph.has_edge(start, node)]
            if not onward:
                break
            telling = [node for node in onward if " " in self._kind(node)]  # "functional language", not "set"
            # The rarer half: what everything refers to is named on any page, and so found by any search.
            rare = sorted(telling or onward, key=lambda node: graphs.degree(graph, node))
            path.append(draw.choice(rare[: (len(rare) + 1) // 2]))
        if len(path) <= STEPS[0]:
            raise Dropped("no clear walk", f"{len(path) - 1} steps from {start}")
        return path

    def _kind(self, node: str) -> str:
        return genus(self._ports.corpus.definition(node))

    def _called(self, node: str) -> str:
        """The kind with the article that its definition has."""
        said, kind = self._ports.corpus.definition(node), self._kind(node)
        return said[: said.find(kind) + len(kind)]
