import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judger.engines.mini.form import FormDemand, form_criterion, judge_form
from judger.engines.mini.signals import VECTOR_NAMES, FormSignals, form_signals

MARKDOWN = """# Tides and harbours

## Introduction

Tides rise twice a day in most places (Lee et al., 2019). On 4 July 2020 the gauge at Leith read 5.6 metres [1].

- **Spring tides** come at new and full moon.
- *Neap tides* come in between, see [the tables](https://example.org/tides).

| Harbour | Range |
|---|---|
| Leith | 5.6 m |
| Dover | 6.8 m |

## Conclusion

Is a tide mill worth its price? The records of 1850-1900 say so [2].

## References

1. Lee, A. (2019). Tides. https://example.org/lee
2. Moore, B. (2004). Mills. https://example.org/moore
"""
PLAIN = """Tides and harbours

Introduction

Tides rise twice a day in most places (Lee et al., 2019). On 4 July 2020 the gauge at Leith read 5.6 metres [1].

• Spring tides come at new and full moon.
• Neap tides come in between.

Conclusion

Is a tide mill worth its price? The records of 1850-1900 say so [2].
"""


def test_markdown_is_counted() -> None:
    signals = form_signals(MARKDOWN)
    assert (signals.headings, signals.bullets, signals.numbered, signals.tables) == (4, 2, 2, 1)
    assert (signals.links, signals.bold, signals.questions, signals.code_blocks) == (3, 1, 1, 0)
    assert (signals.title, signals.introduction, signals.conclusion, signals.bibliography) == (1, 1, 1, 1)
    assert signals.sources >= 3
    assert signals.dates >= 3
    assert 80 < signals.words < 100


def test_plain_text_counts_as_markdown_does() -> None:
    signals = form_signals(PLAIN)
    assert (signals.headings, signals.bullets, signals.title, signals.conclusion) == (3, 2, 1, 1)


def test_short_lines_of_a_poem_or_an_address_are_no_headings() -> None:
    assert form_signals("Ms A. Moore\n12 Quay Street\nLeith\nEH6 6QQ\n\nDear Ms Moore,\n\nthank you.").headings == 0


def test_the_styles_of_citing_are_not_added_up() -> None:
    assert form_signals("So [1], [2] and [1-3]. Also \\cite{lee, moore} and Lee (2019).").sources == 3


def test_a_source_that_is_listed_twice_is_one() -> None:
    """A policy that gives its list again must not cite more for it."""
    said = "It was opened in 1790 \\cite{registry-5}.\n\n"
    for entry in ("- {text}", "{n}. {text}", "[{n}] {text}"):
        for heading in ("## Sources", "Sources:"):
            texts = ["registry-5: The bridge, 1790", "blog-7: Bridges, 1990"]
            once = [heading, *(entry.format(n=n, text=text) for n, text in enumerate(texts, 1))]
            again = [heading, *(entry.format(n=n, text=text.upper()) for n, text in enumerate(texts, 3))]
            counted = form_signals(said + "\n".join(once)).sources
            assert form_signals(said + "\n".join([*once, "", *again])).sources == counted, (entry, heading)


def test_code_is_neither_heading_nor_list() -> None:
    signals = form_signals("Text.\n\n```python\n# comment\n- x\n```\n\n```mermaid\ngraph TD\n```\n")
    assert (signals.headings, signals.bullets, signals.code_blocks, signals.diagrams) == (0, 0, 2, 1)


def test_nothing_has_no_form() -> None:
    assert form_signals("") == FormSignals()


def test_the_vector_has_a_name_for_every_feature_and_grows_slowly() -> None:
    once, often = form_signals(MARKDOWN).vector(), form_signals(MARKDOWN * 50).vector()
    assert len(once) == len(often) == len(VECTOR_NAMES)
    assert all(abs(a - b) < 5 for a, b in zip(once, often, strict=True))


@given(st.text(alphabet="ab1 .#-*|[]()\n\t`>$\\{}:,?!", max_size=400))
@settings(max_examples=150, deadline=None)
def test_any_text_has_signals(text: str) -> None:
    assert all(value >= 0 for value in form_signals(text).vector()[:-1])


