"""Flaws and requirements that counts decide: how a report cites, what it says twice, what it has none of, mentions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judger.engines.mini.citing import read_citing
from judger.engines.mini.counts import Counts
from judger.engines.mini.facts import Facts
from judger.engines.mini.known import known
from judger.engines.mini.mentions import mentioned
from judger.engines.mini.needs import capped, needs
from judger.engines.mini.rules import NO, ruled

BARE = "Heat pumps move heat.\n\nThey need power."
CITED = "Heat pumps move heat [1]. They need power[2].\n\n## References\n[1] Lee, A. (2020). Heat.\n[2] https://a.example/b\n"
LISTED = "Heat pumps move heat.\n\n### Sources\n- Lee, A. (2020). Heat.\n- Kim, B. (2019). Power.\n"
LEFTOVER = CITED + "[3] Park, C. (2018). Cold.\n"
TWICE = CITED + "[3] Lee, A. (2020). Heat: https://a.example/b#top\n"


@pytest.mark.parametrize(
    ("report", "marks", "entries"),
    [
        ("Moved heat [1] and more [2, 4-6].", 5, 0),
        ("Moved heat[3] at night.[4] But x[0] is code.", 2, 0),
        ("Moved heat [^1].\n\n[^1]: Lee, Heat, 2020.", 1, 1),
        ("Moved heat (Lee, 2020), as Kim et al. (2019) found.", 2, 0),
        ("Moved heat 【1†source】.", 1, 0),
        ("Moved heat \\cite{lee2020}.", 1, 0),
        ("Moved heat (Source: Energy Agency, annual report).", 1, 0),
        ("Moved heat.\n\nCitation: [4] Lee, A. (2020). Heat.\n\nMore.", 0, 1),
        ("Moved heat.\n\n**References:** https://a.example/x https://b.example/y", 0, 2),
        ("Moved heat.\n\nReferences: [1] Lee, Heat. [2] Kim, Power. [3] Park, Cold.", 0, 3),
        ("Moved heat [1].\n\n[1] https://a.example/x\n[2] https://b.example/y", 1, 2),
        ("Moved heat.\n\n## Further reading\n- Lee, Heat.\n\n## Outlook\nMore heat.", 0, 1),
        ("The sources of heat are many. References to cold are few.", 0, 0),
    ],
)
def test_citations_are_counted_as_models_write_them(report: str, marks: int, entries: int) -> None:
    found = read_citing(report)
    assert (found.marks, len(found.entries)) == (marks, entries)


@pytest.mark.parametrize(
    ("first", "second", "repeated"),
    [
        ("https://a.example/b", "http://www.a.example/b/#top", 1),
        ("https://a.example/b?utm_source=x", "https://a.example/b", 1),
        ("https://a.example/b?utm_source=x&v=1", "https://a.example/b?v=1&utm_medium=y", 1),
        ("https://a.example/watch?v=1", "https://a.example/watch?v=2", 0),
        ("https://a.example/b", "https://a.example/c", 0),
    ],
)
def test_two_addresses_of_one_page_are_one_source(first: str, second: str, repeated: int) -> None:
    assert read_citing(f"Heat.\n\n## References\n- {first}\n- {second}\n").repeated == repeated


@pytest.mark.parametrize(
    ("text", "report", "answer"),
    [
        ("Cites nothing.", BARE, True),
        ("Cites nothing.", LISTED, False),
        ("Supplies no scholarly source at all.", BARE, True),
        ("Offers neither links nor references for what it reports", CITED, False),
        ("Makes its claims without citing a single source.", BARE, True),
        ("No sources are given by which its figures could be checked.", CITED, False),
        ("The listed works are never tied to any statement in the body.", LISTED, True),
        ("The listed works are never tied to any statement in the body.", CITED, False),
        ("Several listed sources are never used in the text.", LEFTOVER, True),
        ("Several listed sources are never used in the text.", CITED, False),
        ("Lists the same source twice.", TWICE, True),
        ("Lists the same source twice.", CITED, False),
        ("The reference list consists of bare links.", "A [1].\n\n[1] https://a.example/x", True),
        ("The reference list consists of bare links.", LISTED, False),
        ("Leaves gaps in the numbering of its source list.", "A [1].\n\n[1] Lee\n[2] Kim\n[5] Park", True),
        ("Opens with chatty filler.", "Certainly! Here is what you asked.\n\nHeat moves.", True),
        ("Opens with chatty filler.", BARE, False),
        (
            "Whole sentences recur unchanged.",
            "The pump moves heat to the room. So. The pump moves heat to the room.",
            True,
        ),
        ("Whole sentences recur unchanged.", BARE, False),
        ("Says a sentence twice.", "It was built in 1784. It is of oak. It was built in 1784.", True),
        ("Says a sentence twice.", "**How it earns.** By rent.\n\n**How it earns.** By fees.", False),
        ("Says a sentence twice.", "- Costs: none\n- Costs: none\n\nYes. It is. Yes.", False),
        ("Says a sentence twice.", "A [1].\n\n## Sources\n[1] Lee. John Wiley Sons.\n[2] Kim. John Wiley Sons.", False),
        ("Prints the same section title twice in a row", "## Heat\n\n## Heat\n\nIt moves.", True),
    ],
)
def test_what_can_be_counted_is_counted(text: str, report: str, answer: bool) -> None:
    found = ruled(text, Counts.of(report))
    assert found is not None
    assert (found > 0.5) is answer


@pytest.mark.parametrize(
    "text",
    [
        "Supplies no literature on heat exchangers.",
        "The section on costs carries no citation.",
        "Cites a paper whose title has nothing to do with heat.",
        "Says nothing about power sources.",
        "Claims that heat pumps create energy.",
        "Repeats the same argument.",
    ],
)
def test_what_is_about_a_part_or_about_content_is_read(text: str) -> None:
    assert ruled(text, Counts.of(BARE)) is None


@pytest.mark.parametrize(
    "text",
    [
        "Sums up the costs of both systems in a table.",
        "Backs its estimates with published sources.",
        "The response closes with a list of references on heat pumps.",
        "Includes Python code for the controller.",
        "Individual statements in the body are tied to numbered sources.",
        "Gives 1892 as the year of opening.",
        "States that the firm was founded on 1 March 2003.",
    ],
)
def test_a_requirement_is_not_met_where_what_it_needs_is_not_there(text: str) -> None:
    counts = Counts.of(BARE)
    assert not any(need.is_met for need in needs(text, counts))
    said = capped(np.array([0.1, 0.2, 0.7], np.float32), text, counts)
    assert said[2] == pytest.approx(NO)
    assert said.sum() == pytest.approx(1.0)
    assert said[1] == pytest.approx(2 * said[0], rel=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "Sums up the costs in a table or a list.",
        "Names the main sources of heat loss.",
        "All hyperlinks (if used) work.",
        "Explains citation cartels.",
        "Discusses tables of elements.",
        "References the oil crisis of 1973.",
        "Covers what has changed since 2019.",
        "Names an early model (e.g., that of 1931).",
        "Says that it costs about 700 euros.",
        "Says that it costs 12,500 euros.",  # it may be written in another way
        "Gives 1892 or 1893 as the year of opening.",
    ],
)
def test_a_requirement_of_content_or_with_an_alternative_needs_nothing_countable(text: str) -> None:
    assert needs(text, Counts.of(BARE)) == []


def test_what_is_there_is_read_all_the_same() -> None:
    said = np.array([0.1, 0.2, 0.7], np.float32)
    assert capped(said, "Backs its estimates with published sources.", Counts.of(CITED)) is said
    assert capped(said, "Gives 2020 as the year of Lee's book.", Counts.of(CITED)) is said
    assert capped(said, "Says that it costs 1200 euros.", Counts.of("It costs 1,200 euros.")) is said
    assert capped(said, "Gives 1892 as the year of opening.", Counts.of("Opened on 12.05.1892.")) is said


UNITS = ("Propane and ammonia cool.", "R-32 is common.", "Does the text mention butane")


def facts() -> Facts:
    text = "\n".join(UNITS)
    starts = np.cumsum([0, *(len(unit) + 1 for unit in UNITS)])[:-1]
    return Facts.of(text, np.array([(a, a + len(u)) for a, u in zip(starts, UNITS, strict=True)], np.int32))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Mentions propane", True),
        ("The response mentions ammonia by name.", True),
        ("Names the Montreal Protocol", False),
        ("Mentions how propane cools", None),
        ("Mentions at least two refrigerants", None),
        ("Mentions gradual market saturation", None),
        ("Explains propane", None),
    ],
)
def test_a_mention_is_found_by_its_words(text: str, answer: bool | None) -> None:
    sure = mentioned(text, facts(), np.array([0.5, 0.4, -1.0], np.float32))
    assert (None if sure is None else sure > 0.5) is answer


def test_a_unit_that_only_repeats_the_criterion_mentions_nothing() -> None:
    assert (mentioned("Mentions butane", facts(), np.array([0.5, 0.4, 0.9], np.float32)) or 0) > 0.5
    assert mentioned("Mentions butane", facts(), np.array([0.5, 0.4, -1.0], np.float32)) is None


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_has_counts_and_any_criterion_an_answer_or_none(report: str, text: str) -> None:
    counts = Counts.of(report)
    empty = Facts.of("a", np.array([[0, 1]], np.int32))
    sure = known(text, True, counts, empty, np.ones(1, np.float32))
    assert sure is None or 0 <= sure[0] <= 1
    assert 0 <= counts.citing.unused <= max(len(counts.citing.entries), 1)
    assert all(need.least >= 1 for need in needs(text, counts))
