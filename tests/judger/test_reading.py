"""The quick reading of a report lets through whatever the slow one would find."""

from __future__ import annotations

import re
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from judger.steering import find_flags, flag_name
from judger.steering.address import anchors
from judger.steering.reading import PREFIX, Phrases, Reading, Stems, beyond_ascii, read
from judger.types import Case, Criterion
from tests.adversarial import corpus

STEMS, LEADS = anchors()
TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("judge e_9-\n\u201c\u201d\u00e9 \u8bc4")), max_size=300)


@settings(deadline=None)
@given(TEXTS)
def test_every_word_of_plain_letters_is_held(text: str) -> None:
    reading = read(text)
    for word in re.findall(r"(?a:\w+)", text.lower()):
        assert reading.may_hold(word), word
        assert reading.may_hold(word[:PREFIX])
    assert reading.letters == frozenset(c for c in text.lower() if not c.isascii()) == beyond_ascii(text.lower())


@settings(deadline=None)
@given(TEXTS, st.sampled_from(sorted(LEADS)), TEXTS)
def test_every_anchor_that_begins_a_word_is_found(before: str, anchor: str, behind: str) -> None:
    assert anchor in STEMS.held(read(f"{before} {anchor} {behind}"))


@settings(deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_a_phrase_that_is_there_is_held(before: str, said: str, behind: str) -> None:
    # Lower case of the whole may differ from that of its parts (a final sigma), but not in ASCII.
    assert f" {said} " in Phrases([f" {said} ", "another phrase"]).held(read(f"{before} {said} {behind}"))


def test_most_of_what_is_not_there_is_not_looked_for() -> None:
    words = "river stone water garden early winter morning light table paper number seven between against".split()
    reading = read(" ".join(words))
    assert len(STEMS.held(reading)) < len(LEADS) / 20
    assert not reading.may_hold("verdict")
    assert not reading.may_hold("прокурор")


@settings(deadline=None)
@given(st.lists(st.sampled_from([*corpus.texts(), None]), max_size=3), st.lists(st.sampled_from(sorted(LEADS))))
def test_what_is_let_through_is_all_there_is_to_find(attacks: list[corpus.Attack | None], stems: list[str]) -> None:
    criteria = tuple(
        Criterion(id=f"c{number}", text=f"The report names the {word} and says how long it is.", weight=1.0)
        for number, word in enumerate(("river", "bridge"))
    )
    report = " ".join(stems)
    for attack in attacks:
        report = attack.apply(report, [c.text for c in criteria]) if attack else f"{report} {criteria[0].text}"
    case = Case(id="a", query="q", report=report, criteria=criteria)
    quick = {flag_name(flag) for flag in find_flags(case)}
    with (
        mock.patch.object(Reading, "may_hold", return_value=True),
        mock.patch.object(Phrases, "held", lambda self, _: self._marked + self._unmarked),
        mock.patch.object(Stems, "held", return_value=list(LEADS)),
    ):
        assert {flag_name(flag) for flag in find_flags(case)} == quick
