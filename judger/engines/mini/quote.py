"""The passage that is shown for a verdict: a whole sentence or list item, as the report has it.

Never a heading alone, nothing that begins or ends inside markup or an address.
"""

from __future__ import annotations

import re

import numpy as np

from judger.engines.mini.passage import Outline
from judger.engines.mini.text import Floats, Tokens, plain, sentences, unit_spans
from judger.types import Span

LOOKED_AT = 12
"""Of the best units, so many may be passed over for a sentence that can be shown."""
WORDS = 4
_WORD = re.compile(r"[^\W\d_]{2,}")
_LEAD = re.compile(r"(?:[ \t\n>|]|[-*+•#]+[ \t]|\d{1,3}[.)][ \t])+")
_WHOLE = re.compile(
    r"!?\[[^\[\]\n]{1,300}\]\([^()\s]{0,1000}\)|https?://[^\s<>()]{1,1000}|\*\*[^*\n]{1,300}\*\*|`[^`\n]{1,200}`"
    r"|</?[a-zA-Z][^<>\n]{0,60}>"
)
"""What is shown whole or not at all."""
REACH = 1_400


def quotable(text: str, tokens: Tokens, score: Floats) -> tuple[Span, ...]:
    """The sentence with the best unit that can be shown; nothing where there is none."""
    spans = unit_spans(tokens)
    outline = Outline.of(text, spans[:, 0])
    clean = plain(text)
    ranges = sentences(clean)
    starts = np.array([start for start, _ in ranges])
    order = [int(unit) for unit in np.argsort(-score, kind="stable")[:LOOKED_AT]]
    for unit in (u for u in order if not outline.is_heading[u]):
        at = max(int(np.searchsorted(starts, spans[unit, 0], side="right")) - 1, 0)
        found = _trim(text, clean, *ranges[at])
        if found is not None:
            return (found,)
    return ()


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
