"""Texts that say too little for their length, and texts that say what the rubric says."""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Iterator, Sequence

from judger.steering.reading import Phrases, Reading, places

__all__ = ["copied_criteria", "floods"]

CHUNK = 8192
"""Characters that are compressed at a time."""
PROBE = 1024
RATIO = 25
"""Prose shrinks to a third, a large table to a tenth; what shrinks to less than this says one thing over and over."""
SHORTEST = 40
"""Characters of a criterion that can't be in a report by chance."""
FEWEST = 2
REMEMBERED_CHARACTERS = 2**15
"""Of a rubric."""


def floods(report: str) -> Iterator[tuple[str, str]]:
    """Chunks that are almost nothing but repetition. Only where a chunk begins so, the whole is looked at."""
    found = [
        start
        for start in range(0, len(report), CHUNK)
        if _shrinks(report[start : start + PROBE], RATIO / 4) and _shrinks(report[start : start + CHUNK], RATIO)
    ]
    if found:
        yield "repetition", places(report, found)


def _shrinks(text: str, ratio: float) -> bool:
    data = text.encode("utf-8", "surrogatepass")
    if len(data) < PROBE:
        return False
    # Small tables: setting up the usual ones takes longer than a probe.
    packer = zlib.compressobj(1, zlib.DEFLATED, 11, 4) if len(data) < 4 * PROBE else zlib.compressobj(1)
    return (len(packer.compress(data)) + len(packer.flush())) * ratio < len(data)


def copied_criteria(reading: Reading, criteria: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Criteria that stand in the report word for word: at least two, and half of those that are long enough."""
    is_short = sum(map(len, criteria)) <= REMEMBERED_CHARACTERS
    wanted, phrases = (_remembered if is_short else _prepared)(tuple(criteria))
    likely = phrases.held(reading)
    if len(likely) < FEWEST:
        return
    said = " ".join(reading.lowered.split())
    copied = sum(text in said for text in likely)
    if copied >= FEWEST and 2 * copied >= wanted:
        yield "criteria_copied", f"{copied} of {wanted}"


def _prepared(criteria: tuple[str, ...]) -> tuple[int, Phrases]:
    """The criteria as they would stand in a report, and how many: those that are too long to be there by chance."""
    texts = []
    for criterion in dict.fromkeys(criteria):
        text = " ".join(criterion.lower().split()).rstrip(" .;:!?。；！？")
        dense = re.findall(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]", text)  # no spaces: no words to compare
        if len(text) + 2 * len(dense) >= SHORTEST:
            texts.append(text)
    return len(texts), Phrases(texts)


_remembered = functools.lru_cache(maxsize=256)(_prepared)  # rubrics come again and again
