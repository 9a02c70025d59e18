"""Citations resolved, and nothing hostile let through."""

from __future__ import annotations

import re
import time

import pytest

from policy.page import Facts, to_html
from policy.report import Checked, Checklist, resolve, to_markdown
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


@pytest.mark.parametrize(
    "written",
    [
        "A [mill#1].",
        "A 【mill#1】.",
        "A \\cite{mill#1;w#2}.",
        "A \\cite{mill#1， w#2}.",
        "A \\citep[see][p. 3]{mill#1}.",
        "A \\\\cite{ 'mill#1' }.",
        "A \\cite{mill}.",
        "A \\cite{mill\\#1}.",
    ],
)
def test_citations_are_read_as_models_write_them(written, sources):
    resolved = resolve(written, sources)
    assert resolved.unknown == ()
    assert to_markdown(resolved).startswith("A [1]")
    assert resolved.cited[0].text == "It grinds <b>barley</b>."


def test_an_escaped_underscore_is_one_and_several_paragraphs_are_cited_together():
    seen = Sources()
    for number in (1, 2, 3):
        seen.add(Source(f"b_c#{number}", "B", "b_c.md", f"Text {number}."))
    resolved = resolve("A \\cite{b\\_c#2} and \\cite{b\\_c#1-2}.", seen)
    assert [source.text for source in resolved.cited] == ["Text 2.", "Text 1.\n\nText 2."]
    assert "B, paragraphs 1-2." in to_markdown(resolved)


def test_code_links_and_other_brackets_are_left_alone(sources):
    report = "`[mill#1]` [ghost#1] [mill#1](x) [1]\n\n```tex\n\\cite{mill#1}\n```\n\n~~~\n[mill#1]\n~~~\n"
    assert resolve(report, sources).text == report
    assert resolve(report, sources).cited == ()


def test_a_key_that_was_shown_with_two_texts_shows_both():
    seen = Sources()
    for location, text in (("https://a.org/x", "One."), ("https://a.org/x", "Two."), ("https://b.org", "Three.")):
        seen.add(Source("x#0", "X", location, text))
    assert seen.get("x#0").text == "One.\n\nTwo.\n\nThree. (https://b.org)"


def test_the_page_says_what_was_asked_when_and_of_whom(sources):
    facts = Facts(question="Why <b>?", date="2026-11-29", model="qwen", status="forced (30 turns)")
    page = to_html(resolve("R \\cite{ghost#9}", sources), "T", facts=facts)
    for shown in ("Why &lt;b&gt;?", "2026-11-29", "qwen", "forced (30 turns)", "<code>ghost#9</code>"):
        assert shown in page


def test_a_formula_that_does_not_end_costs_its_paragraph(sources):
    page = to_html(resolve("An open \\( and\n\nthen \\(x^2\\) and\n\n\\[ y\n\\]", sources), "T")
    assert page.count("<math") == 2


def test_brackets_full_of_what_keys_have_take_no_seconds(sources):
    text = ("[a" + "#" * 800) * 500
    start = time.thread_time()
    assert resolve(text, sources).text == text
    assert time.thread_time() - start < 0.5
    many = "; ".join(["mill#1"] * 90)
    assert "[" not in resolve(f"[{many}]", sources).text


def test_mathematics_is_shown_as_such_and_money_is_not(sources):
    text = "It is $x^2$, \\(y_1\\) and costs $5 or $6. `$a$`\n\n$$\n\\frac{1}{2}\n$$"
    page = to_html(resolve(text, sources), "T")
    assert page.count("<math") == 3
    assert "costs $5 or $6" in page
    assert "<code>$a$</code>" in page
    hostile = to_html(resolve("$\\href{javascript:alert(1)}{x}$ $<script>$ $\\frac{$", sources), "T")
    assert "<a " not in hostile
    assert "<script" not in hostile


def test_pictures_of_the_workspace_are_in_the_page_and_others_are_named(sources):
    files = {"plot 1.png": b"\x89PNG\r\n\x1a\n", "page.png": b"<script>", "a.webp": b"RIFF....WAVE"}
    report = '![A "plot"](plot%201.png) ![no](page.png) ![no](https://a.org/x.png) ![no](../x.png) ![no](a.webp)'
    page = to_html(resolve(report, sources), "T", image=files.get)
    shown = '<img alt="A &quot;plot&quot;" src="data:image/png;base64,iVBORw0KGgo=">'
    assert re.findall(r"<img[^>]*>", page) == [shown]
    assert page.count("is not in the workspace") == 4


def test_a_report_that_is_too_long_to_lay_out_is_shown_as_it_is(sources):
    assert "<pre>* * *" in to_html(resolve("* " * 300_000, sources), "T")
