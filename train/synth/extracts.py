"""What the extractive writer makes of one text: what it asks and answers, its summary, its paragraphs, its triples."""

from __future__ import annotations

import re
from collections import Counter

from train.synth import forms, words
from train.synth.brief import IS
from train.synth.reports import paragraphs
from train.synth.writer import Prompt, Unwritten

__all__ = ["reading", "reformat", "summary", "triples"]


def reading(prompt: Prompt) -> forms.Reading:
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
        if number and words.length(sentence) > 6 and sentence.count(number) == 1:
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


def summary(prompt: Prompt) -> forms.Summary:
    """Its first sentence, and the sentences that share most with all the others, in their order (a centroid)."""
    brief = prompt.brief
    said = [sentence for passage in brief.passages for sentence in words.sentences(passage.text)]
    counts = Counter(word for sentence in said for word in set(words.content(sentence)))
    room = sum(words.length(sentence) for sentence in said) // 3

    def weight(sentence: str) -> float:
        telling = set(words.content(sentence))
        return sum(counts[word] - 1 for word in telling) / (len(telling) + 5)

    chosen = {said[0]} if said else set()
    for sentence in sorted(said[1:], key=weight, reverse=True):
        if sum(words.length(one) for one in chosen) + words.length(sentence) <= room:
            chosen.add(sentence)
    return forms.Summary(summary=" ".join(sentence for sentence in dict.fromkeys(said) if sentence in chosen))


def reformat(prompt: Prompt) -> forms.Report:
    """The report with its lists as paragraphs."""
    return forms.Report(report=paragraphs(prompt.values["report"]))


def triples(prompt: Prompt) -> forms.Triples:
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
