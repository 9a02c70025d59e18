"""What a criterion's text says of itself: its wrapper, its core, its polarity, its numbers and names. No torch here.

"The text states that: X", "Mentions X" and "Does the contract contain X?" all ask for X. The wrapper tells how to
read, the core tells what to look for: evidence is weighed on the core, the reader sees both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_THING = (
    r"(?:text|report|answer|response|document|summary|statement|article|passage|content|essay|output|contract|"
    r"agreement|paper|author|writer|analysis|source|completion|reply|message|explanation)s?"
)
_VERB = (
    r"(?:stat|mention|say|not|explain|describ|identif|includ|discuss|provid|conclud|contain|claim|report|cit|list|"
    r"giv|present|address|cover|specif|recommend|suggest|emphasi[sz]|highlight|acknowledg|compar|defin|clarif|"
    r"outlin|indicat|point|warn|advis|assert|argu|convey|propos|referenc|summari[sz]|quot|assess|evaluat|analy[sz])"
    r"(?:e|es|s|y|ies|ing|ed|ied|t|ts)?"
)
_COLON = re.compile(rf"[^:\n]{{0,110}}\b{_THING}\b[^:\n]{{0,70}}:\s+(?=\S)", re.IGNORECASE)
_SUBJECT = re.compile(
    rf"(?:(?:the|this|that)\s+(?:\w+\s+)?{_THING}|it)\s+(?:(?:\w+ly|must|should|also)\s+)*{_VERB}\b(?:\s+out)?(?:\s+that)?[\s:,]+",
    re.IGNORECASE,
)
_BARE = re.compile(rf"(?:\w+ly\s+)?{_VERB}(?:\s+out)?(?:\s+that)?[\s:,]+(?=\w)", re.IGNORECASE)
_QUESTION = re.compile(
    rf"(?:(?:does|do|did|is|are|has|have|can|will)\s+(?:the|this)\s+(?:\w+\s+)?{_THING}\s+(?:\w+ly\s+)?(?:{_VERB}\s+)?(?:that\s+)?|(?:is|are)\s+there\s+)",
    re.IGNORECASE,
)
_OMISSION = re.compile(
    rf"(?:(?:the|this)\s+(?:\w+\s+)?{_THING}\s+|it\s+)?(?:\w+ly\s+)?(?:omit\w*|fail(?:s|ed)?\s+to\s+\w+|does\s+not\s+(?:\w+ly\s+)?\w+|"
    rf"doesn[’']t\s+\w+|lacks?|miss(?:es|ing)|neglects?\s+to\s+\w+|leaves?\s+out|ignor(?:es|ing)|overlooks?|"
    rf"(?:contains?|makes?|gives?)\s+no\s+\w+|no\s+mention\s+of|never\s+\w+|skips?|excludes?)"
    rf"(?:\s+(?:any\s+)?(?:mention|statement|point|fact|information|claim)s?)?(?:\s+(?:of|that|to|the\s+fact\s+that))*[\s:,]+",
    re.IGNORECASE,
)
_CONTRADICTION = re.compile(
    rf"(?:(?:the|this)\s+(?:\w+\s+)?{_THING}\s+|it\s+)?(?:\w+ly\s+)?(?:contradict\w*|den(?:ies|y)|misstat\w+|misrepresent\w*|"
    rf"conflicts?\s+with|disputes?|gets?\s+\w+\s+wrong|is\s+(?:wrong|inconsistent|incorrect)\s+\w+)"
    rf"(?:\s+(?:the\s+)?(?:fact|statement|claim|point))?(?:\s+(?:of|that))*[\s:,]+",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[A-Za-z][\w'’-]*")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nor|neither|without|cannot|fail(?:s|ed)?|lack(?:s|ed)?|unable|denied|denies|deny|refus\w+|"
    r"false|incorrect|unlike|rarely|hardly)\b|n[’']t\b| n't\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The core begins at character `start`. `omission`: satisfied when the core is absent; `contradiction`: denied."""

    start: int
    wrapped: bool
    omission: bool
    contradiction: bool
    question: bool


def read(text: str) -> Reading:
    """Where the core of a criterion begins, and what the wrapper asks of it."""
    lead = len(text) - len(text.lstrip())
    body = text[lead:]
    question = body.rstrip().endswith("?")
    for pattern, omission, contradiction in (
        (_OMISSION, True, False),
        (_CONTRADICTION, False, True),
        (_COLON, False, False),
        (_SUBJECT, False, False),
        (_QUESTION, False, False),
        (_BARE, False, False),
    ):
        match = pattern.match(body)
        if match and len(body) - match.end() >= 8:
            return Reading(lead + match.end(), True, omission, contradiction, question)
    return Reading(lead, False, False, False, question)


def numbers(text: str) -> frozenset[str]:
    """The numbers of a text, thousands separators removed: "1,599" and "1599" are one."""
    return frozenset(n.replace(",", "").rstrip(".") for n in _NUMBER.findall(text))


def names(text: str) -> frozenset[str]:
    """Capitalised words that do not open a sentence, in lower case."""
    found = set()
    for match in _WORD.finditer(text):
        word = match.group()
        before = text[: match.start()].rstrip(" \"'“‘([")
        if word[0].isupper() and before and before[-1] not in ".!?:\n" and len(word) > 1:
            found.add(word.lower().removesuffix("'s").removesuffix("’s"))
    return frozenset(found)


def words(text: str) -> frozenset[str]:
    """All words of a text, in lower case."""
    return frozenset(w.lower().removesuffix("'s").removesuffix("’s") for w in _WORD.findall(text))


def is_negated(text: str) -> bool:
    """Whether the text holds a negation."""
    return _NEGATION.search(text) is not None
