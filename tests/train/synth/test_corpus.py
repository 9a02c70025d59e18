"""Corpora and their graphs: FOLDOC, links, the paper's rules of seeds and subgraphs, definitions."""

from __future__ import annotations

import networkx as nx
import pytest

from train.synth import graph as graphs
from train.synth import words
from train.synth.brief import Fact
from train.synth.corpus import open_corpus
from train.synth.foldoc import NoDictionary, read_foldoc


def test_foldoc_is_read_whole_with_its_headwords_and_references(foldoc):
    assert foldoc.title("h-haskell") == "Haskell"
    assert foldoc.definition("h-haskell").startswith("a lazy purely functional language")
    links = [link for link in foldoc.links() if link.source == "h-haskell"]
    assert ("m-miranda", "Miranda") in {(link.target, link.text) for link in links}
    shown = foldoc.passages("h-haskell")[links[0].number - 1].text
    assert f"[{links[0].text}](" in shown


def test_a_dictionary_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(NoDictionary, match="apt-get install dict-foldoc"):
        read_foldoc(tmp_path)
    (tmp_path / "foldoc.dict.dz").write_bytes(b"no gzip")
    (tmp_path / "foldoc.index").write_text("a\tA\tB\n")
    with pytest.raises(NoDictionary, match="not a dictionary"):
        read_foldoc(tmp_path)


def test_seeds_have_a_degree_within_the_bounds_and_hubs_are_leaves():
    graph = nx.DiGraph()
    graph.add_node("far")
    for node in range(20):
        graph.add_edge("hub", f"n{node}", evidence=[("hub#1", "x")])
    graph.add_edge("seed", "hub", evidence=[("seed#1", "hub")])
    graph.add_edge("seed", "a", evidence=[("seed#1", "a")])
    graph.add_edge("a", "seed", evidence=[("a#1", "seed")])
    graph.add_edge("b", "seed", evidence=[("b#1", "seed")])
    for node in graph:
        graph.nodes[node]["title"] = node
    assert graphs.seeds(graph) == ["seed"]  # a link there and back is one neighbour
    assert graphs.subgraph(graph, "seed", hub=10) == ["seed", "hub", "a", "b"]
    assert len(graphs.subgraph(graph, "seed", most=12, hub=100)) == 12
    assert graphs.subgraph(graph, "far") == ["far"]


def test_a_subgraph_is_in_breadth_first_order_and_so_the_same_in_every_process():
    graph = nx.DiGraph()
    for node in range(300):
        for step in (1, 7):
            graph.add_edge(f"n{node}", f"n{(node * 3 + step) % 300}")
    found = graphs.subgraph(graph, "n5")
    assert found[:3] == ["n5", "n16", "n22"]  # itself, and what it refers to in the order of its links
    assert len(found) == len(set(found)) == graphs.SIZE[1]
    away = [nx.shortest_path_length(graph.to_undirected(as_view=True), "n5", node) for node in found]
    assert away == sorted(away)


def test_where_there_are_no_links_titles_that_are_named_are_edges(tmp_path):
    (tmp_path / "a.md").write_text("# Tidal Mill\n\nIt stands beside the Old Harbour of Skerrow.\n")
    (tmp_path / "b.md").write_text("# Old Harbour\n\nIt froze once.\n")
    corpus = open_corpus(tmp_path, tmp_path / "out")
    graph = graphs.from_links(corpus)
    assert graphs.mentions(corpus, graph) == 1
    assert graph.edges["a", "b"]["evidence"] == [("a#1", "Old Harbour")]


def test_triples_make_a_graph_of_names():
    graph = graphs.from_triples([Fact("mill", "stands in", "Skerrow", "a#1"), Fact("mill", "is", "mill", "a#1")])
    assert list(graph.edges(data=True)) == [("mill", "Skerrow", {"evidence": [("a#1", "stands in")]})]


@pytest.mark.parametrize(
    ("text", "title", "said", "kind"),
    [
        ("A [quick tongue](/f.md) made at Yale. More.", "Q", "a quick tongue made at Yale", "quick tongue"),
        ("The mill is a tidal mill that grinds barley.", "The mill", "a tidal mill that grinds barley", "tidal mill"),
        ("(PIM) The set of programs for mail.", "PIM", "the set of programs for mail", "set"),
        ("It was an odd house on a hill.", "House", "an odd house on a hill", "odd house"),
        ("Barley is grown here.", "Barley", "", ""),
        ("", "x", "", ""),
    ],
)  # fmt: skip
def test_a_definition_and_its_genus_are_read(text, title, said, kind):
    assert words.definition([text], title) == said
    assert words.genus(said) == kind


def test_names_are_whole_words_of_any_case():
    assert words.is_named("We use C++ and haskell, daily.", ["Haskell"]) == "Haskell"
    assert words.is_named("Haskelly things", ["Haskell"]) == ""
    assert words.masked("Haskell, haskell; Haskelly (HASKELL)", ["Haskell"]) == "___, ___; Haskelly (___)"
