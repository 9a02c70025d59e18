"""What the words of one criterion show: that it can't be verified, is ambiguous, has the wrong sign. English only."""

from __future__ import annotations

import re
from collections.abc import Iterator

from judger.rubric.linting.atomic import joined
from judger.rubric.linting.findings import Finding
from judger.types import Criterion

MAX_WORDS = 120
# Beyond this a text is far too long anyway, and the patterns below are not made for it.
MAX_CHARACTERS = 4000
SHORT = 14
"""Words up to which a criterion with one vague word says nothing else."""
LISTED = 6
"""Words from which on what stands in brackets is a list, and not the explanation of a word."""

SUBJECT = r"(?:the|this|a)?\s*+(?:final\s++)?(?:response|report|answer|article|document|text|output|essay|it)"

WEAK = (
    "good|great|nice|appropriate|appropriately|suitable|proper|properly|adequate|adequately|sufficient|sufficiently"
    "|high[- ]quality|well[- ]written|well[- ]structured|well[- ]organi[sz]ed|interesting|engaging|useful|helpful"
    "|insightful|reasonable|excellent|compelling|impressive|professional|polished|effective|effectively"
    "|comprehensive|thorough|thoroughly|in[- ]depth|easy\\s+to\\s+(?:read|follow|understand)|readable|coherent"
)
VAGUE_WORD = re.compile(rf"\b(?<!where )(?<!as )(?:{WEAK})\b", re.IGNORECASE)
# What makes such a word checkable: an example, a number, a quotation, a condition, a comparison.
CONCRETE = re.compile(
    r"\d|[(:\"“]|\b(?:e\.g\.|i\.e\.|such as|for example|by|because|so that|including|at least|no more than|that|which"
    r"|whether|when|where|if|with|without|one|two|three|four|five|each|every|any|between|rather|than)\b",
    re.IGNORECASE,
)
# Degrees and qualities that stay a matter of taste in a text of any length.
DEGREE = re.compile(
    r"\b(?:thoroughness|thorough|thoroughly|comprehensive|comprehensively|comprehensiveness"
    r"|(?<!defense-)(?<!defence-)in[- ]depth|deeply|deep\s+understanding|nuanced|sophisticated|insightful(?:ly)?"
    r"|(?:extent\s+to\s+which|how\s+(?:well|deeply|clearly|effectively))\s+(?:the\s+)?(?:\w+\s+)?"
    r"(?:article|report|response|answer|review|essay|concepts?|content|information)"
    r"|(?:clarity|breadth|depth|cohesion|coherence|conciseness|fluency|readability|precision)(?:\s*,|\s+and\b)"
    r"|robust\s+(?:summary|analysis)|well[- ](?:reasoned|written|structured|organi[sz]ed|grounded)|genuinely"
    r"|(?:novel|unique|fresh|original)\s+(?:perspectives?|viewpoints?|insights?|interpretations?)"
    r"|sufficiently|(?:sufficient|adequate)\s+(?:depth|details?|coverage|justification|explanation|engagement|discussion"
    r"|description)|adequately|smooth(?:ly)?"
    r"|(?:is|are|flows?)\s+(?:not\s+)?(?:\w+ly\s+)?(?:coherent|cohesive|clear|concise|fluent|logical|readable|logically)"
    r"|easy[- ]to[- ](?:read|follow|understand)"
    r"|(?:clear|logical)(?:\s*+,)?+\s*+(?:and\s++)?(?:clear|logical|coherent|engaging|effective))(?!\w)"
    # "Depth of ...", "assesses the depth of ...": the report's, and not that of what it is about.
    r"|(?:^|[.:]\s++|\b(?:assess|evaluat|judg|measur)\w*+\s++(?:the\s++)?)"
    r"(?:(?:analytical|critical|overall)\s++)?(?:\w++(?:,|\s++(?:and|&))\s++){0,2}+"
    r"(?:breadth|depth|sophistication|acuity|originality|clarity|readability|navigability|appropriateness|discernment"
    r"|coherence|cohesion|fluency|effectiveness|rigou?r|level\s+of\s+detail)\s++(?:of|in|with|and|for)\b",
    re.IGNORECASE,
)

