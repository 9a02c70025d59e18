"""What every capability works with, and the shape that all of them have."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import networkx as nx

from policy.config import Settings
from policy.kit import Shared
from policy.tools.search import Provider
from train.synth.brief import Brief
from train.synth.checker import Checker
from train.synth.corpus import IndexCorpus
from train.synth.writer import Writer

__all__ = ["Capability", "Ports", "Row"]

Row = dict[str, Any]
"""What a capability makes of a brief: `text`, `messages` with `tools`, `task`, or several of them, each for its use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Corpus, graph, search, writer; the judge where there is one, and the agent where episodes are run."""

    corpus: IndexCorpus
    graph: nx.DiGraph
    provider: Provider
    writer: Writer
    checker: Checker | None = None
    shared: Shared | None = None
    settings: Settings = field(default_factory=Settings)
    work: Path = Path("work")
    """Where episodes have their workspaces."""
    seed: int = 0
    drop_shortcuts: bool = True
    """Off, questions that one search answers are kept: to measure how many there are."""

    def draw(self, *about: str) -> random.Random:
        """Random numbers that depend on the seed and on what they are for, and on nothing done before."""
        return random.Random("\0".join((str(self.seed), *about)))

    def briefs(self, kind: str, prefix: str, keys: Iterable[str], count: int, *, draw: str) -> list[Brief]:
        """Briefs on `count` of the documents, or on all there are, in the order that is drawn for `draw`."""
        drawn = list(keys)
        self.draw(draw).shuffle(drawn)
        return [Brief(id=f"{prefix}-{key}", kind=kind, source=key) for key in drawn[:count]]


class Capability(Protocol):
    """One kind of data."""

    @property
    def name(self) -> str: ...

    @property
    def filters(self) -> Sequence[str]:
        """Its filters, in the order in which they object."""
        ...

    def briefs(self, count: int) -> Sequence[Brief]:
        """At most so many things to write about, the same ones each time."""
        ...

    async def make(self, brief: Brief) -> Mapping[str, Any]:
        """The row. Raises Dropped where a filter objects, Unwritten where the writer gives nothing that can be read."""
        ...
