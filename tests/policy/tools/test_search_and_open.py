"""`search` and `open` in batches."""

from __future__ import annotations

import re

import pytest

from policy.errors import ToolError
from policy.index.store import LocalIndex
from policy.tools.open import OpenTool
from policy.tools.search import IndexProvider, SearchTool


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
    with pytest.raises(ToolError, match="no document"):
        await OpenTool(index).open(["nothing"])


async def test_the_rest_of_a_page_is_opened_by_its_address(tmp_path):
    from policy.index.store import Passage

    class Pages:
        async def read(self, address):
            return [Passage(f"a.org-p#{n}", "Page", "https://a.org/p", "", "word " * 1000) for n in range(1, 5)]

    tool = OpenTool(None, Pages())
    shown = (await tool.open(["https://a.org/p"])).text
    again = re.search(r'open "(https://a.org/p#\d+-4)"', shown)
    assert again is not None
    assert "[a.org-p#4]" in (await tool.open([again.group(1)])).text + (await tool.open(["https://a.org/p#4"])).text
