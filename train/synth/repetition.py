"""Whether a text says the same over and over: a sentence, a few words in a row, or much of it.

Headings, rows of tables and labels may come again, since a report of many parts is built so; not three times in a row.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator

from policy import citations
from train.synth import words

__all__ = ["MOST_REPEATED", "NGRAM", "TIMES", "repeated"]

NGRAM = 8
MOST_REPEATED = 0.15
"""Share of a text's words that may end runs of eight words that the text has said before."""
TIMES = 3
"""How often one sentence or item of a list is too often, and anything in a row; twice that where its numbers differ."""
_LEAST = 6
"""Words of what is said again, below which it is a phrase."""
_DIGITS = re.compile(r"\d+")
_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,3}[.)]|\[\d{1,3}\])[ \t]")
_LABEL = (":", "：", "**", "__")


def repeated(text: str) -> str:
    """The reason why a text is taken for one that repeats itself, or ""."""
    text = citations.replaced(text, lambda keys: "", lambda key: False)
    said = [one.lower() for one in _sentences(text)]
    folded = [_DIGITS.sub("0", one) for one in said if "://" not in one]  # an address is its digits
    for same, times in ((said, TIMES), (folded, 2 * TIMES)):
        sentence, count = max(Counter(same).items(), key=lambda pair: pair[1], default=("", 0))
        if count >= times:
            return f"{sentence[:80]!r} {count} times"
    share, in_a_row = _said_before(text)
    if in_a_row:
        return f"{in_a_row[:80]!r} {TIMES} times in a row"
    return f"{share:.0%} said before" if share > MOST_REPEATED else ""


def _sentences(text: str) -> Iterator[str]:
    """Sentences of six words or more; what has no end of its own ends with its item of a list or its paragraph."""
    block: list[str] = []
    for line in [*text.split("\n"), ""]:
        apart = line.lstrip().startswith(("#", "|"))
        if block and (apart or not line.strip() or _ITEM.match(line)):
            for one in words.sentences("\n".join(block)):
                if sum(map(words.half_words, words.tokens(one))) >= 2 * _LEAST and not one.endswith(_LABEL):
                    yield one
            block = []
        if not apart and line.strip():
            block.append(line)


def _said_before(text: str) -> tuple[float, str]:
    """(share of the words that were said before, the first that are said `TIMES` times in a row); linear time."""
    tokens = words.tokens(text.lower())
    halves = [0, *itertools.accumulate(map(words.half_words, tokens))]
    last: dict[tuple[str, ...], int] = {}
    before = distance = began = 0
    in_a_row = ""
    for start, end in words.runs(tokens, NGRAM):
        run = tuple(tokens[start:end])
        was, last[run] = last.get(run), start
        if was is None:
            distance = 0
            continue
        before += halves[end] - halves[end - 1]
        # It may have come since, too, inside of what is said again: a title in its address.
        if not distance or run != tuple(tokens[start - distance : end - distance]):
            distance, began = start - was, start
        period = halves[began] - halves[began - distance]
        # The last run may end half a word before the text does.
        if not in_a_row and period >= 2 * _LEAST and halves[end] - halves[began] >= (TIMES - 1) * period - 1:
            in_a_row = " ".join(tokens[began - distance : began])
    return before / halves[-1] if tokens else 0.0, in_a_row
