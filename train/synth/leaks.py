"""What gives an answer or a result away before the work: word by word, in other words, rounded, by its initials."""

from __future__ import annotations

import re
from collections.abc import Sequence

from train.synth import words
from train.synth.grounds import stems

__all__ = ["leak", "told"]

_RUN = 8
"""Words in a row that are the report's own."""
_OWN, _SHARE = 5, 0.6
"""So many telling words that a sentence alone has, and the share of them that a task may not have."""
_NEAR = 0.06
"""A percentage is rounded by no more than this share of it."""
_PERCENT = re.compile(r"(?<![\d.])(\d{1,5}(?:\.\d{1,5})?) ?(?:[%％]|per ?cent\b)")
_TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))
_UNITS = {name: number for number, name in enumerate("one two three four five six seven eight nine".split(), 1)}
_SPELLED = re.compile(rf"\b({'|'.join(_TENS)})(?:[- ]({'|'.join(_UNITS)}))?\b", re.IGNORECASE)


def leak(task: str, known: str, body: Sequence[str]) -> str:
    """What a task gives away of a report beyond what is `known` of it: a number, as it stands there or a percentage
    that is rounded or spelled out, eight words in a row, or most of the telling words of one sentence."""
    task, text = _SPELLED.sub(_digits, task), words.plain(" ".join(body))
    named, there = set(words.numbers(known)), set(words.numbers(text))
    for number in words.numbers(task):
        if number not in named and number in there and len(number) > 1:
            return f"{number} in {task[:80]!r}"
    known_shares = _percentages(known)
    shares = [share for share in _percentages(text) if share not in known_shares]
    for number in _percentages(task):
        if number not in known_shares and any(abs(share - number) <= _NEAR * share for share in shares):
            return f"about {number:g}% in {task[:80]!r}"
    said = set(words.ngrams(text, _RUN)) - set(words.ngrams(known, _RUN))
    if shared := next((gram for gram in words.ngrams(task, _RUN) if gram in said), None):
        return f"{' '.join(shared)!r} is the report's"
    before = stems(known)
    asked = stems(task) - before
    for sentence in words.sentences(text) if len(asked) >= _SHARE * _OWN else ():
        own = stems(sentence) - before
        if len(own) >= _OWN and len(own & asked) >= _SHARE * len(own):
            return f"in other words: {sentence[:80]!r}"
    return ""


def _digits(found: re.Match[str]) -> str:
    return str(_TENS[found.group(1).lower()] + _UNITS.get((found.group(2) or "").lower(), 0))


def _percentages(text: str) -> set[float]:
    return {float(number) for number in _PERCENT.findall(text)}


def told(question: str, names: Sequence[str]) -> str:
    """The name that a question gives away: as it is, in the plural or as one word, or, of three words and more, by its
    initials; "" where there is none."""
    if name := words.is_named(question, names):
        return name
    asked = words.tokens(question)
    folded = [_singular(word) for word in asked]
    starts = [at for at, word in enumerate(folded) if word not in ("a", "an", "the")]  # "a yacc" is no "ayacc"
    joined = {"".join(folded[at : at + size]) for size in (1, 2, 3, 4) for at in starts}
    for name in names:
        parts = words.tokens(name)
        whole = "".join(map(_singular, parts))
        if len(whole) >= _WHOLE and whole in joined:
            return name
        if len(parts) >= _INITIALS and "".join(part[0] for part in parts).upper() in asked:
            return name
    return ""


_WHOLE = 5
"""Letters of a name from which on it is known in another form."""
_INITIALS = 3


def _singular(word: str) -> str:
    low = word.lower()
    return low[:-1] if low.endswith("s") and not low.endswith("ss") and len(low) > 3 else low
