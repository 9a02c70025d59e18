"""The figures that the trees read of one criterion: its evidence, the report's form, what it asks for, what is
counted for it."""

from __future__ import annotations

import re

import numpy as np

from judger.engines.mini.counted import COUNTED_NAMES, counted
from judger.engines.mini.facts import Facts
from judger.engines.mini.features import NAMES, Evidence
from judger.engines.mini.passage import ABOUT_FORM
from judger.engines.mini.signals import VECTOR_NAMES, FormSignals
from judger.engines.mini.text import Floats

ASKS = {
    "least": r"at least",
    "number": r"number|how many|percent|figure",
    "cite": r"cite|citation|source|reference",
    "claim": r"claim|state|assert|says",
    "fail": r"fail|omit|not |never|without|no |lack",
    "compare": r"compar|contrast|differ|versus",
    "example": r"exampl|e\.g\.|such as",
    "layout": r"table|list|section|heading",
    "explain": r"explain|why|how",
    "recommend": r"recommend|suggest|propose|advise",
    "response": r"response|answer|report",
    "tone": r"clear|concise|accessible|tone|style|jargon",
    "every": r"all|each|every|any",
    "several": r"two|three|four|five|several|multiple",
    "only": r"only|solely|exclusively|entirely",
    "length": r"word|length|long|short",
    "define": r"define|definition",
    "specific": r"specific|concrete|detail",
    "wrong": r"wrong|incorrect|false|mislead|unsupported",
    "repeat": r"repeat|redundan|filler|vague|generic",
    "place": r"first|opens|begins|end|final|conclu",
    "formal": r"code|formula|equation|math",
}
"""Words of a criterion that tell what kind it is, each from the beginning of a word."""
_ASKS = [re.compile(rf"\b(?:{pattern})", re.IGNORECASE) for pattern in ASKS.values()]
_SMALL = "one two three four five six seven eight nine ten".split()
_NUMBERS = {word: n for n, word in enumerate(_SMALL, 1)}
_COUNT = "|".join(_SMALL)
_ASKED = re.compile(rf"\b(?:at least )?(\d{{1,3}}|{_COUNT})\b", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
NEAR = (0.95, 0.85, 0.75)
"""How many units bear at least so much on the criterion, of what the best one does."""

ALL_NAMES: tuple[str, ...] = (
    *NAMES,
    *VECTOR_NAMES,
    *(f"asks_{name}" for name in ASKS),
    *("is_flaw", "asked", "length", "has_number", "about_form"),
    *(f"units_{share}" for share in NEAR),
    *("best", "fourth"),
    *COUNTED_NAMES,
)


def figures(text: str, evidence: Evidence, signals: FormSignals, facts: Facts, *, negative: bool) -> Floats:
    """One row, in the order of `ALL_NAMES`."""
    best = np.sort(evidence.score)[::-1]
    about_form = ABOUT_FORM.search(text) is not None
    # A longer report is no better answer to what is asked of its content.
    form = signals.vector() if about_form else (0.0,) * len(VECTOR_NAMES)
    values = [
        *asks(text),
        *(float(negative), float(asked(text)), float(len(text)), float(_DIGIT.search(text) is not None)),
        float(about_form),
        *(float((best > best[0] * share).sum()) for share in NEAR),
        *(float(best[0]), float(best[min(3, len(best) - 1)])),
    ]
    count = counted(text, facts, evidence.score, negative=negative)
    return np.concatenate([evidence.values, form, values, count]).astype(np.float32)


def asks(text: str) -> list[float]:
    """1 for each of `ASKS` that the text holds."""
    return [float(pattern.search(text) is not None) for pattern in _ASKS]


def asked(text: str) -> int:
    """The number that a criterion asks for ("at least three ..."), 0 where it names none."""
    match = _ASKED.search(text)
    if match is None:
        return 0
    word = match.group(1).lower()
    return _NUMBERS[word] if word in _NUMBERS else int(word)
