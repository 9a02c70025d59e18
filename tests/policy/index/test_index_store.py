"""The local index: what it reads, finds, refreshes and refuses."""

from __future__ import annotations

import sqlite3

import pytest

from policy.errors import ConfigError
from policy.index.build import build
from policy.index.store import LocalIndex


def _pdf(text: str) -> bytes:
    """The smallest PDF that says something."""
    stream = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(stream)}>>stream\n{stream}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj{body}endobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    tail = f"trailer<</Root 1 0 R/Size 6>>\nstartxref\n{len(out)}\n%%EOF\n"
    return f"{out}xref\n0 6\n0000000000 65535 f \n{table}{tail}".encode()


HTML = (
    "<html><head><title>Mill &amp; tide</title><script>var evil = 1</script></head><body><nav>Home About</nav><article>"
    "<h1>Mill</h1><p>The tidal mill grinds barley for the whole island when the moon is full and the sluice open.</p>"
    "<p>It was rebuilt by the widow Arne after the great flood had carried its wheel out to the sea.</p>"
    "</article></body></html>"
)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.md").write_text("# Harbour\n\nThe harbour froze in 1822.\n\n## Trade\n\nHerring was sold salted.\n")
    (folder / "sub" / "a.md").write_text("---\ntitle: Other harbour\n---\nIt silted up.\n")
    (folder / "mill.html").write_text(HTML)
    (folder / "light.pdf").write_bytes(_pdf("The lighthouse burns rapeseed oil"))
    (folder / "tea.txt").write_text("山谷里的茶园在春天采摘嫩芽。\n\n水车为村庄磨面。\n", encoding="utf-8")
    (folder / "latin.txt").write_bytes(
        "Das Boot fährt über die Brücke nach Süden, und die Möwen schreien.".encode("latin-1")
    )
    return folder


@pytest.fixture
def index(folder, tmp_path):
    build(tmp_path / "i.sqlite", folder)
    opened = LocalIndex.open(tmp_path / "i.sqlite")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("query", "key", "text"),
    [
        ("when did the harbour freeze", "a#1", "The harbour froze in 1822."),
        ("selling herring", "a#2", "Herring was sold salted."),
        ("lighthouse oil", "light#1", "The lighthouse burns rapeseed oil"),
        ("barley", "mill", "The tidal mill grinds barley"),
        ("茶园什么时候采摘", "tea#1", "山谷里的茶园"),
        ("水车", "tea#2", "水车为村庄磨面。"),
        ("Möwen", "latin#1", "Das Boot fährt über die Brücke"),
    ],
)
def test_every_kind_of_document_is_found_by_paragraph(index, query, key, text):
    best = index.search(query)[0].passage
    assert best.key.startswith(key)
    assert text in best.text


def test_a_document_is_read_whole_or_by_paragraph_with_its_headings(index):
    assert [p.heading for p in index.read("a")] == ["Harbour", "Trade"]
    assert [p.text for p in index.read("a#2")] == ["Herring was sold salted."]
    assert index.read("nothing") == index.read("a#9") == []


def test_scripts_and_navigation_of_a_page_are_left_out(index):
    text = " ".join(p.text for p in index.read("mill"))
    assert "evil" not in text
    assert "About" not in text
    assert index.read("mill")[0].title == "Mill & tide"


def test_equal_names_get_different_keys_that_are_safe_in_a_citation(index):
    assert index.read("sub-a")[0].title == "Other harbour"


@pytest.mark.parametrize(
    "query", ["", "   ", '"', "a OR b NEAR(", "NOT", "*", "col:x", "'); DROP TABLE words; --", "的"]
)
def test_no_query_is_syntax(index, query):
    index.search(query)
    assert index.num_passages > 5


def test_a_refresh_reads_only_what_changed_and_drops_what_is_gone(folder, tmp_path):
    path = tmp_path / "i.sqlite"
    assert build(path, folder).added == 6
    (folder / "a.md").write_text("# Harbour\n\nIt never froze.\n")
    (folder / "tea.txt").unlink()
    done = build(path, folder)
    assert (done.added, done.unchanged, done.removed) == (1, 4, 1)
    index = LocalIndex.open(path)
    assert [p.text for p in index.read("a")] == ["It never froze."]
    assert index.search("茶园") == []
    index.close()


def test_what_cannot_be_read_is_skipped_with_its_reason(folder, tmp_path):
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4 nonsense")
    (folder / "bin.txt").write_bytes(b"\0\1\2")
    (folder / "empty.html").write_text("")
    (folder / "link.md").symlink_to("/etc/passwd")
    done = build(tmp_path / "i.sqlite", folder)
    assert {name for name, _ in done.skipped} == {"bad.pdf", "bin.txt", "empty.html"}
    assert done.added == 6


def test_files_that_are_no_index_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="make one with"):
        LocalIndex.open(tmp_path / "none.sqlite")
    (tmp_path / "text").write_text("hello, this is no database at all, but long enough to look at" * 20)
    with pytest.raises(ConfigError, match="not an index"):
        LocalIndex.open(tmp_path / "text")
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(ConfigError, match="another database"):
        build(tmp_path / "other.sqlite", tmp_path)


def test_a_long_paragraph_is_split_at_sentences(folder, tmp_path):
    (folder / "long.md").write_text(" ".join(f"Sentence number {n} is here." for n in range(200)))
    build(tmp_path / "i.sqlite", folder)
    index = LocalIndex.open(tmp_path / "i.sqlite")
    passages = index.read("long")
    assert len(passages) > 3
    assert all(len(p.text) <= 1200 and p.text.endswith(".") for p in passages)
    index.close()


def test_a_file_that_can_no_longer_be_read_loses_its_old_text(folder, tmp_path):
    path = tmp_path / "i.sqlite"
    build(path, folder)
    (folder / "a.md").write_bytes(b"\0\0")
    assert build(path, folder).skipped == (("a.md", "binary, not text"),)
    index = LocalIndex.open(path)
    assert index.read("a") == []
    index.close()
