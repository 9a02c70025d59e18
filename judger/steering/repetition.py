"""Texts that say too little for their length, and texts that say what the rubric says."""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Iterator, Sequence

from judger.steering.reading import Reading, places, read

__all__ = ["copied_criteria", "floods"]

CHUNK = 8192
"""Characters that are compressed at a time."""
PROBE = 1024
RATIO = 25
"""Prose shrinks to a third, a large table to a tenth; what shrinks to less than this says one thing over and over."""
SHORTEST = 40
"""Characters of a criterion that can't be in a report by chance."""
FEWEST = 2


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
    return len(data) >= PROBE and len(zlib.compress(data, 1)) * ratio < len(data)


def copied_criteria(reading: Reading, criteria: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Criteria that stand in the report word for word: at least two, and half of those that are long enough."""
    wanted = [known for known in map(_prepared, dict.fromkeys(criteria)) if known is not None]
    likely = [text for text, words in wanted if words <= reading.words]
    if len(likely) < FEWEST:
        return
    said = " ".join(reading.lowered.split())
    copied = sum(text in said for text in likely)
    if copied >= FEWEST and 2 * copied >= len(wanted):
        yield "criteria_copied", f"{copied} of {len(wanted)}"


@functools.lru_cache(maxsize=4096)  # rubrics come again and again
def _prepared(criterion: str) -> tuple[str, frozenset[str]] | None:
    """A criterion as it would stand in a report, and its words; None where it is so short that it may by chance."""
    text = " ".join(criterion.lower().split()).rstrip(" .;:!?。；！？")
    dense = re.findall(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]", text)  # no spaces: no words to compare
    if len(text) + 2 * len(dense) < SHORTEST:
        return None
    return text, frozenset() if dense else read(text).words
