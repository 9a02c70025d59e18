"""The writer that needs no model: what it writes is put together from the brief's own facts and passages (tier 2)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from train.synth import forms, words
from train.synth.brief import IS
from train.synth.reports import paragraphs
from train.synth.verdicts import coverage, defining
from train.synth.writer import Prompt, Reply, Unwritten
from train.tasks.chat import Roles, Rubric

__all__ = ["ExtractiveWriter"]


class ExtractiveWriter:
    """Writes what is true because the corpus says it, and says nothing else. Raises Unwritten for other prompts."""

    name = "extractive"
    tier = 2

    async def write(self, prompt: Prompt, kind: type[Reply]) -> Reply:
        maker = _MAKERS.get(prompt.name)
        if maker is None:
            raise Unwritten(f"the extractive writer has no {prompt.name}")
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


def _reading(prompt: Prompt) -> forms.Reading:
    """Sentences with a linked name or a number taken out; the text again with a linked thing told by its definition."""
    brief = prompt.brief
    said = [sentence for passage in brief.passages for sentence in words.sentences(passage.text)]
    pairs: list[forms.Pair] = []
    for fact in brief.facts:
        sentence = next((one for one in said if words.is_named(one, [fact.subject])), "")
        asked = words.masked(sentence, [fact.subject])
        if sentence and not words.is_named(asked, [fact.subject]):
            pairs.append(forms.Pair(question=f"What stands in the blank: {asked}", answer=fact.subject))
    for sentence in said:
        number = next(iter(words.numbers(sentence)), "")
        if number and len(sentence.split()) > 6 and sentence.count(number) == 1:
            pairs.append(
                forms.Pair(
                    question=f"Which number stands in the blank: {sentence.replace(number, '___')}", answer=number
                )
            )
    if not pairs:
        raise Unwritten("nothing in the text can be asked about")
    rewrite = " ".join(said)
    for fact in brief.facts:
        rewrite = words.masked(rewrite, [fact.subject], f"{fact.subject} ({words.short(fact.object, 14)})")
    return forms.Reading(questions=pairs[:5], rewrite=rewrite)


def _summary(prompt: Prompt) -> forms.Summary:
    """Its first sentence, and the sentences that share most with all the others, in their order (a centroid)."""
    brief = prompt.brief
    said = [sentence for passage in brief.passages for sentence in words.sentences(passage.text)]
    counts = Counter(word for sentence in said for word in set(words.content(sentence)))
    room = sum(len(sentence.split()) for sentence in said) // 3

    def weight(sentence: str) -> float:
        telling = set(words.content(sentence))
        return sum(counts[word] - 1 for word in telling) / (len(telling) + 5)

    chosen = {said[0]} if said else set()
    for sentence in sorted(said[1:], key=weight, reverse=True):
        if sum(len(one.split()) for one in chosen) + len(sentence.split()) <= room:
            chosen.add(sentence)
    return forms.Summary(summary=" ".join(sentence for sentence in dict.fromkeys(said) if sentence in chosen))


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


def _reformat(prompt: Prompt) -> forms.Report:
    return forms.Report(report=paragraphs(prompt.values["report"]))


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


def _triples(prompt: Prompt) -> forms.Triples:
    """What the passage defines in so many words: "X is a ...", "X refers to the ..."."""
    found = []
    for sentence in words.sentences(prompt.brief.passages[0].text):
        match = _DEFINES.match(sentence)
        if match and len(match.group(2).split()) >= 4 and match.group(1).split()[0] not in _POINTERS:
            found.append({"subject": match.group(1), "relation": IS, "object": match.group(2).rstrip(" .")})
    return forms.Triples.model_validate({"triples": found})


_POINTERS = frozenset("This That These Those One Such It There Each Another Some Its The A An What Here".split())
_DEFINES = re.compile(
    r"(?:The |An? )?([A-Z][\w-]{1,30}(?: [\w-]{1,30}){0,3})(?: \([^()]{1,60}\))? "
    r"(?:is|are|refers to|describes) ((?:an?|the) [^\n]{10,400})"
)
_MAKERS: dict[str, Callable[[Prompt], object]] = {
    "subgraph": _subgraph,
    "walk": _walk,
    "plan": _plan,
    "reading": _reading,
    "summary": _summary,
    "claims": _claims,
    "queries": _queries,
    "verdict": _verdict,
    "reformat": _reformat,
    "rubric": _rubric,
    "query": _query,
    "roles": _roles,
    "triples": _triples,
}
