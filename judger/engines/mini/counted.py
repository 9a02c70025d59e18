"""Figures of one criterion that are counted in the report, not read: "at least three", its examples, its parts.

Each is 0 where the criterion does not ask for it: a report with longer lists is no better answer to what asks for none.
"""

from __future__ import annotations

import math
import re

import numpy as np

from judger.engines.mini.denial import claim_of
from judger.engines.mini.facts import COUNT, MOST, Facts, amounts, stems
from judger.engines.mini.passage import NEVER
from judger.engines.mini.text import Floats

_N = r"(\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten)"
_LEAST = re.compile(
    rf"\b(?:at least|no fewer than|no less than|(?:a )?minimum of|minimum|min\.) {_N}\b|\b{_N} (?:or more|\+)"
    rf"|\b{_N}\+|≥ ?{_N}\b|\b(?:more than|over) {_N}\b"
    r"|\b(?:names?|lists?|gives?|offers?|cites?|describes?|identif(?:y|ies)|provides?|presents?|covers?|discusses"
    rf"|explains?|mentions?|includes?|proposes|recommends|compares|quotes?|sets out|enumerates) (?:the )?{_N} [a-z]",
    re.IGNORECASE,
)
_MORE = re.compile(r"(?:more than|over) ", re.IGNORECASE)
_SEVERAL = re.compile(r"\b(several|multiple|both|a range of|various)\b", re.IGNORECASE)
_EXAMPLES = re.compile(
    r"\((?:e\.g\.,?|such as|for example,?|for instance,?|i\.e\.,?|including|like)([^()]{3,600})"
    r"|\bsuch as ([^().;]{3,300})",
    re.IGNORECASE,
)
_SPLIT = re.compile(r"[,;/]\s?(?:and |or )?|\s(?:and|or)\s|\(\d\)")
_CLAUSES = re.compile(r"[,;:()]\s?(?:and |or )?|\s(?:and|as well as|along with|together with|including|versus|vs\.?)\s")
_CITES = re.compile(
    r"\b(?:cit(?:e|es|ed|ing|ation|ations)|sources?|references?|bibliograph\w*|literature|links?|urls?|footnotes?"
    r"|publications?|papers?|studies|sourced|attribut\w+|addresses|backs?|grounds?|support(?:s|ed)?)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“]([^\"”\n]{2,60})[\"”]")
TOP = 20
HELD = 0.7
COUNTED_NAMES = (
    *("least", "items", "items_short", "items_listed", "items_under", "items_beside", "items_sentence", "nth"),
    *("lines_near", "examples", "examples_found", "examples_share", "examples_short"),
    *("clauses", "clause_min", "clause_mean", "clause_near", "stem_unit", "stem_near", "stem_missing"),
    *("amount_missing", "unit_missing", "amounts_asked", "claim_amount_missing", "heading_best", "heading_under"),
    *("quoted", "cited_near", "cited_best", "asks_cited", "asks_manner"),
)


def least(text: str) -> int:
    """How many of something a criterion asks for: "at least three", "two or more"; 0 where it asks for none."""
    match = _LEAST.search(text)
    if match is None:
        some = _SEVERAL.search(text)
        return 0 if some is None else 3 if some.group(1).lower() in {"several", "a range of", "various"} else 2
    found = next(group for group in match.groups() if group)
    n = int(COUNT.get(found.lower(), found))
    return min(n + (_MORE.match(match.group()) is not None), MOST)


