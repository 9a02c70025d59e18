"""`search` and `open` in batches."""

from __future__ import annotations

import re

import pytest

from policy.errors import ToolError
from policy.index.store import LocalIndex, Passage
from policy.sources import Source
from policy.tools import pick
from policy.tools.authority import Authority
from policy.tools.open import OpenTool
from policy.tools.search import Found, IndexProvider, SearchTool
from tests.policy.tools.beside import needs_the_loop


@pytest.fixture
def index(tmp_path):
    (tmp_path / "mill.md").write_text("# Mill\n\nThe mill grinds barley.\n\nThe wheel is oak.\n\n" + "Long. " * 60)
    (tmp_path / "tea.md").write_text("# Tea\n\nTea is picked in spring.\n")
    return LocalIndex.in_memory(tmp_path)


async def test_queries_are_batched_and_a_passage_is_shown_once(index):
    result = await SearchTool(IndexProvider(index)).search(
        ["barley mill", "what grinds barley", "dragons", "barley mill"]
    )
    assert result.text.count("The mill grinds barley.") == 1
    assert "[mill#1] Mill, Mill (see above)" in result.text
    assert result.text.count("## ") == 3
    assert "Nothing found" in result.text
    assert {s.key for s in result.sources} == {"mill#1"} | {s.key for s in result.sources if s.key.startswith("mill")}


@pytest.mark.parametrize("queries", [[], ["  "], [f"q{n}" for n in range(9)]])
async def test_empty_and_oversized_batches_are_refused(index, queries):
    with pytest.raises(ToolError):
        await SearchTool(IndexProvider(index)).search(queries)


async def test_documents_open_whole_by_paragraph_and_by_range(index):
    tool = OpenTool(index)
    assert "[mill#2] The wheel is oak." in (await tool.open(["mill"])).text
    assert [s.key for s in (await tool.open(["mill#2"])).sources] == ["mill#2"]
    assert [s.key for s in (await tool.open(["mill#1-2", "tea"])).sources] == ["mill#1", "mill#2", "tea#1"]


async def test_what_does_not_fit_is_named_so_that_it_can_be_opened_next(index):
    result = await OpenTool(index, max_chars=60).open(["mill"])
    assert '1 more paragraphs: open "mill#3-3".' in result.text
    assert [s.key for s in result.sources] == ["mill#1", "mill#2"]


async def test_one_bad_target_does_not_spoil_the_batch_but_only_bad_ones_are_an_error(index):
    result = await OpenTool(index).open(["tea", "nothing", "mill#99", "http://example.org"])
    assert "[tea#1]" in result.text
    assert "no document 'nothing'" in result.text
    assert "99 to 99 are none of them" in result.text
    assert "web is not available" in result.text
    for target in ("nothing", f"mill#{'9' * 5000}"):  # more digits than Python makes a number of
        with pytest.raises(ToolError, match="no document"):
            await OpenTool(index).open([target])


async def test_the_rest_of_a_page_is_opened_by_its_address(tmp_path):

    class Pages:
        async def read(self, address):
            return [Passage(f"a.org-p#{n}", "Page", "https://a.org/p", "", "word " * 1000) for n in range(1, 5)]

    tool = OpenTool(None, Pages())
    shown = (await tool.open(["https://a.org/p"])).text
    again = re.search(r'open "(https://a.org/p#\d+-4)"', shown)
    assert again is not None
    assert "[a.org-p#4]" in (await tool.open([again.group(1)])).text + (await tool.open(["https://a.org/p#4"])).text


class Hosted:
    """Answers every query with the same results."""

    def __init__(self, *found):
        self.found = found

    async def search(self, query, limit):
        return [one for one in self.found if query in one.source.text][:limit]


def _found(key, text, score, location=""):
    return Found(Source(f"{key}#0", key, location or f"https://{key}", text), score=score)


async def test_what_a_hosted_search_has_shown_is_opened_by_its_key():
    class Pages:
        async def read(self, address):
            return [Passage("a.org-p#1", "Page", address, "", "All of it.")]

    shown = await SearchTool(Hosted(_found("a.org-p", "mill", 1.0, "https://a.org/p"))).search(["mill"])
    opener, offline = OpenTool(None, Pages()), OpenTool(None)
    with pytest.raises(ToolError, match="no document"):
        await opener.open(["a.org-p"])
    for source in shown.sources:
        opener.sources.add(source)
    offline.sources = opener.sources
    for target in ("a.org-p", "a.org-p#0", "a.org-p#1"):
        assert "All of it." in (await opener.open([target])).text
    with pytest.raises(ToolError, match="only what the search has shown"):
        await offline.open(["a.org-p#0"])


async def test_several_queries_for_one_thing_have_one_ranked_answer():
    provider = Hosted(*(_found(f"d{n}.org", "mill wheel" if n % 3 else "mill", 1 - n / 20) for n in range(9)))
    fused = await SearchTool(provider).search(["mill", "wheel"], results=4, together=True)
    assert [source.key[:2] for source in fused.sources] == ["d1", "d2", "d4", "d5"]  # both queries find these
    ranked = SearchTool(provider, rank=lambda queries, texts: [float(int(text[1])) for text in texts])
    best = await ranked.search(["mill", "wheel"], results=3, together=True)
    assert [source.key for source in best.sources] == ["d8.org#0", "d7.org#0", "d5.org#0"]
    assert best.text.count("[d") == 3


async def test_a_source_of_authority_below_the_cut_is_raised_above_it():
    found = [_found(f"d{n}.com", "mill", 1.0) for n in range(5)] + [_found("x.edu", "mill", 0.99)]
    result = await SearchTool(Hosted(*found), order=Authority(["edu"]).order).search(["mill"], results=5)
    assert result.sources[0].key == "x.edu#0"
    assert len(result.sources) == 5


async def test_a_goal_shows_the_paragraphs_of_a_long_document_that_have_to_do_with_it(tmp_path):
    texts = [f"Paragraph {n} speaks of the weather. " * 8 for n in range(60)]
    texts[40] += "The wheel was renewed in 1899."
    (tmp_path / "long.md").write_text("\n\n".join(texts))
    tool = OpenTool(LocalIndex.in_memory(tmp_path), max_chars=4000)
    assert "1899" not in (await tool.open(["long"])).text
    result = await tool.open(["long"], goal="When was the wheel renewed?")
    assert "[long#41]" in result.text
    assert "of its 60 paragraphs" in result.text
    assert len(result.text) < 4000


async def test_the_loop_goes_on_while_a_book_is_ranked_for_a_goal(tmp_path, monkeypatch):
    (tmp_path / "book.md").write_text("\n\n".join(f"In the year {n} salt was dear. " * 30 for n in range(700)))
    tool = OpenTool(LocalIndex.in_memory(tmp_path))
    monkeypatch.setattr(pick, "by_words", needs_the_loop(pick.by_words))
    result = await tool.open(["book"], "salt in the year 17")
    assert "book#18" in [source.key for source in result.sources]
