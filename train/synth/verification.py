"""Verification: claims, a plan, searches, another search where they say nothing, a report with a verdict on each.

Step-DeepResearch, arXiv 2512.20491, section 3: the roles are extract, plan, verify, replan, report; a check that
conclusion and evidence agree. Where there is no chat model, claims are made so that their verdict is known: a page's
own definition (support), another page's (refute), a year where the page has none (doubtful).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policy.models.scripted import calls, says
from policy.sources import Source
from train.synth import words
from train.synth.brief import Brief, Dropped, Fact
from train.synth.checker import Checker
from train.synth.clues import Clues
from train.synth.definitions import genus
from train.synth.forms import Claims, Finding, Queries, Verdict
from train.synth.grounds import strays
from train.synth.ports import Ports
from train.synth.seeking import conversation, run_steps
from train.synth.verdicts import by_words
from train.synth.writer import Prompt

__all__ = ["Verification", "disagreement"]

FEW, NO_SOURCE, DISAGREE = "too few pages with a definition", "nothing found", "conclusion and evidence disagree"
UNGIVEN = "claim about something else"
CLAIMS = 3
_RESULTS = 8
VERDICTS: tuple[Verdict, ...] = ("support", "refute", "doubtful")


@dataclass(frozen=True, slots=True)
class _Checked:
    claim: str
    subject: str
    queries: tuple[str, ...]
    evidence: tuple[Source, ...]
    finding: Finding


class Verification:
    """A text of three claims a brief, each checked."""

    name = "verification"
    filters = (FEW, "unreadable", UNGIVEN, NO_SOURCE, DISAGREE)

    def __init__(self, ports: Ports, clues: Clues) -> None:
        self._ports, self._clues = ports, clues

    def briefs(self, count: int) -> Sequence[Brief]:
        clear = filter(self._clues.is_clear, self._ports.corpus.documents())
        return self._ports.briefs(self.name, "verify", clear, count, draw="claims")

    async def make(self, brief: Brief) -> Mapping[str, Any]:
        ports = self._ports
        facts = self._facts(brief.source)
        written = Brief(
            id=brief.id,
            kind=self.name,
            source=brief.source,
            facts=facts,
            passages=tuple(ports.corpus.passages(brief.source)[:3]),
        )
        claims = (await ports.writer.write(Prompt("claims", written), Claims)).claims
        given = "\n".join([*(f"{f.subject} {f.object}" for f in facts), *(one.text for one in written.passages)])
        for claim in claims:
            if reason := strays(claim, given):
                raise Dropped(UNGIVEN, reason)
        checked = [await self._verify(claim, facts, number) for number, claim in enumerate(claims)]
        for one in checked:
            verdict = one.finding.verdict
            if reason := await disagreement(one.claim, verdict, one.evidence, ports.checker, one.subject):
                raise Dropped(DISAGREE, reason)
        query = (
            "Check these claims, and say of each whether sources support it, refute it or leave it in doubt:\n"
            + "\n".join(f"{number}. {claim}" for number, claim in enumerate(claims, 1))
        )
        report = "\n\n".join(_reported(number, one) for number, one in enumerate(checked, 1))
        cited = [s for one in checked for s in one.evidence if s.key in one.finding.citations]
        shown = dict.fromkeys(f"[{s.key}] {s.title}: {words.plain(s.text)}" for s in cited)
        row: dict[str, Any] = {
            "text": "\n".join([*shown, query, report]), "source": brief.source,
            "verdicts": [one.finding.verdict for one in checked],
            "task": {"id": brief.id, "query": query},
        }  # fmt: skip
        if ports.shared is not None:
            steps = [calls(("search", {"queries": [one.queries[0] for one in checked], "results": _RESULTS}))]
            if again := [query for one in checked for query in one.queries[1:]]:
                steps.append(calls(("search", {"queries": again, "results": _RESULTS})))
            record = await run_steps(brief.id, query, [*steps, says(report)], ports)
            seen = {source["key"] for source in record["sources"]}
            missing = {key for one in checked for key in one.finding.citations} - seen
            if missing:
                raise Dropped(NO_SOURCE, f"{', '.join(sorted(missing))} is not shown to the agent")
            row.update(conversation(record))
        return row

    def _facts(self, key: str) -> tuple[Fact, ...]:
        """Three claims to be: of this page and of two others, one of each verdict, in an order of their own."""
        corpus, draw = self._ports.corpus, self._ports.draw("claims of", key)
        clear = [other for other in corpus.documents() if other != key and self._clues.is_clear(other)]
        if len(clear) < 2 * CLAIMS:
            raise Dropped(FEW, f"{len(clear)} pages")
        kinds = list(VERDICTS)
        draw.shuffle(kinds)
        facts = []
        for number, (kind, document) in enumerate(zip(kinds, [key, *draw.sample(clear, CLAIMS - 1)], strict=True)):
            said = corpus.definition(document)
            if kind == "refute":
                said = next(
                    (corpus.definition(other) for other in draw.sample(clear, min(20, len(clear)))
                     if other != document and not self._ports.graph.has_edge(document, other)
                     and genus(corpus.definition(other)) != genus(said)), "",
                )  # fmt: skip
            elif kind == "doubtful":
                said = f"{said}, and was first made in {draw.randint(1951, 1989)}"
            if not said:
                raise Dropped(FEW, f"nothing is unlike {document}")
            facts.append(Fact(corpus.title(document), kind, said, f"{document}#{number}"))
        return tuple(facts)

    async def _verify(self, claim: str, facts: Sequence[Fact], number: int) -> _Checked:
        """Plan, search; where the sources name the subject nowhere, plan again; conclude."""
        ports = self._ports
        brief = Brief(id=f"{number}", kind=self.name, asked=claim, facts=tuple(facts[number : number + 1]))
        queries = (await ports.writer.write(Prompt("queries", brief), Queries)).queries
        subject = facts[number].subject if number < len(facts) and claim.startswith(facts[number].subject) else ""
        used, evidence = [queries[0]], [found.source for found in await ports.provider.search(queries[0], _RESULTS)]
        if not any(words.is_named(f"{one.title} . {one.text}", [subject] if subject else [claim]) for one in evidence):
            for query in queries[1:2]:
                used.append(query)
                evidence += [found.source for found in await ports.provider.search(query, _RESULTS)]
        about = [
            one
            for one in evidence
            if not subject or words.is_named(f"{one.title} . {words.plain(one.text)}", [subject])
        ]
        if not about:
            raise Dropped(NO_SOURCE, claim[:100])
        about = list({one.key: one for one in about}.values())[:_RESULTS]
        written = Brief(id=f"{number}", kind=self.name, asked=claim, passages=tuple(about), facts=brief.facts)
        finding = await ports.writer.write(Prompt("verdict", written), Finding)
        keys = {one.key for one in about}
        if not finding.citations or not set(finding.citations) <= keys:
            raise Dropped(NO_SOURCE, f"cites {finding.citations}")
        return _Checked(claim, subject, tuple(used), tuple(about), finding)


def _reported(number: int, one: _Checked) -> str:
    said = f"{one.finding.verdict.capitalize()}: {one.finding.reason.rstrip('.')}"
    return f"{number}. {one.claim} {said} \\cite{{{', '.join(one.finding.citations)}}}."


async def disagreement(
    claim: str, verdict: Verdict, evidence: Sequence[Source], checker: Checker | None, subject: str = ""
) -> str:
    """Why a conclusion does not follow from its evidence, as the judge sees it, or its words; "" where it does.

    The judge is asked whether the evidence states the claim; what it leaves open is left to the words.
    """
    if checker is not None:
        text = "\n\n".join(f"{one.title}: {words.plain(one.text)}" for one in evidence)
        (sure,) = await checker.holds(claim, text, [f"States that {claim}"])
        if sure is not None:
            is_off = (sure >= 0.5) != (verdict == "support")
            return f"{verdict}, and the judge gives {sure:.2f} to {claim[:80]!r}" if is_off else ""
    found = by_words(claim, evidence, subject)
    return "" if found == verdict else f"{verdict}, and by its words {found}: {claim[:80]!r}"