@pytest.mark.parametrize(
    ("text", "measure", "low", "high"),
    [
        ("The response cites at least 5 sources.", "sources", 5, float("inf")),
        ("stays under 500 words", "words", 0, 499),
        ("The report's length is at least 1,000 words", "words", 1000, float("inf")),
        ("The response does not exceed 300 words.", "words", 0, 300),
        ("The response exceeds 500 words", "words", 501, float("inf")),
        ("The report is 500-800 words long.", "words", 500, 800),
        ("The answer is 500 words or fewer", "words", 0, 500),
        ("contains three or more tables", "tables", 3, float("inf")),
        ("The response has no bullet points", "bullets", 0, 0),
        ("Fails to include a table", "tables", 0, 0),
        ("is written in one paragraph", "paragraphs", 1, 1),
        ("The report has between three and five sections", "headings", 3, 5),
        ("The response has a bibliography", "bibliography", 1, float("inf")),
        ("includes a table of contents", "contents", 1, float("inf")),
        ("The response lists at least 10 distinct sources", "sources", 10, float("inf")),
        ("The response uses a table (e.g., of costs).", "tables", 1, float("inf")),
        ("Lists ten references", "sources", 10, float("inf")),
        ("Lists at least three sources.", "sources", 3, float("inf")),
        ("Closes with a list of at least five references", "sources", 5, float("inf")),
        ("The report supplies at least three references.", "sources", 3, float("inf")),
        ("Provides no references whatsoever", "sources", 0, 0),
        ("There is no bibliography at all.", "bibliography", 0, 0),
        ("Cites no literature at all.", "sources", 0, 0),
        ("Opens with an abstract", "abstract", 1, float("inf")),
    ],
)
def test_a_demand_of_form_is_understood(text: str, measure: str, low: float, high: float) -> None:
    demand = form_criterion(text)
    assert demand is not None
    assert [(b.measure, b.low, b.high) for b in demand.bounds] == [(measure, low, high)]


@pytest.mark.parametrize(
    "text",
    [
        "The response contains a table of the elements.",
        "The response cites reputable sources.",
        "Links smoking to cancer.",
        "The response includes the date of the treaty.",
        "The response presents a table of business KPIs.",
        "There are two sources of income.",
        "The summary is at most 100 words",
        "Keeps each paragraph under 100 words",
        "The response is concise.",
        "The response includes more than 2 original figures.",
        "References[9]:",
        "Paul and Laura Elliott met half way round.",
        "The response names at least 3 brokers.",
        "",
    ],
)
def test_what_is_about_content_is_left_alone(text: str) -> None:
    assert form_criterion(text) is None


def test_several_measures_are_joined_by_and_or_or() -> None:
    both, either = form_criterion("uses headings and a table"), form_criterion("uses a table or an image")
    assert both is not None
    assert either is not None
    assert not both.any_of
    assert either.any_of
    signals = form_signals(MARKDOWN)
    assert (judge_form(both, signals) or 0) > 0.5
    assert (judge_form(either, signals) or 0) > 0.8


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("uses clear section headings", True),
        ("contains a table", True),
        ("cites at least 12 sources", False),
        ("stays under 500 words", True),
        ("is at least 500 words long", False),
        ("has no headings", False),
        ("includes links", True),
        ("includes an image", False),
        ("has a References section", True),
        ("includes dates", True),
    ],
)
def test_the_signals_decide(text: str, met: bool) -> None:
    demand = form_criterion(text)
    assert isinstance(demand, FormDemand)
    sure = judge_form(demand, form_signals(MARKDOWN))
    assert sure is not None
    assert sure > 0.8 if met else sure < 0.2


def test_a_long_report_takes_a_moment_and_no_torch() -> None:
    started = time.thread_time()  # of the processor: the machine may have other work
    for text in ("A-" * 2**16, "[" * 2**17, "# a\n" * 2**15, MARKDOWN * 200):
        form_signals(text)
    assert time.thread_time() - started < 30
    code = "import sys, judger.engines.mini.form; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
