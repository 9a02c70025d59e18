"""Tasks for reinforcement learning: two-step reverse synthesis over briefs (arXiv 2512.20491, section 4.3.1).

The steps and their gates are those of `train.tasks.synthesis`: a hidden summary and a rubric, the query, the roles
looked at again, and an independent judge on whether it all agrees. Only the subject is another: pages of a corpus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from train.synth.brief import IS, Brief, Dropped, Fact
from train.synth.clues import Clues
from train.synth.forms import Asked
from train.synth.ports import Ports
from train.synth.writer import Prompt, Writer
from train.tasks.chat import Roles, Rubric
from train.tasks.draft import Assessment, Draft
from train.tasks.funnel import Funnel
from train.tasks.synthesis import synthesise

__all__ = ["BriefWriter", "Tasks"]

FEW = "too few pages with a definition"
_NEIGHBOURS = (2, 4)


class Tasks:
    """One task a page and what it refers to. Needs a judge: without one there is no gate of consistency."""

    name = "tasks"
    filters = (FEW, "unreadable", "role changed", "same query", "unscored", "irrelevant criterion", "inconsistent")

    def __init__(self, ports: Ports, clues: Clues) -> None:
        if ports.checker is None:
            raise ValueError("tasks need a judge")
        self._ports, self._clues, self._client = ports, clues, ports.checker.client

    def briefs(self, count: int) -> Sequence[Brief]:
        clear = filter(self._clues.is_clear, self._ports.corpus.documents())
        return self._ports.briefs(self.name, "task", clear, count, draw="tasks")

    async def make(self, brief: Brief) -> Mapping[str, Any]:
        written = self._written(brief)
        funnel = Funnel(brief.id)
        kept = await synthesise([written], BriefWriter(self._ports.writer), self._client, funnel)
        if not kept:
            by = next(name for name, count in funnel.dropped.items() if count)
            raise Dropped(by, funnel.examples.get(by, ""))
        (sample,) = kept
        return {
            "task": {"id": brief.id, "query": sample.query, "criteria": sample.draft.rows()},
            "source": brief.source, "summary": sample.draft.summary, "agreement": round(sample.agreement, 4),
            "reasons": [assessment.reason for assessment in sample.assessments],
            "written": f"{sample.query}\n{sample.draft.summary}",
        }  # fmt: skip

    def _written(self, brief: Brief) -> Brief:
        """The page and its neighbours as facts: the page and two of them are asked for, the others are a bonus."""
        corpus, graph, draw = self._ports.corpus, self._ports.graph, self._ports.draw("task", brief.source)
        near = [node for node in graph.successors(brief.source) if self._clues.is_clear(node)]
        if len(near) < _NEIGHBOURS[0]:
            raise Dropped(FEW, f"{brief.source} refers to {len(near)}")
        draw.shuffle(near)
        pages = [brief.source, *near[: _NEIGHBOURS[1]]]
        facts = [Fact(corpus.title(page), IS, corpus.definition(page), corpus.passages(page)[0].key) for page in pages]
        far = [page for page in draw.sample(list(corpus.documents()), min(60, len(corpus.documents())))
               if self._clues.is_clear(page) and page not in pages]  # fmt: skip
        if not far:
            raise Dropped(FEW, "no other page to take for it")
        false = Fact(facts[0].subject, "is falsely", corpus.definition(far[0]), corpus.passages(far[0])[0].key)
        asked = [fact.subject for fact in facts[:3]]
        passages = tuple(corpus.passages(page)[0] for page in pages)
        return Brief(
            id=brief.id, kind=self.name, source=brief.source, facts=(*facts, false), passages=passages,
            asked=", ".join(asked), names=tuple(asked),
        )  # fmt: skip


class BriefWriter:
    """A writer of this package in the shape that the synthesis asks for; the card is a brief."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    @property
    def name(self) -> str:
        return self._writer.name

    async def draft(self, card: Brief) -> Draft:
        return (await self._writer.write(Prompt("rubric", card), Rubric)).draft()

    async def query(self, card: Brief, draft: Draft) -> str:
        prompt = Prompt("query", card, {"rubric": _shown(draft)})
        return (await self._writer.write(prompt, Asked)).question

    async def reassess(self, query: str, card: Brief, draft: Draft) -> Sequence[Assessment]:
        prompt = Prompt("roles", card, {"query": query, "rubric": _shown(draft, roles=False)})
        return (await self._writer.write(prompt, Roles)).assessments(draft)


def _shown(draft: Draft, *, roles: bool = True) -> str:
    return "\n".join(f"{c.id}{f' ({c.role.value})' if roles else ''}: {c.text}" for c in draft.criteria)
