"""Search by meaning, with an encoder of three words."""

from __future__ import annotations

import pytest

from policy.bundled import corpus
from policy.index.build import build
from policy.index.dense import digest, load_known
from policy.index.fusion import cjk_share, text_of
from policy.index.store import LocalIndex
from tests.benchmarks import agent_search

np = pytest.importorskip("numpy")

MEANINGS = {"mill": 0, "grinder": 0, "boat": 1, "vessel": 1, "tea": 2}


class Encoder:
    """Knows that a grinder is a mill and a vessel a boat."""

    width = 4

    def __init__(self, name: str = "three-words") -> None:
        self.name = name
        self.encoded: list[str] = []

    def __call__(self, texts):
        self.encoded.extend(texts)
        rows = np.full((len(texts), self.width), 0.01, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().replace(".", " ").split():
                if word in MEANINGS:
                    row[MEANINGS[word]] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in {
        "a": "The mill is old.",
        "b": "A boat came in.",
        "c": "青石谷种茶。",
        "d": "Nothing here.",
    }.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def _best(index, query):
    return index.search(query)[0].passage.key


def test_a_paraphrase_is_found_that_shares_no_word(folder):
    index = LocalIndex.in_memory(folder, Encoder())
    assert _best(index, "which grinder") == "a#1"
    assert _best(index, "some vessel") == "b#1"
    assert LocalIndex.in_memory(folder).search("some vessel") == []


def test_chinese_is_left_to_words(folder):
    assert _best(LocalIndex.in_memory(folder, Encoder()), "种茶") == "c#1"
    assert cjk_share("种茶") == 1.0
    assert 0 < cjk_share("tea 茶") < 1
    assert cjk_share("tea") == 0.0


def test_a_refresh_encodes_only_what_is_new(folder, tmp_path):
    path, encoder = tmp_path / "i.sqlite", Encoder()
    build(path, folder, embedder=encoder)
    assert len(encoder.encoded) == 4
    (folder / "e.md").write_text("Another boat.")
    (folder / "a.md").unlink()
    build(path, folder, embedder=encoder)
    assert encoder.encoded[4:] == ["e. Another boat."]
    index = LocalIndex.open(path, Encoder())
    assert _best(index, "vessel") in ("b#1", "e#1")
    assert "a#1" not in [hit.passage.key for hit in index.search("grinder", 10)]
    index.close()


def test_vectors_of_another_encoder_are_not_used(folder, tmp_path):
    path = tmp_path / "i.sqlite"
    build(path, folder, embedder=Encoder())
    index = LocalIndex.open(path, Encoder("other"))
    assert not index.is_dense
    index.close()
    again = Encoder("other")
    build(path, folder, embedder=again)
    assert len(again.encoded) == 4


def test_the_vectors_of_the_bundled_collection_are_all_there():
    class Known(Encoder):
        name, width = "all-MiniLM-L6-v2", 384

        def __init__(self):
            self.encoded = []

    with corpus() as folder:
        known = load_known(folder / "vectors.npz", Known())
        index = LocalIndex.in_memory(folder)
    documents = {key for (key,) in index._database.execute("SELECT key FROM documents")}
    passages = [passage for key in documents for passage in index.read(key)]
    missing = [p.key for p in passages if digest(text_of(p.title, p.heading, p.text)) not in known]
    assert missing == []


def test_nine_in_ten_paraphrased_questions_find_their_paragraph_among_the_first_five():
    with corpus() as folder:
        index = LocalIndex.in_memory(folder, agent_search.StoredQueries())
    found = agent_search.ranks(index.search)
    assert agent_search.recall(found, 5) >= 0.9
    assert agent_search.recall(found, 5) > agent_search.recall(agent_search.ranks(index.candidates), 5)


def test_a_document_added_without_the_encoder_is_found_by_its_words(tmp_path):
    class Lengths:
        name, width = "lengths", 2

        def __call__(self, texts):
            import numpy as np

            return np.asarray([[1.0, 0.0] for _ in texts], dtype=np.float32)

    folder, out = tmp_path / "docs", tmp_path / "i.sqlite"
    folder.mkdir()
    (folder / "a.md").write_text("The mill grinds barley.")
    build(out, folder, embedder=Lengths())
    (folder / "b.md").write_text("A dragon guards the quarry.")
    build(out, folder)
    index = LocalIndex.open(out, Lengths())
    assert [hit.passage.key for hit in index.search("dragon quarry", 1)] == ["b#1"]
    assert {hit.passage.key for hit in index.search("barley", 5)} == {"a#1"}
    index.close()
