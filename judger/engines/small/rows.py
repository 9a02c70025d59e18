"""A report and its criteria as one row of tokens: a prefix that all criteria share, and a branch for each.

The prefix is the union of the passages that the built-in judge's rule chooses for the criteria, in the report's order
and under their headings, not the whole report. Every criterion's best passage comes before any criterion's second
best, until the room is used up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from judger.engines.mini.passage import ABOUT_FORM, NEVER, Pages, counted
from judger.engines.mini.signals import FormSignals, form_signals
from judger.engines.mini.text import Floats
from judger.engines.packed import Packed
from judger.engines.tokens import PLAIN

PREFIX_TOKENS = 900
"""Chosen on held-out tasks: what was trained on 600 reads 900 better than 600 or 1,300."""
QUERY_TOKENS = 60
UNIT_TOKENS = 90
HEADING_TOKENS = 20
CRITERION_TOKENS = 110
BRANCHES, BRANCH_TOKENS = 64, 2_048
"""Of one row: their mask takes the square of their tokens."""
LEAST = 3
"""No unit has fewer tokens."""
LONGEST = 32
"""Characters of a token, at most: so far a text is looked at."""
DEPTH = 24
"""So many of a criterion's passages are looked at, at most."""
WORDS = (" no", " partly", " yes")
"""What the head's three outputs begin as: the model's own words for not, partially and fully."""


def pack(
    query: str,
    pages: Pages,
    criteria: Sequence[str],
    negative: Sequence[bool],
    scores: Sequence[Floats],
    tokenizer: Any,
    room: int = PREFIX_TOKENS,
    form: FormSignals | None = None,
) -> list[Packed]:
    """Criteria of one report with their signs; scores: (u,) of each. All see one prefix, of `room` tokens at most; a
    row takes `BRANCHES`. form: the report's signals, where they are known already.
    """
    counts = counted(form or form_signals(pages.text)) if any(map(ABOUT_FORM.search, criteria)) else ""
    prefix = prefix_ids(query, pages, scores, counts, tokenizer, room)
    rows: list[Packed] = []
    for text, sign in zip(criteria, negative, strict=True):
        branch = branch_ids(text, sign, tokenizer)
        if not rows or not _has_room(rows[-1], len(branch)):
            rows.append(Packed(list(prefix), len(prefix), []))
        begin = len(rows[-1].ids)
        rows[-1].ids += branch
        rows[-1].branches.append((begin, begin + len(branch)))
    return rows


def _has_room(row: Packed, tokens: int) -> bool:
    return len(row.branches) < BRANCHES and len(row.ids) + tokens - row.prefix <= BRANCH_TOKENS


def prefix_ids(
    query: str, pages: Pages, scores: Sequence[Floats], counts: str, tokenizer: Any, room: int = PREFIX_TOKENS
) -> list[int]:
    """The query, the report's counts where any criterion asks about form, and what the report holds of the criteria.

    scores: (u,) of each criterion.
    """
    head = [*_ids("Question: ", tokenizer), *_ids(query, tokenizer, QUERY_TOKENS)]
    if counts:
        head += _ids("\nCounts: " + counts.strip(), tokenizer)
    out = [*head, *_ids("\n\nFrom the report:\n", tokenizer)]
    kept: dict[int, list[int]] = {}
    headings: dict[int, list[int]] = {}
    room -= len(out)
    for unit in ranked(pages, scores):
        if room < LEAST:
            break
        tokens, heading = _unit(pages, unit, tokenizer), int(pages.outline.heading[unit])
        above = _heading(pages, heading, tokenizer) if heading >= 0 and heading not in headings else []
        if len(tokens) + len(above) > room:
            continue
        kept[unit] = tokens
        headings.setdefault(heading, above)
        room -= len(tokens) + len(above)
    last = None
    for unit in sorted(kept):
        heading = int(pages.outline.heading[unit])
        if heading >= 0 and heading != last:
            out += headings[heading]
            last = heading
        out += kept[unit]
    return out


def ranked(pages: Pages, scores: Sequence[Floats]) -> list[int]:
    """Units, each criterion's best before any criterion's second best.

    Nothing that repeats one of the criteria, which the others would show it; and no heading, which comes with what it
    heads, unless there is nothing else.
    """
    orders = [np.argsort(-score, kind="stable")[:DEPTH] for score in scores]
    shut = np.any([score <= NEVER for score in scores], axis=0) if scores else np.zeros(0, np.bool_)
    is_heading = pages.outline.is_heading
    found: dict[int, bool] = {}
    for rank in range(max(map(len, orders), default=0)):
        for order in orders:
            if rank < len(order) and not shut[order[rank]]:
                found[int(order[rank])] = bool(is_heading[order[rank]])
    return [unit for unit, heads in found.items() if not heads] or list(found)


def branch_ids(text: str, negative: bool, tokenizer: Any) -> list[int]:
    """What a criterion adds: its sign and text, and the answer's cue."""
    out = _ids("\nFlaw: " if negative else "\nRequirement: ", tokenizer)
    out += _ids(text, tokenizer, CRITERION_TOKENS)
    return out + _ids("\nPresent (no, partly, yes):" if negative else "\nMet (no, partly, yes):", tokenizer)


def _unit(pages: Pages, unit: int, tokenizer: Any) -> list[int]:
    start, end = pages.spans[unit]
    return [*_ids("- " + pages.clean(start, end).strip(), tokenizer, UNIT_TOKENS), *_ids("\n", tokenizer)]


def _heading(pages: Pages, unit: int, tokenizer: Any) -> list[int]:
    start, end = pages.spans[unit]
    return [*_ids("# " + pages.clean(start, end).strip(), tokenizer, HEADING_TOKENS), *_ids("\n", tokenizer)]


def _ids(text: str, tokenizer: Any, most: int = 256) -> list[int]:
    """The first tokens of a text, in which no name of a special token is one. What lies far behind them is not looked
    at: a sentence may have a megabyte."""
    return list(tokenizer(text[: most * LONGEST], **PLAIN)["input_ids"][:most])
