"""The writer that needs no model: what it writes is put together from the brief's own facts and passages (tier 2)."""

from __future__ import annotations

from collections.abc import Callable

from train.synth import forms
from train.synth.brief import IS, Brief
from train.synth.writer import Prompt, Reply, Unwritten

__all__ = ["ExtractiveWriter"]


class ExtractiveWriter:
    """Writes what is true because the corpus says it, and says nothing else. Raises Unwritten for other prompts."""

    name = "extractive"
    tier = 2

    async def write(self, prompt: Prompt, kind: type[Reply]) -> Reply:
        maker = _MAKERS.get(prompt.name)
        if maker is None:
            raise Unwritten(f"the extractive writer has no {prompt.name}")
        made = maker(prompt.brief)
        assert isinstance(made, kind)
        return made


def _subgraph(brief: Brief) -> forms.Asked:
    """Every entity but the answer by its definition; the answer by its kind."""
    clues = [fact.object for fact in brief.facts if fact.relation == IS]
    listed = "; ".join(f"({number}) {clue}" for number, clue in enumerate(clues, 1))
    kind = brief.asked or "subject"
    return forms.Asked(question=f"Which {kind} has a page that refers to each of these: {listed}?")


def _walk(brief: Brief) -> forms.Asked:
    start = next(fact.object for fact in brief.facts if fact.relation == IS)
    kinds = [fact.object for fact in brief.facts if fact.relation == "is a kind of"]
    steps = [f"Among the pages that this page refers to, take the one about {kinds[0]}."]
    steps += [f"Among those that it refers to in turn, take the one about {kind}." for kind in kinds[1:]]
    return forms.Asked(question=f"Begin at the page about {start}. {' '.join(steps)} What is that page's title?")


_MAKERS: dict[str, Callable[[Brief], object]] = {"subgraph": _subgraph, "walk": _walk}
