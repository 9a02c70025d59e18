"""What a search shows: that two things are linked, or that a question needs no more than one."""

from __future__ import annotations

from collections.abc import Sequence

from policy.sources import Source
from policy.tools.search import Provider
from train.synth import words

__all__ = ["TOP", "shortcut", "shown"]

TOP = 5
"""Passages that one search shows the agent by default."""
_DEEP = 20


async def shown(
    provider: Provider, one: Sequence[str], other: Sequence[str], *, within: str = "", limit: int = _DEEP
) -> Source | None:
    """A passage that a search for both names finds and that names both, its title counted; None where none does.

    This is how an edge is verified before it is used (arXiv 2512.20491, section 3): the passage is its evidence. It has
    to be of the document `within`, where one is named: that a page refers to a thing is shown by that page.
    """
    for found in await provider.search(f"{one[0]} {other[0]}", limit):
        if within and found.source.key.partition("#")[0] != within:
            continue
        text = f"{found.source.title} . {words.plain(found.source.text)}"
        if words.is_named(text, one) and words.is_named(text, other):
            return found.source
    return None


async def shortcut(provider: Provider, question: str, names: Sequence[str], limit: int = TOP) -> str:
    """The key of a passage that names the answer and is found by the question, or by a sentence of it; or ""."""
    queries = dict.fromkeys([question, *(part for part in words.sentences(question) if words.length(part) > 3)])
    for query in queries:
        for found in await provider.search(query, limit):
            if words.is_named(f"{found.source.title} . {words.plain(found.source.text)}", names):
                return found.source.key
    return ""
