"""The passages that are shown for a verdict: whole sentences or list items, as the report has them, the best one first.

Never a heading alone, nothing that begins or ends inside markup or an address. Two where the second bears on the
criterion almost as well: the sentence that decided is among them more often.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from judger.engines.mini.passage import NEVER, Outline
from judger.engines.mini.text import Floats, Ints, Tokens, plain, sentences, unit_spans
from judger.types import Span

LOOKED_AT = 12
"""Of the best units, so many may be passed over for a sentence that can be shown."""
SHOWN = 2
NEAR = 0.85
"""A second passage bears on the criterion at least so much, of what the first one does."""
WORDS = 4
_WORD = re.compile(r"[^\W\d_]{2,}")
_LEAD = re.compile(r"(?:[ \t\n>|]|[-*+•#]+[ \t]|\d{1,3}[.)][ \t])+")
_WHOLE = re.compile(
    r"!?\[[^\[\]\n]{1,300}\]\([^()\s]{0,1000}\)|https?://[^\s<>()]{1,1000}|\*\*[^*\n]{1,300}\*\*|`[^`\n]{1,200}`"
    r"|</?[a-zA-Z][^<>\n]{0,60}>"
)
"""What is shown whole or not at all."""
REACH = 1_400


@dataclass(frozen=True, slots=True)
class Quotable:
    """The sentences of a report, made once for all its criteria. clean: without markup, at the same offsets."""

    text: str
    clean: str
    ranges: list[tuple[int, int]]
    sentence: Ints
    """(u,): in which of them each unit begins."""
    is_heading: np.ndarray
    """(u,)."""

    @classmethod
    def of(cls, text: str, tokens: Tokens, outline: Outline) -> Quotable:
        """tokens: of the report. outline: of their units."""
        clean = plain(text)
        ranges = sentences(clean)
        starts = np.array([start for start, _ in ranges])
        at = np.searchsorted(starts, unit_spans(tokens)[:, 0], side="right") - 1
        return cls(text, clean, ranges, np.maximum(at, 0).astype(np.int32), outline.is_heading)

    def best(self, score: Floats) -> tuple[Span, ...]:
        """The sentences with the best units that can be shown, best first; nothing where there is none.

        score (u,): how far each unit bears on the criterion.
        """
        order = [int(unit) for unit in np.argsort(-score, kind="stable")[:LOOKED_AT]]
        found: dict[int, Span] = {}
        least = 0.0  # of the first one shown
        for unit in (u for u in order if not self.is_heading[u] and score[u] > NEVER):
            if len(found) == SHOWN or (found and score[unit] < NEAR * least):
                break
            at = int(self.sentence[unit])
            trimmed = None if at in found else _trim(self.text, self.clean, *self.ranges[at])
            if trimmed is not None:
                least = least if found else float(score[unit])
                found[at] = trimmed
        return tuple(found.values())


def _trim(text: str, clean: str, start: int, end: int) -> Span | None:
    """Without the marks that lead in and white space; with the whole of a link, an address or bold text that is cut."""
    lead = _LEAD.match(text, start, end)
    start = lead.end() if lead else start
    while end > start and clean[end - 1].isspace():  # and blanked marks of the next line
        end -= 1
    for whole in _WHOLE.finditer(text, max(0, start - REACH), min(len(text), end + REACH)):
        if whole.start() < start < whole.end():
            start = whole.start()
        if whole.start() < end < whole.end():
            end = whole.end()
    if len(_WORD.findall(text, start, end)) < WORDS:
        return None
    return Span(start, end)
