"""Sources that come first among equals."""

from __future__ import annotations

from importlib.resources import files

from policy.sources import Source
from policy.tools.authority import Authority
from policy.tools.search import Found


def test_hosts_cover_what_is_below_them_and_nothing_that_only_looks_alike():
    listed = Authority(["gov", "who.int", "archive/"])
    assert listed.has("https://www.nasa.gov/x")
    assert listed.has("http://apps.who.int/")
    assert listed.has("archive/diary.md")
    assert not listed.has("https://gov.example.com/")
    assert not listed.has("https://notwho.int/")
    assert not listed.has("sub/archive/diary.md")


def test_a_listed_source_passes_its_equals_but_not_its_betters():
    def found(location, score):
        return Found(Source(location, "t", location, "x"), score=score)

    results = [found("https://a.com", 1.0), found("https://b.com", 0.7), found("https://c.edu", 0.68)]
    order = [one.source.key for one in Authority(["edu"]).order(results)]
    assert order == ["https://a.com", "https://c.edu", "https://b.com"]


def test_the_built_in_list_is_read():
    listed = Authority.load(None)
    assert listed.has("https://www.legislation.gov.uk/ukpga")
    assert listed.has("https://data.stats.gov.cn/x")
    assert not listed.has("archive/scollay-diary.md")  # the demo's
    assert not listed.has("https://gov.uk.example.com/")
    rows = [line.split("\t") for line in files("policy").joinpath("prompts/authority.tsv").read_text().splitlines()]
    entries = [row for row in rows if not row[0].startswith("#")]
    assert len({row[0] for row in entries}) == len(entries) >= 600
    assert {len(row) for row in entries} == {3}
    kinds = {row[1] for row in entries}
    assert {"government", "standards", "journal", "court and law", "statistics", "encyclopedia"} <= kinds
    assert Authority.load(None).has("https://arxiv.org/abs/2512.20491")
