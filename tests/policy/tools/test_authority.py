"""Sources that come first among equals."""

from __future__ import annotations

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
    assert Authority.load(None).has("https://arxiv.org/abs/2512.20491")
