"""How a text becomes tokens and units."""

from __future__ import annotations

import time

import numpy as np
import pytest

from judger.engines.mini.checkpoint import WEIGHTS, load_tokenizer
from judger.engines.mini.criterion import names, numbers, read
from judger.engines.mini.text import UNIT_TOKENS, Tokens, plain, sentences, tokenize

TOKENIZER = load_tokenizer(WEIGHTS / "tokenizer.json")
MARKDOWN = (
    "# Title\n\n**Bold** claim, see [the source](https://example.org/a_b).\n\n"
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n- item one\n- item two\n"
)


def test_blanking_markdown_keeps_every_offset() -> None:
    text = plain(MARKDOWN)
    assert len(text) == len(MARKDOWN)
    assert "the source" in text
    assert text.index("the source") == MARKDOWN.index("the source")
    assert not set("#*|[]") & set(text)
    assert "example.org" not in text


def test_markdown_and_plain_text_give_the_same_tokens() -> None:
    bare = "Title\n\nBold claim, see the source.\n\na b\n\n1 2\n\nitem one\nitem two\n"
    assert tokenize(MARKDOWN, TOKENIZER).ids.tolist() == tokenize(bare, TOKENIZER).ids.tolist()


def test_units_partition_the_tokens_and_keep_their_limit() -> None:
    text = (
        " ".join(f"Sentence {i} has a number of words, and some of them are long." for i in range(80)) + " word" * 300
    )
    tokens = tokenize(text, TOKENIZER)
    units = tokens.units
    assert units[0, 0] == 0
    assert units[-1, 1] == len(tokens)
    assert (units[1:, 0] == units[:-1, 1]).all()
    assert ((units[:, 1] - units[:, 0]) <= UNIT_TOKENS).all()
    assert (units[:, 1] > units[:, 0]).all()


def test_text_put_before_leaves_every_unit_as_it_was() -> None:
    paragraphs = [f"Paragraph {i}. " + "It says several things about the topic at hand. " * 6 for i in range(20)]
    alone = tokenize("\n\n".join(paragraphs), TOKENIZER)
    after = tokenize("\n\n".join(["Something else entirely, of some length. " * 9, *paragraphs]), TOKENIZER)

    def units(tokens: Tokens) -> list[tuple[int, ...]]:
        return [tuple(tokens.ids[a:b].tolist()) for a, b in tokens.units]

    assert units(after)[-len(alone.units) :] == units(alone)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A line that is\nwrapped here. Another one.", ["A line that is\nwrapped here.", "Another one."]),
        ("Title\nIt begins here.", ["Title", "It begins here."]),
        ("ends here.\nlower case goes on", ["ends here.", "lower case goes on"]),
        ("no mark\n\nlower case", ["no mark", "lower case"]),
    ],
)
def test_a_line_break_ends_a_sentence_where_text_does_not_run_on(text: str, found: list[str]) -> None:
    assert [text[a:b].strip() for a, b in sentences(text)] == found


def test_an_abbreviation_does_not_end_a_sentence() -> None:
    text = "Dr. Smith met Mr. Jones in the U.S. Congress. They talked."
    assert [text[a:b].strip() for a, b in sentences(text)] == [text[:45].strip(), "They talked."]


def test_a_text_without_words_has_no_tokens() -> None:
    assert len(tokenize("  \n ", TOKENIZER)) == 0


@pytest.mark.parametrize(
    "text",
    [
        "-" * 200_000,
        "[" * 100_000,
        "a." * 100_000,
        "| - " * 50_000,
        "*" * 200_000,
        "<" * 100_000,
        "\n" * 200_000,
        "\n" + " " * 200_000,
        ".\n \t" * 50_000,
    ],
)
def test_hostile_text_takes_linear_time(text: str) -> None:
    began = time.thread_time()  # of the processor: the machine may have other work
    plain(text)
    sentences(text)
    assert time.thread_time() - began < 10


@pytest.mark.parametrize(
    ("text", "core", "omission", "contradiction"),
    [
        ("The text states that: Paris is large.", "Paris is large.", False, False),
        ("Mentions that Paris is large", "Paris is large", False, False),
        ("The response fails to mention that Paris is large", "Paris is large", True, False),
        ("Omits the size of Paris", "the size of Paris", True, False),
        ("Contradicts that Paris is large", "Paris is large", False, True),
        ("Does the contract contain a non-compete clause?", "a non-compete clause?", False, False),
        ("Paris is large.", "Paris is large.", False, False),
    ],
)
def test_the_core_of_a_criterion_is_found(text: str, core: str, omission: bool, contradiction: bool) -> None:
    found = read(text)
    assert text[found.start :] == core
    assert (found.omission, found.contradiction) == (omission, contradiction)


def test_numbers_ignore_thousands_separators_and_names_ignore_sentence_starts() -> None:
    assert numbers("1,599 cars in 2016, 3.5%") == {"1599", "2016", "3.5"}
    assert names("The house of Ann Lee. It stands in Rome.") == {"ann", "lee", "rome"}


def test_offsets_point_at_the_words_of_the_report() -> None:
    text = "Café prices rose. They **fell** later."
    tokens = tokenize(text, TOKENIZER)
    cut = [text[a:b].lower() for a, b in tokens.spans]
    assert "prices" in cut
    assert "fell" in cut
    assert np.all(np.diff(tokens.spans[:, 0]) >= 0)