def counted(text: str, facts: Facts, score: Floats, *, negative: bool) -> Floats:
    """One row, in the order of `COUNTED_NAMES`. score (u,): how far each unit bears on the criterion."""
    read = score > NEVER
    order = np.argsort(-score, kind="stable")
    order = order[read[order]]
    if not len(order):
        return np.zeros(len(COUNTED_NAMES), np.float32)
    best, near = int(order[0]), order[:6]
    held = [facts.stems[unit] for unit in order[:TOP]]
    claim = claim_of(text) if negative else None
    asks_cited = _CITES.search(text) is not None
    asks_manner = negative and claim is None
    examples = _examples(text)
    n = least(_EXAMPLES.sub(" ", text))
    every = [some for some, is_read in zip(facts.stems, read, strict=True) if is_read]
    found = sum(any(len(one & some) >= HELD * len(one) for some in every) for one in examples)
    values = [
        *_items(n, facts, score, order),
        *(float(len(examples)), float(found), found / len(examples) if examples else 0.0),
        float(np.clip(found - (n or len(examples)), -MOST, MOST)) if examples else 0.0,
        *_clauses(text, held),
        *_amounts(text, claim, facts),
        *_headings(facts, score, order),
        _quoted(text, every),
        float(facts.cited[near].mean()) if asks_cited else 0.0,
        float(facts.cited[best]) if asks_cited else 0.0,
        *(float(asks_cited), float(asks_manner)),
    ]
    return np.asarray(values, np.float32)


def _items(n: int, facts: Facts, score: Floats, order: np.ndarray) -> list[float]:
    if not n:
        return [0.0] * 9
    top = order[:3]
    prose = [unit for unit in order[:TOP] if not facts.is_heading[unit]][:3]
    heads = [unit for unit in order[:TOP] if facts.is_heading[unit]][:2]
    listed = int(facts.listed[top].max())
    under = int(facts.under[heads].max()) if heads else 0
    beside = int(facts.beside[top[0]])
    sentence = int(facts.enumerated[prose].max()) if prose else 0
    most = min(max(listed, under, sentence), MOST)
    nth = score[order[min(n, len(order)) - 1]] / max(float(score[order[0]]), 1e-3)
    near = order[score[order] > 0.75 * score[order[0]]]
    lines = len(set(facts.line[near].tolist()))
    return [
        *(float(n), float(most), float(most - n)),
        *(float(min(x, MOST) - n) for x in (listed, under, beside, sentence)),
        *(float(nth), float(min(lines, MOST) - n)),
    ]


def _examples(text: str) -> list[frozenset[str]]:
    found = []
    for match in _EXAMPLES.finditer(text):
        found += [stems(part) for part in _SPLIT.split(match.group(1) or match.group(2))]
    return [one for one in found if one][:12]


def _clauses(text: str, near: list[frozenset[str]]) -> list[float]:
    """The parts of a criterion, and how much of the least found one stands in the sentences that bear on it."""
    body = _EXAMPLES.sub(" ", text)
    parts = [one for one in (stems(part) for part in _CLAUSES.split(body)) if one][:8]
    wanted = stems(body)
    if not wanted or not parts:
        return [0.0] * 7
    shares = [max(len(part & some) / len(part) for some in near) for part in parts]
    union = frozenset().union(*near[:6])
    return [
        *(float(len(parts)), min(shares), sum(shares) / len(shares)),
        min(len(part & union) / len(part) for part in parts),
        max(len(wanted & some) / len(wanted) for some in near),
        len(wanted & union) / len(wanted),
        float(min(len(wanted - frozenset().union(*near)), 8)),
    ]


def _amounts(text: str, claim: str | None, facts: Facts) -> list[float]:
    """The numbers of a criterion that the report does not hold, alone or with their unit."""
    asked = amounts(_EXAMPLES.sub(" ", text))
    missing = [number for number, _ in asked if number not in facts.numbers]
    strange = [one for one in asked if one[1] and one not in facts.amounts]
    count = max(len(asked), 1)
    return [
        *(len(missing) / count, len(strange) / count, float(len(asked))),
        float(claim is not None and bool(missing)),
    ]


def _headings(facts: Facts, score: Floats, order: np.ndarray) -> list[float]:
    heads = [unit for unit in order[:TOP] if facts.is_heading[unit]]
    if not heads:
        return [0.0, 0.0]
    return [float(score[heads[0]] / max(float(score[order[0]]), 1e-3)), math.log1p(float(facts.under[heads[0]] > 0))]


def _quoted(text: str, every: list[frozenset[str]]) -> float:
    """Of what a criterion puts in quotation marks, the share found; 0.5 where there is none."""
    wanted = [one for one in (stems(part) for part in _QUOTED.findall(text)) if one]
    if not wanted:
        return 0.5
    return sum(any(one <= some for some in every) for one in wanted) / len(wanted)
