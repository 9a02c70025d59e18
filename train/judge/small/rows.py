"""Packed rows with what is to be learned of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from judger.engines.mini.passage import Pages
from judger.engines.small.rows import PREFIX_TOKENS, pack
from train.judge.draw.rubrics import Row
from train.judge.packed import Lesson


def lessons(
    query: str, pages: Pages, rows: Sequence[Row], which: Sequence[int], tokenizer: Any, room: int = PREFIX_TOKENS
) -> list[Lesson]:
    """The criteria `rows` of one report, whose numbers are `which`; room: tokens of their prefix."""
    texts, signs = [row.text for row in rows], [row.negative for row in rows]
    found, at = [], 0
    for one in pack(query, pages, texts, signs, [row.score for row in rows], tokenizer, room):
        own = slice(at, at + len(one.branches))
        at += len(one.branches)
        told = ([row.label for row in rows[own]], signs[own], [row.weight for row in rows[own]])
        found.append(Lesson(one.ids, one.prefix, one.branches, list(which[own]), *told))
    return found
