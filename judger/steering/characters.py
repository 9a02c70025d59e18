"""Characters that a reader does not see, or takes for others; and the text as that reader sees it."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator

from judger.steering.reading import beyond_ascii, places

__all__ = ["fold", "odd_characters"]

HIDDEN = r"\u200b\u2060-\u2064\ufeff\u180e\u115f\u1160\u3164\uffa0\ufff9-\ufffb"
TAGS = r"\U000e0000-\U000e007f"
SELECTORS = r"\ufe00-\ufe0f\U000e0100-\U000e01ef"
OVERRIDES = r"\u202a-\u202e\u2066-\u2069"
ALPHABETS = r"\U0001d400-\U0001d7cb\u24b6-\u24e9\U0001f130-\U0001f189"
LETTER = rf"[^\W\d_{ALPHABETS}]"
INVISIBLE = re.compile(rf"(?<={LETTER}{LETTER})[{HIDDEN}]+(?={LETTER}{LETTER})")
"""Within a word. Around words, and in formulas, they come with text that was copied from web pages."""
SOME_HIDDEN = re.compile(rf"[{HIDDEN}]")
APART = re.compile(rf"(?:{LETTER}[{HIDDEN}]+){{4,}}(?={LETTER})")
"""Letters that stand apart."""
CARRIER = re.compile(rf"(?<![\U0001f3f4{TAGS}])[{TAGS}]+|[{SELECTORS}]{{3,}}")
"""Tag characters but in the flags of regions, and variation selectors in a row: both can carry any text."""
BIDI = re.compile(r"[\u202d\u202e\u2066-\u2068]")
"""Overrides and isolates. Embeddings come with names that were copied from web pages."""
STYLED = re.compile(rf"(?<![{ALPHABETS}])[{ALPHABETS}]{{3,}}+(?:[ .,:;!?]++[{ALPHABETS}]{{2,}}+)++")
"""Words, not one symbol, in the alphabets of mathematics."""
LIGATURES = "\ufdfa\ufdfb"
"""Whole sentences of praise in one character: the others unfold into at most six."""
PIECE = 2**16
"""Characters that are brought into normal form at a time."""
MOST_MARKS = 30
"""Combining marks on one character: no script has more (Unicode Standard Annex 15, section 13)."""
LOOKALIKES = dict(
    zip(
        "аеорсухіјѕԁһԛԝвкмнтАВЕКМНОРСТУХІЈЅοΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "aeopcyxijsdhqwbkmhtABEKMHOPCTYXIJSoABEZHIKMNOPTYX",
        strict=True,
    )
)
LOOKS = "".join(LOOKALIKES)
MIXED = re.compile(rf"(?<!\w)(?=[{LOOKS}]*[A-Za-z])(?=[A-Za-z]*[{LOOKS}])[A-Za-z{LOOKS}]{{3,}}(?!\w)")
"""A word of Latin letters and of Cyrillic or Greek ones that look like them, and of nothing else."""
FEWEST = 3
"""Such words, or invisible characters: fewer are slips."""
UNSEEN = re.compile(rf"[{HIDDEN}{TAGS}{SELECTORS}{OVERRIDES}\u200c-\u200f\u00ad]")
PLAIN = str.maketrans(LOOKALIKES)
ODD = re.compile(rf"[{HIDDEN}{TAGS}{SELECTORS}{OVERRIDES}{ALPHABETS}\uff21-\uff5a]")
"""Without any of these, and without a mixed word, none of the others is there."""


def odd_characters(report: str) -> Iterator[tuple[str, str]]:
    """(name, detail) of each kind found, of a report that `fold` has changed."""
    # Both look at every letter: only where there is something to be found.
    has_hidden = SOME_HIDDEN.search(report) is not None
    inside = [match.start() for match in INVISIBLE.finditer(report)] if has_hidden else []
    carriers = [match.start() for match in CARRIER.finditer(report)]
    carriers += [match.start() for match in APART.finditer(report)] if has_hidden else []
    if carriers or len(inside) >= FEWEST:
        yield "invisible_characters", places(report, carriers or inside)
    if bidi := [match.start() for match in BIDI.finditer(report)]:
        yield "bidi_control", places(report, bidi)
    if len(mixed := [match.start() for match in MIXED.finditer(report)]) >= FEWEST:
        yield "mixed_scripts", places(report, mixed)
    if styled := [match.start() for match in STYLED.finditer(report)]:
        yield "styled_letters", places(report, styled)


def fold(report: str) -> str | None:
    """The text as a reader sees it: compatibility forms made plain, hidden characters gone, lookalikes Latin.

    None where there is nothing of that kind.
    """
    if not is_odd(report):
        return None
    text = _normal(UNSEEN.sub("", report))
    return MIXED.sub(lambda word: word.group().translate(PLAIN), text)


def _normal(text: str) -> str:
    """NFKC, piece by piece: no call may keep the other threads waiting for the whole of a long text."""
    text = _thinned(text)
    for ligature in LIGATURES:
        text = text.replace(ligature, " ")
    pieces, start = [], 0
    while start < len(text):
        end = start + PIECE
        while end < len(text) and unicodedata.combining(text[end]):  # at most `MOST_MARKS`
            end += 1
        pieces.append(unicodedata.normalize("NFKC", text[start:end]))
        start = end
    return "".join(pieces)


def _thinned(text: str) -> str:
    """The text with at most `MOST_MARKS` combining marks in a row: putting them in order takes their number squared."""
    marks = {char for char in beyond_ascii(text) if unicodedata.combining(unicodedata.normalize("NFKD", char)[0])}
    if not marks:
        return text
    run = "".join(map(re.escape, sorted(marks)))
    return re.sub(f"([{run}]{{{MOST_MARKS}}})[{run}]++", r"\1", text)


@functools.cache
def odd_ones() -> frozenset[str]:
    """The characters of `ODD`: a set is looked through faster than a long text by a pattern."""
    return frozenset(ODD.findall("".join(map(chr, [*range(0xD800), *range(0xE000, 0xE0200)]))))


def is_odd(report: str) -> bool:
    """Whether there is anything for this module to find."""
    if report.isascii():
        return False
    used = beyond_ascii(report)
    return not used.isdisjoint(odd_ones()) or (not used.isdisjoint(LOOKALIKES) and MIXED.search(report) is not None)
