"""Outcomes as bytes and back. What is read is anybody's: a row that is none of ours is no outcome.

    [[STATEMENT, [P_NOT, P_PARTIAL, P_FULL], [[START, END], ...], RATIONALE or null, PROMPT_TOKENS], ...]

JSON: it has no code to run, and its doubles come back bit by bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from judger.engines.base import Outcome
from judger.types import Probabilities, Span
from judger.verdict import is_distribution

__all__ = ["decode", "encode"]

MOST = 2**32
"""Positions and counts are less: the contract has 32 bits for them."""
LONGEST_RATIONALE = 2**20
"""Characters; a model's reason has thousands."""


def encode(outcomes: Mapping[bytes, Outcome]) -> bytes:
    """Successes under their statements."""
    rows = []
    for key, outcome in outcomes.items():
        p = outcome.result
        assert isinstance(p, Probabilities)
        spans = [[span.start, span.end] for span in outcome.evidence]
        numbers = list(map(float, (p.p_not, p.p_partial, p.p_full)))
        rows.append([key.hex(), numbers, spans, outcome.rationale, outcome.prompt_tokens])
    return json.dumps(rows, separators=(",", ":")).encode()


def decode(body: bytes) -> tuple[dict[bytes, Outcome], int]:
    """The outcomes in a body, and how many of its rows (1 for a body that has none) were not ours."""
    try:
        rows = json.loads(body)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, a number of thousands of digits
        return {}, 1
    if not isinstance(rows, list):
        return {}, 1
    found = [read for row in rows if (read := _row(row)) is not None]
    return dict(found), max(1, len(rows)) - len(found)


def _row(row: Any) -> tuple[bytes, Outcome] | None:
    match row:
        case [str(key), [p_not, p_partial, p_full], list(spans), str() | None as rationale, tokens] if (
            all(isinstance(p, float) for p in (p_not, p_partial, p_full))
            and len(rationale or "") <= LONGEST_RATIONALE
            and _is_count(tokens)
        ):
            probabilities = Probabilities(p_not, p_partial, p_full)
            evidence = [span for pair in spans if (span := _span(pair)) is not None]
            if len(evidence) < len(spans) or not is_distribution(probabilities):
                return None
            try:
                statement = bytes.fromhex(key)
            except ValueError:
                return None
            return statement, Outcome(
                result=probabilities,
                evidence=tuple(evidence),
                rationale=rationale,
                prompt_tokens=tokens,
                shared_tokens=tokens,
            )
    return None


def _span(pair: Any) -> Span | None:
    match pair:
        case [start, end] if _is_count(start) and _is_count(end) and start <= end:
            return Span(start, end)
    return None


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < MOST  # a bool is an int, too
