"""The writer that needs no model: what it writes is put together from the brief's own facts and passages (tier 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from train.synth import forms, words
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


def _plan(brief: Brief) -> forms.Plan:
    """The title and what the abstract says without results; a step a topic."""
    title, _, about = brief.asked.partition(". ")
    topics = [fact.object for fact in brief.facts]
    steps = [f"Investigate {topic}." for topic in topics]
    return forms.Plan(
        task=f"Write a report: {title}. {about}".strip(), steps=[*steps, "Write the report and cite each fact."]
    )


def _reading(brief: Brief) -> forms.Reading:
    """Sentences with a linked name or a number taken out; the text again with a linked thing told by its definition."""
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


def _summary(brief: Brief) -> forms.Summary:
    """Its first sentence, and the sentences that share most with all the others, in their order (a centroid)."""
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


_MAKERS: dict[str, Callable[[Brief], object]] = {
    "subgraph": _subgraph,
    "walk": _walk,
    "plan": _plan,
    "reading": _reading,
    "summary": _summary,
}
