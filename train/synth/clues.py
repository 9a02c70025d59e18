"""A thing told by its definition instead of its name: what the questions of subgraphs and walks are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from train.synth import graph as graphs
from train.synth import words
from train.synth.brief import IS, Fact
from train.synth.ports import Ports

__all__ = ["Clues"]

_LEAST, _MOST = 6, 40
"""Words of a definition that can be a clue, and how many of them are shown."""


class Clues:
    """The definitions of a corpus, each of which belongs to one document alone."""

    def __init__(self, ports: Ports) -> None:
        self._corpus, self._graph = ports.corpus, ports.graph
        self._counts = Counter(self._corpus.definition(key) for key in self._corpus.documents())

    def is_clear(self, document: str) -> bool:
        """Whether it has a definition of some length that no other document shares."""
        said = self._corpus.definition(document)
        return words.length(said) >= _LEAST and self._counts[said] == 1

    def names(self, document: str) -> list[str]:
        """How it is called, in its title and where others refer to it."""
        return graphs.aliases(self._graph, document)

    def clue(self, document: str, hidden: Sequence[str] = ()) -> Fact:
        """Its definition, with its own names and the `hidden` ones masked, and one thing in it told by its own."""
        own = self.names(document)
        said = words.short(self._corpus.definition(document), _MOST)
        said = words.masked(words.masked(said, own, "(it)"), hidden, "(…)")
        said = self._nested(document, said, [*own, *hidden])
        return Fact(self._corpus.title(document), IS, said, self._corpus.passages(document)[0].key)

    def _nested(self, document: str, said: str, hidden: Sequence[str]) -> str:
        """The entity in a definition that is linked and defined itself, replaced by that definition."""
        for other in self._graph.successors(document):
            named = [text for _, text in self._graph.edges[document, other]["evidence"]]
            inner = self._corpus.definition(other)
            if not inner or not self.is_clear(other) or not words.is_named(said, named):
                continue
            inner = words.masked(words.masked(words.short(inner, 14), self.names(other), "(it)"), hidden, "(…)")
            for name in sorted(named, key=len, reverse=True):
                replaced = words.masked(said, [name], f"[{inner}]")
                if replaced != said:
                    return replaced
        return said
