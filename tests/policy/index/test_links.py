"""The links table of the index: who refers to whom, from which passage."""

from __future__ import annotations

import sqlite3

import pytest

from policy.errors import ConfigError
from policy.index.build import build
from policy.index.links import Link
from policy.index.store import LocalIndex

MILL = (
    "<html><head><title>Mill</title></head><body><nav><a href='a.md'>Home</a></nav><article><p>The tidal mill grinds "
    "barley for the island, and its sluice is older than <a href='sub/b.md'>the old harbour</a> by a century.</p>"
    "<p>It was rebuilt by the widow Arne after the great flood had carried its wheel out to the sea.</p>"
    "</article></body></html>"
)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.md").write_text(
        "# A\n\nNothing here.\n\nSee [the harbour](sub/b.md#depth), [elsewhere](https://example.org/b.md), "
        "[itself](a.md), ![a picture](sub/b.md) and [nothing](sub/none.md).\n"
    )
    (folder / "sub" / "b.md").write_text("# B\n\nIt is older than [the first](../a.md).\n")
    (folder / "mill.html").write_text(MILL)
    return folder


def links(path):
    index = LocalIndex.open(path)
    try:
        return index.links()
    finally:
        index.close()


def test_links_within_the_folder_are_kept_with_the_passage_that_holds_them(folder, tmp_path):
    build(tmp_path / "i.sqlite", folder)
    assert links(tmp_path / "i.sqlite") == [
        Link("a", 2, "sub-b", "the harbour"),
        Link("mill", 1, "sub-b", "the old harbour"),
        Link("sub-b", 1, "a", "the first"),
    ]


def test_a_refresh_follows_what_changed(folder, tmp_path):
    build(tmp_path / "i.sqlite", folder)
    (folder / "sub" / "b.md").write_text("# B\n\nIt stands alone.\n")
    (folder / "mill.html").unlink()
    build(tmp_path / "i.sqlite", folder)
    assert links(tmp_path / "i.sqlite") == [Link("a", 2, "sub-b", "the harbour")]


def test_an_index_of_before_the_table_can_be_searched_and_has_links_after_a_refresh(folder, tmp_path):
    path = tmp_path / "i.sqlite"
    build(path, folder)
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE links")
    database.close()
    index = LocalIndex.open(path)
    assert index.search("widow")[0].passage.title == "Mill"
    with pytest.raises(ConfigError, match="refresh it"):
        index.links()
    index.close()
    assert build(path, folder).unchanged == 0
    assert len(links(path)) == 3
