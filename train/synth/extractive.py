"""The writer that needs no model: what it writes is put together from the brief's own facts and passages (tier 2)."""

from __future__ import annotations

from collections.abc import Callable

from train.synth import extracts, forms, words
from train.synth.brief import IS
from train.synth.verdicts import coverage, defining
from train.synth.writer import Prompt, Reply, Unwritten
from train.tasks.chat import Roles, Rubric

__all__ = ["ExtractiveWriter"]


class ExtractiveWriter:
    """Writes what is true because the corpus says it, and says nothing else.

    Raises Unwritten for other prompts than its own, and where the corpus is Chinese or Japanese.
    """

    name = "extractive"
    tier = 2

    async def write(self, prompt: Prompt, kind: type[Reply]) -> Reply:
        """Put it together from the brief."""
        maker = _MAKERS.get(prompt.name)
        if maker is None:
            raise Unwritten(f"the extractive writer has no {prompt.name}")
        if prompt.is_cjk and prompt.name not in ("reformat", "summary"):
            raise Unwritten("the extractive writer's own words are English: for other languages give a --writer")
        made = maker(prompt)
        assert isinstance(made, kind)
        return made


def _subgraph(prompt: Prompt) -> forms.Asked:
    """Every entity but the answer by its definition; the answer by its kind."""
    brief = prompt.brief
    clues = [fact.object for fact in brief.facts if fact.relation == IS]
    listed = "; ".join(f"({number}) {clue}" for number, clue in enumerate(clues, 1))
    kind = brief.asked or "subject"
    return forms.Asked(question=f"Which {kind} has a page that refers to each of these: {listed}?")


def _walk(prompt: Prompt) -> forms.Asked:
    brief = prompt.brief
    start = next(fact.object for fact in brief.facts if fact.relation == IS)
    kinds = [fact.object for fact in brief.facts if fact.relation == "is a kind of"]
    steps = [f"Among the pages that this page refers to, take the one about {kinds[0]}."]
    steps += [f"Among those that it refers to in turn, take the one about {kind}." for kind in kinds[1:]]
    return forms.Asked(question=f"Begin at the page about {start}. {' '.join(steps)} What is that page's title?")


def _plan(prompt: Prompt) -> forms.Plan:
    """The title and what the abstract says without results; a step a topic."""
    brief = prompt.brief
    title, _, about = brief.asked.partition(". ")
    topics = [fact.object for fact in brief.facts]
    steps = [f"Investigate {topic}." for topic in topics]
    return forms.Plan(
        task=f"Write a report: {title}. {about}".strip(), steps=[*steps, "Write the report and cite each fact."]
    )


def _claims(prompt: Prompt) -> forms.Claims:
    return forms.Claims(claims=[f"{fact.subject} is {fact.object}." for fact in prompt.brief.facts])


def _queries(prompt: Prompt) -> forms.Queries:
    subject = prompt.brief.facts[0].subject
    return forms.Queries(queries=[subject, f"{subject} {words.short(prompt.brief.facts[0].object, 8)}"])


def _verdict(prompt: Prompt) -> forms.Finding:
    """What the claim was made as; whether the evidence found says so, too, is for the filter to find out."""
    brief = prompt.brief
    (fact,) = brief.facts
    own = defining(brief.passages, fact.subject)
    nearest = max(own or brief.passages, key=lambda one: coverage(brief.asked, one.text))
    deciding = own[0] if own and fact.relation == "refute" else nearest
    said = next(iter(words.sentences(deciding.text)), "")
    reasons = {
        "support": f"the source says: {said}",
        "refute": f"the source says otherwise: {said}",
        "doubtful": f"the sources found say only: {said}",
    }
    return forms.Finding.model_validate(
        {"verdict": fact.relation, "reason": reasons[fact.relation], "citations": [deciding.key]}
    )


def _rubric(prompt: Prompt) -> Rubric:
    brief = prompt.brief
    criteria: list[dict[str, object]] = []
    for fact in brief.facts:
        said = f"Says that {fact.subject} is {words.short(fact.object, 40).removesuffix(' …')}."
        if fact.relation != IS:
            criteria.append({"text": said, "weight": -4, "role": "negative", "axis": "factual"})
        elif fact.subject in brief.names:
            criteria.append({"text": said, "weight": 4, "role": "explicit", "axis": "factual"})
        else:
            criteria.append({"text": said, "weight": 2, "role": "implicit", "axis": "factual"})
    criteria.append({"text": "Has at least 2 citations.", "weight": 2, "role": "implicit", "axis": "references"})
    summary = " ".join(f"{fact.subject} is {fact.object}." for fact in brief.facts if fact.relation == IS)
    return Rubric.model_validate({"summary": summary, "criteria": criteria})


def _query(prompt: Prompt) -> forms.Asked:
    first, *others = prompt.brief.names
    return forms.Asked(question=f"What is {first}? Explain {' and '.join(others)}, too.")


def _roles(prompt: Prompt) -> Roles:
    """Explicit is what speaks of a thing that the question names; a false statement is a flaw whatever was asked."""
    query, brief = prompt.values["query"], prompt.brief
    false = [words.short(fact.object, 40).removesuffix(" …") for fact in brief.facts if fact.relation != IS]
    roles = []
    for line in prompt.values["rubric"].split("\n"):
        identity, _, text = line.partition(": ")
        subject = text.removeprefix("Says that ").partition(" is ")[0]
        if any(text.endswith(f" is {said}.") for said in false):
            roles.append({"id": identity, "role": "negative", "reason": "No source says so."})
        elif words.is_named(query, [subject]):
            roles.append({"id": identity, "role": "explicit", "reason": f"The question names {subject}."})
        else:
            roles.append({"id": identity, "role": "implicit", "reason": "The question does not ask for it."})
    return Roles.model_validate({"roles": roles})


_MAKERS: dict[str, Callable[[Prompt], object]] = {
    "subgraph": _subgraph,
    "walk": _walk,
    "plan": _plan,
    "reading": extracts.reading,
    "summary": extracts.summary,
    "claims": _claims,
    "queries": _queries,
    "verdict": _verdict,
    "reformat": extracts.reformat,
    "rubric": _rubric,
    "query": _query,
    "roles": _roles,
    "triples": extracts.triples,
}
