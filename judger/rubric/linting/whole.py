"""What a rubric shows as a whole: criteria for one thing, those that nothing asks for, weights, flaws."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from judger.rubric.linting.findings import Finding
from judger.rubric.linting.wording import WORD, is_english, without_examples
from judger.types import Criterion

DUPLICATE_OVERLAP = 0.75
"""Of the words that carry meaning, from which share on two criteria are one, without a look at what they mean."""
SAME = 0.95
"""Cosine from which on two criteria are one, whatever else there is."""
PAIR = 0.72
"""Cosine from which on two of several criteria are about one thing where neither is as near to any other: below it, and
without that, they share no more than the rubric's topic."""
FAR = 0.5
"""Cosine with the query plus the mean of the nearest criteria, below which a criterion is about something else."""
ENOUGH, NEIGHBOURS = 4, 3
FEW = 3
"""Words that carry meaning, below which nothing tells what a criterion is about."""
OUTLIER = 10.0

COUNTING = frozenset(
    "one two three four five six seven eight nine ten first second third fourth fifth last final next previous both "
    "beyond before after".split()
)
FILLER = frozenset(
    "the a an this that response report answer of to in on for and or with its it is are be by from at as does do not "
    "fails fail should must lacks omits include includes mention mentions discuss discusses provide provides state "
    "states explain explains describe describes any says names name gives give lists list least what how why".split()
)
NAME = re.compile(r"\b(?:\w*\d\w*|(?<!^)[A-Z]\w+)\b")
# Criteria about the report itself are near neither the query nor the others, and need not be.
FORM = re.compile(
    r"\b(?:format\w*|layout|structure\w*|sections?|headings?|headers?|bullet\w*|tables?|diagrams?|paragraphs?|sentences?"
    r"|tone|style|language|grammar|grammatical|spelling|fluen\w*|concise\w*|redundan\w*|clarity|readab\w*|organi[sz]\w*"
    r"|cit(?:e|es|ed|ing|ation|ations)|sources?|references?|bibliograph\w*|words?|phrasing|examples?|jargon|terms"
    r"|terminology|introduction|conclusion|summary|authors?|links?|urls?|markdown|latex|first[- ]person|apolog\w*"
    r"|acronyms?|abbreviations?|harmful|offensive)\b",
    re.IGNORECASE,
)

Matrix = Sequence[Sequence[float]]


def overlaps(criteria: Sequence[Criterion], near: Matrix | None) -> Iterator[Finding]:
    """Each criterion that asks what one before it asks, or the opposite.

    near (n, n): how near in meaning; without it, only those that share most of the words that carry meaning.
    """
    nearest = _nearest(near) if near is not None and len(criteria) >= ENOUGH else []
    words = [WORD.findall(without_examples(criterion.text).lower()) for criterion in criteria]
    bags = [_bag(one) for one in words]
    names = [frozenset(NAME.findall(criterion.text)) for criterion in criteria]
    for i in range(len(criteria)):
        best, how = None, 0.0
        for j in range(i):
            shared, either = len(bags[i] & bags[j]), len(bags[i] | bags[j])
            by_words = shared >= 3 and shared >= DUPLICATE_OVERLAP * either and names[i] == names[j]
            nearness = near[i][j] if near is not None else 0.0
            is_pair = bool(nearest) and nearness >= PAIR and (nearest[i], nearest[j]) == (j, i)
            alike = by_words or ((is_pair or nearness >= SAME) and not _is_series(words[i], words[j]))
            if alike and not (bags[i] ^ bags[j]) & COUNTING and max(nearness, by_words) > how:
                best, how = j, max(nearness, float(by_words))
        if best is not None:
            opposite = criteria[i].is_negative != criteria[best].is_negative
            kind = "asks the opposite of" if opposite else "asks much the same as"
            yield Finding("overlap", i, f"{kind} criterion {criteria[best].id!r}: it may count twice")


def _bag(words: Sequence[str]) -> frozenset[str]:
    return frozenset(words) - FILLER


def _nearest(near: Matrix) -> list[int]:
    """Of each the other one that is nearest."""
    return [max((j for j in range(len(row)) if j != i), key=row.__getitem__) for i, row in enumerate(near)]


def _is_series(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two texts are one frame with another filling ("accuracy of rules", "accuracy of networks")."""
    blocks = SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
    kept = sum(end - start for how, start, end, _, _ in blocks if how == "equal")
    return kept >= 0.6 * max(len(one), len(other)) and any(how == "replace" for how, *_ in blocks)


def unrelated(criteria: Sequence[Criterion], near: Matrix, query: Sequence[float]) -> Iterator[Finding]:
    """Each criterion on the content that is far from the query and from every other. query (n,): cosines with it."""
    if len(criteria) < ENOUGH:
        return
    for i, criterion in enumerate(criteria):
        if len(_bag(WORD.findall(criterion.text.lower()))) < FEW or not is_english(criterion.text):
            continue
        others = sorted((near[i][j] for j in range(len(criteria)) if j != i), reverse=True)[:NEIGHBOURS]
        if query[i] + statistics.fmean(others) < FAR and not FORM.search(criterion.text):
            yield Finding(
                "unrelated", i, "neither the query nor any other criterion is about this: does it belong here?"
            )


def weights(criteria: Sequence[Criterion]) -> Iterator[Finding]:
    """What is wrong with the weights together."""
    if criteria and not any(c.weight > 0 for c in criteria):
        yield Finding("no-positive-weight", None, "no criterion has a positive weight: the best reward is 0")
    if len(criteria) < ENOUGH:
        return
    if not any(c.is_negative for c in criteria):
        message = "no criterion is a flaw: add what a report must not do, with a negative weight"
        yield Finding("no-flaws", None, message)
    sizes = [abs(c.weight) for c in criteria]
    usual = statistics.median(sizes)
    for i, size in enumerate(sizes):
        if size >= OUTLIER * usual or size > sum(sizes) / 2:
            message = f"weighs {size:g}, where the middle one weighs {usual:g}: this criterion decides the reward"
            yield Finding("weight-out-of-proportion", i, message)
