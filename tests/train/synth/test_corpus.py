"""Corpora and their graphs: FOLDOC, links, the paper's rules of seeds and subgraphs, definitions."""

from __future__ import annotations

import networkx as nx
import pytest

from policy.index import tokens as index_tokens
from policy.index.fusion import cjk_share
from policy.workspace import words as copied
from train.synth import graph as graphs
from train.synth import words
from train.synth.brief import Fact
from train.synth.corpus import open_corpus
from train.synth.definitions import definition, genus
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
        ("Haskell（1990）是一种惰性的语言，由委员会设计。", "Haskell", "一种惰性的语言，由委员会设计", "语言"),
        ("潮汐磨坊是利用潮水的机器。", "潮汐磨坊", "利用潮水的机器", "机器"),
        ("大麦在这里种植得很多。", "大麦", "", ""),
        ("", "x", "", ""),
    ],
)  # fmt: skip
def test_a_definition_and_its_genus_are_read(text, title, said, kind):
    assert definition([text], title) == said
    assert genus(said) == kind


def test_names_are_whole_words_of_any_case():
    assert words.is_named("We use C++ and haskell, daily.", ["Haskell"]) == "Haskell"
    assert words.is_named("Haskelly things", ["Haskell"]) == ""
    assert words.masked("Haskell, haskell; Haskelly (HASKELL)", ["Haskell"]) == "___, ___; Haskelly (___)"


def test_chinese_is_read_by_its_characters_of_which_two_count_as_a_word():
    text = "成本上升了12%，与 BYD 有关。"
    assert words.length(text) == 7
    assert words.numbers(text) == ["12%"]
    assert words.is_named("答案是北京。", ["北京"]) == "北京"
    assert words.masked("在北京用Haskell写", ["北京", "Haskell"]) == "在___用___写"
    assert words.content("成本的上升") == ["成本", "上升"]
    assert words.ngrams("成本上升 BYD", 3) == [("成", "本", "上", "升", "byd")]
    assert words.short("一种惰性的函数式语言，由委员会设计", 6) == "一种惰性的函数式语言 …"
    assert not words.is_cjk("BYD (比亚迪) sells cars in many countries")
    assert words.is_cjk("比亚迪在多个国家销售 BYD 汽车")


def test_all_that_reads_chinese_reads_the_same_letters():
    for letter in "あア㐀一鿿豈":
        text, said = f"x1{letter}y2", ["x1", letter, "y2"]
        assert words.tokens(text) == said
        assert index_tokens.query_terms(text) == said
        assert cjk_share(letter) == 1.0
        assert letter in [one.word for one in copied.tokens(text)]
    # A Latin name between Chinese words is searched for as the index has it.
    text = "用BYD电池的车"
    assert set(index_tokens.query_terms(text)) <= set(index_tokens.segment(text).lower().split())
    assert "byd" in index_tokens.query_terms(text)


@pytest.mark.parametrize(
    "report",
    [
        "Arwick is near.\n\nThe answer is Belmere.",
        "So it is:\n\nBelmere.\n\n## Sources\n\n[1] Arwick, a page",
        "Belmere it is.\n\n**References:**\n1. Arwick\n\n2. Cornant",
    ],
)
def test_a_report_ends_in_what_its_last_paragraph_says_before_its_sources(report):
    assert words.ends_in(report, ["Belmere"]) == "Belmere"
    assert words.ends_in(report, ["Arwick"]) == ""
    assert words.ends_in("", ["Arwick"]) == ""
