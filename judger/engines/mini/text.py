"""Text to tokens and units. No torch here.

A report is tokenised once. Markdown markup is blanked in place, so that character offsets stay those of the report
and plain text and Markdown give the same tokens. A *unit* is a sentence (or a piece of a long one, at most
`UNIT_TOKENS`), which the encoder sees alone: what stands elsewhere in the report changes nothing about it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNIT_TOKENS = 60

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]

_LINK = re.compile(r"!?\[([^\[\]\n]{1,300})\]\([^()\s]{0,1000}\)")
_RULE = re.compile(r"^(?=[^\n]*(?:---|\*\*\*|___|===))[ \t|:\-*_=]+$", re.MULTILINE)
_LEAD = re.compile(r"^[ \t>]*(?:#{1,6}[ \t]+|[-*+•][ \t]+)", re.MULTILINE)
_MARKS = re.compile(r"\*{1,3}|`{1,3}|~~|__(?=\w)|(?<=\w)__|\||\$\$?|</?[a-zA-Z][^<>\n]{0,60}>")
_BREAK = re.compile(
    r"(?<=[.!?。])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9])|\n\s*\n\s*|(?<=[.!?:;])[ \t]*\n\s*|\n(?!\s*[a-z])|"
    r"(?<=[;:])\s+(?=\(?[a-z0-9]{1,3}[.)]\s)| \. "
)
"""A line break before a lower-case letter is a wrapped line or a list without marks, and no end of a sentence."""
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Inc|Ltd|Co|Corp|vs|etc|No|Nos|Fig|Sec|al|e\.g|i\.e|U\.S|approx)|\b[A-Z])\.$"
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as the encoder sees it. All arrays int32.

    ids (n,), spans (n, 2) characters of the text, units (u, 2) token ranges that partition [0, n).
    """

    ids: Ints
    spans: Ints
    units: Ints

    def __len__(self) -> int:
        return len(self.ids)


def plain(text: str) -> str:
    """The text with its Markdown markup replaced by spaces. Same length, same offsets."""

    def blank(match: re.Match[str]) -> str:
        return " " * len(match.group())

    def unlink(match: re.Match[str]) -> str:
        start, end = match.start(1) - match.start(), match.end(1) - match.start()
        whole = match.group()
        return " " * start + whole[start:end] + " " * (len(whole) - end)

    for pattern, replace in ((_LINK, unlink), (_RULE, blank), (_LEAD, blank), (_MARKS, blank)):
        text = pattern.sub(replace, text)
    return text


def sentences(text: str) -> list[tuple[int, int]]:
    """Character ranges of the sentences and lines of a text, in order, without gaps but for white space."""
    cuts = [0]
    for match in _BREAK.finditer(text):
        if "\n" not in match.group() and _ABBREVIATION.search(text, max(0, match.start() - 8), match.start()):
            continue
        cuts.append(match.end())
    cuts.append(len(text))
    return [(start, end) for start, end in pairwise(cuts) if text[start:end].strip()]


def tokenize(text: str, tokenizer: Any) -> Tokens:
    """Tokens and units of a report or a criterion. `tokenizer` is a `tokenizers.Tokenizer`."""
    clean = plain(text)
    encoding = tokenizer.encode(clean, add_special_tokens=False)
    ids = np.asarray(encoding.ids, dtype=np.int32)
    spans = np.asarray(encoding.offsets, dtype=np.int32).reshape(-1, 2)
    if not len(ids):
        return Tokens(ids, spans, np.zeros((0, 2), np.int32))
    ranges = sentences(clean)
    starts = np.searchsorted(spans[:, 0], [start for start, _ in ranges])
    borders = [int(b) for b in np.unique(np.concatenate([[0], starts, [len(ids)]]))]
    units: list[tuple[int, int]] = []
    for start, end in pairwise(borders):
        pieces = max(1, -(-(end - start) // UNIT_TOKENS))
        edges = np.linspace(start, end, pieces + 1).astype(int)
        units += [(int(a), int(b)) for a, b in pairwise(edges)]
    return Tokens(ids, spans, np.asarray(units, np.int32))


def unit_spans(tokens: Tokens) -> Ints:
    """(u, 2) the characters of each unit."""
    starts, ends = tokens.units[:, 0], tokens.units[:, 1]
    return np.stack([tokens.spans[starts, 0], tokens.spans[ends - 1, 1]], 1)
