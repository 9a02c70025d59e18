"""Active reading: a text with questions that it answers, the same in other words, and a summary.

Of mid-training stage I (Step-DeepResearch, arXiv 2512.20491, table 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from policy.sources import Source
from train.synth import words
from train.synth.brief import REFERS, Brief, Dropped, Fact
from train.synth.clues import Clues
from train.synth.forms import Reading, Summary
from train.synth.grounds import strays, supported
from train.synth.ports import Ports
from train.synth.writer import Prompt

__all__ = ["ActiveReading", "unanswered"]

TOO_SHORT, NOT_THERE, LONG, UNSUPPORTED = (
    "too short", "answer not in the text", "summary too long", "not supported by the text"
)  # fmt: skip
_LEAST_WORDS = 60
_MOST_WORDS = 1200
_SHARE = 0.5
"""A summary has at most this share of the text's words."""


class ActiveReading:
    """One text a document; of a long one its beginning, as far as whole passages fit."""

    name = "reading"
    filters = (TOO_SHORT, "unreadable", NOT_THERE, LONG, UNSUPPORTED)

    def __init__(self, ports: Ports, clues: Clues) -> None:
        self._ports, self._clues = ports, clues

    def briefs(self, count: int) -> Sequence[Brief]:
        return self._ports.briefs(self.name, "read", self._ports.corpus.documents(), count, draw="reading")

    async def make(self, brief: Brief) -> Mapping[str, Any]:
        ports, key = self._ports, brief.source
        passages = _beginning(ports.corpus.passages(key))
        title = ports.corpus.title(key)
        text = "\n".join(words.plain(one.text) for one in passages)
        if words.length(text) < _LEAST_WORDS:
            raise Dropped(TOO_SHORT, f"{key}: {words.length(text)} words")
        linked = (
            [other for other in ports.graph.successors(key) if self._clues.is_clear(other)]
            if key in ports.graph
            else []
        )
        facts = [
            Fact(ports.graph.edges[key, other]["evidence"][0][1], REFERS, ports.corpus.definition(other), f"{other}#1")
            for other in linked[:4]
        ]
        written = Brief(
            id=brief.id,
            kind=self.name,
            source=key,
            asked=ports.corpus.title(key),
            passages=passages,
            facts=tuple(facts),
        )
        reading = await ports.writer.write(Prompt("reading", written), Reading)
        summary = (await ports.writer.write(Prompt("summary", written), Summary)).summary
        pairs = [pair for pair in reading.questions if not unanswered(pair.question, pair.answer, text)]
        if not pairs:
            raise Dropped(NOT_THERE, reading.questions[0].question)
        if words.length(summary) > _SHARE * words.length(text):
            raise Dropped(LONG, f"{key}: {words.length(summary)} of {words.length(text)} words")
        known = " ".join([text, title, *(fact.object for fact in facts)])
        for part in (summary, reading.rewrite):
            if reason := strays(part, known) or supported(part, known):
                raise Dropped(UNSUPPORTED, reason)
        asked = "\n".join(f"Question: {pair.question}\nAnswer: {pair.answer}" for pair in pairs)
        return {
            "text": f"{title}\n{text}\n{asked}\nIn other words: {reading.rewrite}\nSummary: {summary}",
            "written": reading.rewrite,
            "source": key, "passages": [one.key for one in passages],
        }  # fmt: skip


def _beginning(passages: Sequence[Source]) -> tuple[Source, ...]:
    size, kept = 0, []
    for passage in passages:
        size += words.length(passage.text)
        if kept and size > _MOST_WORDS:
            break
        kept.append(passage)
    return tuple(kept)


def unanswered(question: str, answer: str, text: str) -> str:
    """Why a pair is none: the answer is not in the text, or is in the question, or the question is not about it."""
    if not words.is_named(text, [answer]):
        return f"{answer!r} is not in the text"
    if words.is_named(question, [answer]):
        return f"{answer!r} is in the question"
    return strays(question, text)
