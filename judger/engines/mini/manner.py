"""What a report does as a text, counted: sentences said twice, headings said twice, how it opens, what it leaves raw.

For flaws of style that can be counted. Every pattern is linear; a 5,000-word report takes a few milliseconds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise

from judger.engines.mini.layout import Lines, plain_heading, read_lines
from judger.engines.mini.text import plain, sentences

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_CHATTY = re.compile(
    r"(?:certainly|sure|of course|absolutely|great question|good question|thank you|thanks|hello|hi\b|i'd be happy"
    r"|i would be happy|i am happy|i'm happy|i hope|happy to help|let's|let us|here is|here's|here are|below is"
    r"|i will|i'll|i have|i've|based on (?:the|my|your)|after (?:reviewing|searching|analy[sz]ing)|the search results"
    r"|okay|ok\b|alright|as an ai|to answer|you asked|to address your|in order to answer)",
    re.IGNORECASE,
)
_ANNOUNCES = re.compile(
    r"\b(?:(?:this|the following|the present) (?:report|response|answer|article|essay|document|section|overview"
    r"|analysis|review|discussion|paper|summary|guide|post)s? (?:will|aims?|provides?|explores?"
    r"|examines?|discusses|delves?"
    r"|presents?|outlines?|offers?|covers?|details?|summari[sz]es?|addresses|seeks?|looks?|reviews?|synthesi[sz]es?)"
    r"|(?:i|we) (?:will|shall|'ll) (?:\w+ ){0,2}(?:explore|discuss|provide|outline|cover|describe|look|examine|present"
    r"|go|explain|address|summari[sz]e|delve|compare|break)|(?:i|we)'ll (?:explore|discuss|provide|cover|look))",
    re.IGNORECASE,
)
_RAW = re.compile(r"\{'\w+':|\{\"\w+\":|\[\{|</\w+>|\\n\\n|&nbsp;")
OPENING = 400
"""Characters in which a report opens."""
LEAST, FEW = 6, 3
"""Words of a sentence that nothing repeats by chance; and of one that stands in the text with a mark at its end."""
_ENDED = re.compile(r"(?<![.!?])[.!?]++[\"'”’)\]]*+$")
_BOLD_LEAD = re.compile(r"\A([ \t>]*+(?:[-*+•]\s+|\d{1,3}[.)]\s+)?)(?:\*\*|__)[^*_\n]{2,90}(?:\*\*|__)")
"""A label, "**Costs.** It ...", which may well stand before every item."""
_TEXT = frozenset({"prose", "bullet", "numbered", "quote"})


@dataclass(frozen=True, slots=True)
class Manner:
    """Counts. repeated: sentences that stood before; headings_repeated likewise, twice_running: right after itself;
    chatty, announces: in the opening; raw: marks of data that were left in the text."""

    repeated: int
    headings_repeated: int
    twice_running: int
    chatty: bool
    announces: bool
    raw: int


def read_manner(report: str, apart: Collection[int] = ()) -> Manner:
    """The manner of any text. apart: lines that are no part of it, as those of a list of sources."""
    lines = read_lines(report)
    headings = [plain_heading(line) for line, kind in lines if kind == "heading"]
    counts = Counter(headings)
    said = Counter(_said(report, lines, apart))
    prose = " ".join(line for line, kind in lines if kind not in {"heading", "blank"})
    opening = prose.strip(' *_#>"“')[:OPENING]
    return Manner(
        repeated=sum(count - 1 for count in said.values()),
        headings_repeated=sum(count - 1 for count in counts.values()),
        twice_running=sum(a == b for a, b in pairwise(headings)),
        chatty=_CHATTY.match(opening) is not None,
        announces=_ANNOUNCES.search(opening) is not None,
        raw=len(_RAW.findall(report)),
    )


def _said(report: str, lines: Lines, apart: Collection[int]) -> Iterator[str]:
    """The sentences that a text says, as words: the long ones, and the short ones that are whole sentences."""
    kept = [
        _BOLD_LEAD.sub(r"\1", line) if kind in _TEXT else line if kind == "row" else ""
        for number, (line, kind) in enumerate(lines)
        if number not in apart and kind != "heading"
    ]
    clean = plain("\n".join(kept))
    for start, end in sentences(clean):
        sentence = clean[start:end].strip()
        words = _WORD.findall(sentence.lower())
        if len(words) >= (FEW if _ENDED.search(sentence) else LEAST):
            yield " ".join(words)