OUTSIDE = re.compile(
    r"\b(?:fonts?|font\s+(?:size|choice)|white\s?space|visual(?:ly)?\s+(?:presentation|design|appeal|appealing|"
    r"consistency)|uncluttered|colou?rs?\s+scheme"
    r"|(?:charts?|figures?|graphs?|images?|diagrams?|visuals?|visuali[sz]ations?)\b[^.;]{0,80}?\b(?:design|labeling|"
    r"labelling|labels|legible|legibility|rendered|resolution)"
    r"|accuracy(?:\s*+,)?+\s++(?:and\s++\w++\s++)?(?:of|in)\s++(?:any\s++|all\s++|the\s++)?(?:\w++\s++){0,2}?(?:data|figures|numbers|"
    r"statistics|claims|facts|citations|quotations)"
    r"|factual(?:ly)?\s+(?:accuracy|accurate|correct|correctness)"
    r"|(?:links?|urls?|hyperlinks?|dois?)\b[^.;]{0,40}?\b(?:works?|working|resolves?|valid|live|functional|broken|dead)"
    r"|(?:sources?|citations?|references?)\b[^.;]{0,40}?\b(?:exists?|are\s+real|is\s+real|actually\s+supports?)"
    r"|most\s+recent\s+(?:available|data|version)"
    r"|up[- ]to[- ]date\s+(?:\w+\s+)?(?:data|figures|information|numbers|research|sources?|statistics|surveys?))(?!\w)",
    re.IGNORECASE,
)

FLAW = re.compile(
    rf"^(?:{SUBJECT})?\s*(?:fails?\s+to|failed\s+to|neglects?\s+to|lacks?\b|(?:omits?|ignores?)\b(?!\s+(?:un|ir|any\b))|misses\b"
    r"|misrepresents?\b|misstates?\b|contradicts?\s+(?:itself|the)\b|incorrectly\b|wrongly\b|falsely\b|fabricates?\b"
    r"|hallucinates?\b|invents?\b)",
    re.IGNORECASE,
)
NEGATION = re.compile(
    rf"^(?:{SUBJECT})?\s*(?:(?:does|do|did|is|are|should|must|can)\s*(?:not|n['’]t)\b|doesn['’]t\b|avoids?\b|never\b)",
    re.IGNORECASE,
)
MERIT = re.compile(
    rf"^(?:{SUBJECT})?\s*(?:(?:should|must)\s+(?!not\b|never\b|avoid\b)|(?:correctly|accurately|clearly"
    r"|explicitly\s+and\s+correctly|properly|appropriately)\s+\w+)",
    re.IGNORECASE,
)
UNDONE = re.compile(
    r"[^.]*?\b(?:but|without|however|although|instead|fails?|not|wrong|incorrect|only)\b", re.IGNORECASE
)

# Three items or more, each of a few words: longer ones are an explanation.
CLOSED = re.compile(
    r"\bi\.e\.,?\s+(?:[^\s,;()]+\s+){0,5}[^\s,;()]+(?:[,;]\s*(?:[^\s,;()]+\s+){0,5}[^\s,;()]+){2,}\s*[.)]"
    r"|\b(?:only|exactly)\s+the\s+following\b",
    re.IGNORECASE,
)
BRACKETS = re.compile(r"\(([^()]*+)\)")
OPEN = re.compile(
    r"\betc\b|\bsuch as\b|\be\.\s?g\b|not\s+limited\s+to|\bfor\s+(?:example|instance)\b|\bor\s+(?:similar|equivalent)\b"
    r"|^\s*+(?:i\.e\.|ie\.|(?:if|including|like|see|whether|this|that|these|it|where|following|between|pick|more|outside"
    r"|because|as|also|not\s+just)\b)|\?",
    re.IGNORECASE,
)
# Before a bracket these say that what it lists is all meant.
ALL_MEANT = re.compile(
    r"\b(?:each|all|every|both|specified|specifically|named|following|explicitly|listed|top|prompt|two|three|four|five|six|different"
    r"|relevant)\b",
    re.IGNORECASE,
)

