"""The texts beside this file were written for it (two old poems are out of copyright)."""

import json
import random
import string
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judger.engines.mini.language import MIN_LETTERS, language_fault, unsupported_language

TEXTS = json.loads(Path(__file__).with_name("mini_language_texts.json").read_text(encoding="utf-8"))
FOREIGN = [(language, text) for language, texts in TEXTS["foreign"].items() for text in texts]
ENGLISH = TEXTS["english"]
PROSE = ENGLISH["nonnative"]
# Related languages share most of such a text; naming either is no fault.
TWINS = {"Norwegian": {"Norwegian", "Danish"}, "Danish": {"Norwegian", "Danish"}, "Indonesian": {"Indonesian", "Malay"}}


@pytest.mark.parametrize(("language", "text"), FOREIGN, ids=lambda value: value[:12])
def test_another_language_is_refused(language: str, text: str) -> None:
    fault = unsupported_language(text)
    assert fault is not None
    assert "English only" in fault


@pytest.mark.parametrize(("language", "text"), [pair for pair in FOREIGN if pair[0] != "not in English"])
def test_the_refusal_names_the_language(language: str, text: str) -> None:
    fault = unsupported_language(text) or ""
    assert any(name in fault for name in TWINS.get(language, {language}))


@pytest.mark.parametrize("kind", sorted(ENGLISH.keys() - {"legal_latin"}))
def test_english_of_every_kind_is_judged(kind: str) -> None:
    assert unsupported_language(ENGLISH[kind]) is None


@pytest.mark.parametrize("kind", ["shakespeare", "python", "refs", "table", "student"])
def test_long_english_is_judged(kind: str) -> None:
    assert unsupported_language("\n\n".join([ENGLISH[kind]] * 200)) is None


def test_a_long_foreign_report_with_english_sources_is_refused() -> None:
    body = "\n\n".join(TEXTS["foreign"]["Chinese"] * 5)
    sources = "\n".join(
        f"[{i}] Smith and Jones, The economics of wind and solar power: https://example.org/{i}" for i in range(200)
    )
    assert unsupported_language(f"{body}\n\n## References\n{sources}") is not None


def test_an_english_report_that_quotes_other_languages_is_judged() -> None:
    quotes = "\n\n".join(f"> {text}\n\n{PROSE}\n\n{ENGLISH['student']}" for _, text in FOREIGN[:8])
    assert unsupported_language(quotes) is None


@pytest.mark.parametrize(("language", "text"), FOREIGN[:6])
def test_a_short_text_is_never_refused(language: str, text: str) -> None:
    assert unsupported_language(text[: MIN_LETTERS - 1]) is None


@given(st.text(max_size=3_000))
@settings(max_examples=60, deadline=None)
def test_any_text_gets_an_answer_and_always_the_same(text: str) -> None:
    assert unsupported_language(text) == unsupported_language(text)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_names_and_numbers_mixed_into_english_change_nothing(seed: int) -> None:
    rng = random.Random(seed)
    names = ENGLISH["names"].split(", ") + ENGLISH["yoruba_names"].split(", ")
    words = PROSE.split()
    for _ in range(len(words)):
        thing = rng.choice([rng.choice(names), str(rng.random()), "".join(rng.choices(string.ascii_uppercase, k=5))])
        words.insert(rng.randrange(len(words)), thing)
    assert unsupported_language(" ".join(words)) is None


def test_a_declared_language_is_believed() -> None:
    german, chinese = TEXTS["foreign"]["German"][0], TEXTS["foreign"]["Chinese"][0]
    assert language_fault("en", PROSE) is None
    assert language_fault("en-GB", german) is None
    assert language_fault("EN_us", PROSE) is None
    assert "German" in (language_fault("de", PROSE) or "")
    assert "Chinese" in (language_fault("zh-Hans", "短") or "")
    assert "tlh" in (language_fault("tlh", "Qapla'") or "")
    assert language_fault("en", chinese) is not None


@pytest.mark.parametrize("declared", ["", "und", "mul", " "])
def test_without_a_declared_language_the_text_decides(declared: str) -> None:
    assert language_fault(declared, PROSE) is None
    assert language_fault(declared, TEXTS["foreign"]["French"][0]) is not None


def test_two_mebibytes_take_no_longer_than_a_moment() -> None:
    reports = ["1. word https://a.b c\n" * 95_000, "$" * 2**21, "```" * 700_000, "\\a{" * 700_000, "<" * 2**21]
    unsupported_language(FOREIGN[0][1])  # the model is loaded once
    started = time.thread_time()  # of the processor: the machine may have other work
    for report in reports:
        unsupported_language(report)
    assert time.thread_time() - started < 10


def test_neither_torch_nor_the_character_model_is_loaded_for_english() -> None:
    code = (
        "import sys; from judger.engines.mini.language import unsupported_language as check; "
        f"assert check({PROSE!r}) is None; assert not {{'torch', 'transformers', 'py3langid'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
