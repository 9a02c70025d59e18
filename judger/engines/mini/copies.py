"""Sentences of a report that only repeat the criterion: "Explains the cycle" explains nothing.

A criterion that asks ("Explains ...", "The response names ...", "Does it say ...?") is no sentence that a report has
reason to hold; where one does, it is not read for that criterion. What a criterion states ("The mill burned down",
also behind "States that") may well be found word for word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"[^\W_]+")
_VERBS = (
    "explains discusses describes mentions states includes gives identifies names provides lists covers defines "
    "compares says notes reports recommends proposes cites presents specifies addresses analyzes analyses "
    "highlights shows tells offers points outlines quotes contrasts distinguishes links argues warns acknowledges "
    "suggests puts sets traces uses connects clarifies summarizes evaluates introduces relates dates credits "
    "contains details claims asserts maintains declares predicts advises makes has keeps closes opens ends begins "
    "backs supports illustrates calculates applies assesses weighs justifies ties assigns surveys enumerates "
    "qualifies admits leaves fails omits ignores lacks treats attributes demonstrates derives differentiates "
    "articulates contextualizes considers examines explores breaks walks supplies calls sums tabulates quantifies "
    "spells lays brings picks singles sorts groups answers draws reviews raises touches carries works pins places "
    "elaborates refers devotes delivers furnishes summarises characterizes characterises categorizes classifies "
    "critiques discloses documents emphasizes emphasises establishes estimates expands flags formulates guides "
    "informs integrates interprets investigates labels maps measures motivates organizes organises ranks reflects "
    "rejects requires separates situates starts stresses synthesizes synthesises targets tests translates urges"
)
_ASKS = re.compile(
    r"(?:(?:near|at|in|towards?) the (?:beginning|start|outset|end|close|opening),? )?"
    r"(?:the|this|each|every|all) (?:\w+ ){0,2}?"
    r"(?:response|report|answer|text|document|essay|article|summary|output)s?\b"
    r"|(?:response|report|answer)\b|(?:does|do|is|are|must|should|can)\b"
    rf"|(?:\w+ly )?(?:{'|'.join(_VERBS.split())})\b",
    re.IGNORECASE,
)
_STATED = re.compile(r"\bthat\b|:")
_OF_RUBRIC = re.compile(
    r" (?:(?:near|at|in|towards?) the (?:beginning|start|outset|end|close|opening) )?"
    rf"(?:the )?(?:response|answer) (?:\w+ ){{0,2}}?(?:should|must|could|may|{'|'.join(_VERBS.split())}) "
)
"""How a sentence of a rubric begins, and none of a report."""
LEAST = 3
"""Words that a criterion must have to be repeated."""
PIECE = 8
"""Words of a criterion's piece that no report holds by chance."""


def words(text: str) -> str:
    """The words of a text in lower case, a space on either side of each."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def copies(criterion: str, units: Sequence[str]) -> NDArray[np.bool_]:
    """(u,) which units only repeat the criterion. units: as `words` gives them."""
    found = np.array([_OF_RUBRIC.match(unit) is not None for unit in units], np.bool_)
    text = criterion.strip()
    if not _ASKS.match(text):
        return found
    whole = words(text)
    if len(whole.split()) < LEAST:
        return found
    stated = _STATED.search(text)
    core = words(text[stated.end() :]) if stated else ""
    for place, unit in enumerate(units):
        is_piece = unit in whole and unit not in core and unit.count(" ") > PIECE
        found[place] |= whole in unit or is_piece
    return found