EXAMPLES = re.compile(
    r"\((?:\s*(?:e\.?\s?g\.?|i\.e\.?|for example|for instance|such as|including|like)\b[^()]*(?:\([^()]*\)[^()]*)*)\)?"
    r"|(?:\b(?:e\.g\.|such as|for example|for instance|including)\b.*)"
    r"|(?:(?:representative\s+)?examples?(?:\s+\w+){0,4}\s*:.*)",
    re.IGNORECASE | re.DOTALL,
)
BRACKETED = re.compile(r"\([^()]*+\)")
WORD = re.compile(r"[\w'’-]+")


def without_examples(text: str) -> str:
    """The text with its examples and all brackets blanked out, every other character in its place."""
    text = EXAMPLES.sub(lambda found: " " * len(found.group()), text)
    return BRACKETED.sub(lambda found: " " * len(found.group()), text)


def is_english(text: str) -> bool:
    """Whether most of the letters are Latin ones: all that the rules ask for."""
    letters = [character for character in text if character.isalpha()]
    return 2 * sum(character < "ɐ" for character in letters) >= len(letters)


def wording(i: int, criterion: Criterion) -> Iterator[Finding]:
    """What is found in the words of one criterion."""
    text = criterion.text[:MAX_CHARACTERS]
    if not is_english(text):
        yield Finding("not-english", i, "its wording is not looked at: the rules read English only")
        return
    core = without_examples(text)
    if criterion.weight > 0 and (span := joined(core)):
        message = f"asks for a second thing at {_quoted(text, span)}: make each a criterion of its own"
        yield Finding("not-atomic", i, message, span)
    if span := _vague(text, core):
        message = f"{_quoted(text, span)} is a matter of degree: say what can be seen in the report"
        yield Finding("vague", i, message, span)
    if outside := OUTSIDE.search(core):
        message = f"{_quoted(text, outside.span())} can't be told from the report's text: ask for what stands in it"
        yield Finding("outside-the-report", i, message, outside.span())
    if span := _closed(text):
        message = "may be examples or demands: write 'e.g.' for examples, one criterion each if all are asked for"
        yield Finding("closed-examples", i, message, span)
    yield from _sign(i, criterion.weight > 0, text)
    if (words := len(criterion.text.split())) > MAX_WORDS:
        yield Finding("too-long", i, f"has {words} words: what is asked should fit in a sentence or two")


def _vague(text: str, core: str) -> tuple[int, int] | None:
    found = DEGREE.search(core)
    if found is None and len(WORD.findall(core)) <= SHORT and not CONCRETE.search(text):
        found = VAGUE_WORD.search(core)
    return None if found is None else found.span()


def _closed(text: str) -> tuple[int, int] | None:
    if (found := CLOSED.search(text)) and not OPEN.search(found.group()[4:]):
        return found.span()
    for bracket in BRACKETS.finditer(EXAMPLES.sub(lambda found: " " * len(found.group()), text)):
        inside = bracket.group(1)
        is_list = "," in inside or ";" in inside or " and " in inside
        before = text[max(0, bracket.start() - 90) : bracket.start()]
        is_open = OPEN.search(inside) or OPEN.search(before[-16:])
        if is_list and len(WORD.findall(inside)) >= LISTED and not is_open and not ALL_MEANT.search(before):
            return bracket.span()
    return None


def _sign(i: int, positive: bool, text: str) -> Iterator[Finding]:
    if positive and (flaw := FLAW.search(text)):
        message = f"{_quoted(text, flaw.span())} is a flaw: should the weight be negative?"
        yield Finding("flaw-with-positive-weight", i, message, flaw.span())
    elif positive and (negation := NEGATION.search(text)):
        message = f"{_quoted(text, negation.span())}: state the flaw and give it a negative weight"
        yield Finding("negation-with-positive-weight", i, message, negation.span())
    if not positive and (merit := MERIT.search(text)) and not UNDONE.match(text, merit.end()):
        message = f"{_quoted(text, merit.span())} is a merit: should the weight be positive?"
        yield Finding("requirement-with-negative-weight", i, message, merit.span())


def _quoted(text: str, span: tuple[int, int]) -> str:
    return repr(" ".join(text[span[0] : span[1]].split()).strip(" ,;."))
