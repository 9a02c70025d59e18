"""Who is linked to whom, as a networkx graph, and the paper's rules of a subgraph (arXiv 2512.20491, section 3).

An edge A -> B says that a passage of A refers to B; `evidence` lists (passage key, words).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import networkx as nx

from train.synth import words
from train.synth.brief import Fact
from train.synth.corpus import Corpus

__all__ = ["HUB", "SEED", "SIZE", "aliases", "degree", "from_links", "from_triples", "mentions", "seeds", "subgraph"]

SEED = (3, 10)
"""Degrees of a seed, both included: enough around it, and it is not about everything."""
SIZE = (10, 40)
"""Nodes of a subgraph, both included."""
HUB = 1000
"""A node of a higher degree is a leaf: everything is linked to it, so nothing follows from it."""
_NAME = (2, 6)
"""Words of a title that is looked for in other documents, both included."""


def from_links(corpus: Corpus) -> nx.DiGraph:
    """The documents of a corpus and the links between them."""
    graph = nx.DiGraph()
    for key in corpus.documents():
        graph.add_node(key, title=corpus.title(key))
    for link in corpus.links():
        _add(graph, link.source, link.target, f"{link.source}#{link.number}", link.text)
    return graph


def mentions(corpus: Corpus, graph: nx.DiGraph) -> int:
    """Add an edge where a passage names another document's title of two words or more; how many were added.

    For corpora without links, such as PDFs. One-word titles, of three Chinese characters at the most, name too much.
    """
    titles: dict[tuple[str, ...], str] = {}
    for key in corpus.documents():
        name = tuple(words.tokens(corpus.title(key).lower()))
        if _NAME[0] <= words.length(" ".join(name)) <= _NAME[1]:
            titles.setdefault(name, key)
    sizes = sorted({len(name) for name in titles})
    before = graph.number_of_edges()
    for key in corpus.documents():
        for passage in corpus.passages(key):
            said = words.tokens(passage.text.lower())
            for at in range(len(said)):
                for size in sizes:
                    other = titles.get(tuple(said[at : at + size]))
                    if other is not None and other != key and not graph.has_edge(key, other):
                        _add(graph, key, other, passage.key, corpus.title(other))
    return graph.number_of_edges() - before


def from_triples(triples: Iterable[Fact]) -> nx.DiGraph:
    """The graph of facts that a writer has read out of passages; a node is a name."""
    graph = nx.DiGraph()
    for fact in triples:
        for name in (fact.subject, fact.object):
            graph.add_node(name, title=name)
        _add(graph, fact.subject, fact.object, fact.passage, fact.relation)
    return graph


def _add(graph: nx.DiGraph, source: str, target: str, passage: str, text: str) -> None:
    if source == target:
        return
    if graph.has_edge(source, target):
        graph.edges[source, target]["evidence"].append((passage, text))
    else:
        graph.add_edge(source, target, evidence=[(passage, text)])


def degree(graph: nx.DiGraph, node: str) -> int:
    """How many other nodes it is linked with, in either direction."""
    return len(set(graph.successors(node)) | set(graph.predecessors(node)))


def aliases(graph: nx.DiGraph, node: str) -> list[str]:
    """Its title, and the words by which others refer to it."""
    said = [text for _, _, data in graph.in_edges(node, data=True) for _, text in data["evidence"]]
    return list(dict.fromkeys([graph.nodes[node]["title"], *said]))


def seeds(graph: nx.DiGraph) -> list[str]:
    """The nodes of a degree within `SEED`, in the order of the corpus."""
    return [node for node in graph if SEED[0] <= degree(graph, node) <= SEED[1]]


def subgraph(graph: nx.DiGraph, seed: str, *, most: int = SIZE[1], hub: int = HUB) -> list[str]:
    """The nodes that a breadth-first walk from the seed comes to, in its order, at most so many; nothing is entered
    through a hub.

    They may be fewer than `SIZE[0]`: who asked drops it then.
    """
    # In an order of its own, where networkx would give that of a set, which is another one in every process.
    seen, queue = {seed: None}, deque([seed])
    while queue and len(seen) < most:
        node = queue.popleft()
        if node != seed and degree(graph, node) > hub:
            continue
        for other in (*graph.successors(node), *graph.predecessors(node)):
            if other not in seen and len(seen) < most:
                seen[other] = None
                queue.append(other)
    return list(seen)
