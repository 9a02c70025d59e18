"""Citations resolved, and nothing hostile let through."""

from __future__ import annotations

import re

import pytest

from policy.report import Checked, Checklist, resolve, to_html, to_markdown
from policy.sources import Source, Sources


@pytest.fixture
def sources():
    seen = Sources()
    seen.add(Source("mill#1", "The mill", "docs/mill.md", "It grinds <b>barley</b>."))
    seen.add(Source("w#2", "Page", "https://example.org/?a=1&b=2", "Text."))
    seen.add(Source("evil#1", "</h3><script>alert(1)</script>", "javascript:alert(1)", "<img src=x onerror=alert(1)>"))
    return seen


def test_citations_are_numbered_in_order_of_appearance_and_reused(sources):
    resolved = resolve("A \\cite{w#2}. B\\cite{mill#1, w#2}. C \\cite{mill#1}.", sources)
    assert to_markdown(resolved).startswith("A [1]. B [2][1]. C [2].\n\n## Sources\n\n1. Page, paragraph 2. https://")
    assert [source.key for source in resolved.cited] == ["w#2", "mill#1"]


def test_a_key_that_was_never_read_is_marked_and_named(sources):
    markdown = to_markdown(resolve("A \\cite{ghost#1}.", sources))
    assert markdown == "A [?].\n\nCited but never read, shown as [?]: `ghost#1`.\n"


def test_every_link_of_the_page_leads_to_a_passage_and_back(sources):
    page = to_html(resolve("# T\n\nA \\cite{w#2}, again \\cite{w#2}, and \\cite{mill#1}.", sources), "T")
    targets = set(re.findall(r'id="([^"]+)"', page))
    links = re.findall(r'href="#([^"]+)"', page)
    assert len(links) == 6
    assert set(links) <= targets
    assert 'href="https://example.org/?a=1&amp;b=2"' in page


def test_the_page_needs_nothing_from_outside(sources):
    page = to_html(resolve("A \\cite{mill#1}.", sources), "T")
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\(", page)


def test_hostile_reports_and_sources_stay_text(sources):
    report = "<script>alert(1)</script> [x](javascript:alert(1)) \\cite{evil#1} \ue0009\ue001"
    checklist = Checklist(None, "<i>", (Checked("<script>", -1.0, "unscored: <b>"),))
    page = to_html(resolve(report, sources), "<title>", checklist)
    assert "<script" not in page
    assert "<img" not in page
    assert 'href="javascript' not in page
    assert "[9]" not in page


def test_the_checklist_stands_beside_the_report(sources):
    checklist = Checklist(0.75, "j1", (Checked("names | the year", 2.0, "fully_satisfied", True),))
    markdown = to_markdown(resolve("R", sources), checklist)
    assert "Reward: 0.750. Judge: j1." in markdown
    assert "| fully satisfied | 2 | names / the year |" in markdown
    assert "names | the year" in to_html(resolve("R", sources), "T", checklist)


def test_a_flaw_that_is_there_is_shown_as_bad_and_one_that_is_not_as_good():
    rows = (
        Checked("asks", 2, "fully_satisfied", True),
        Checked("lies", -2, "fully_satisfied", True),
        Checked("repeats", -1, "not_satisfied"),
    )
    page = to_html(resolve("Text.", Sources()), "q", Checklist(0.0, "j", rows))
    assert re.findall(r'<tr class="(\w+)">', page) == ["good", "bad", "good"]
