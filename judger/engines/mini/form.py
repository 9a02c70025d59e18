"""Criteria that are only about form, and whether a report meets them: "cites at least 5 sources", "under 500 words".

A criterion is taken for one about form only if *every* word of it is: a measure (headings, words, tables ...), a
bound, or one of a closed list of fillers. "Contains a table" is; "contains a table of elements" is not, for
"elements" is content. What can't be told from counts ("clear structure") is not either.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from judger.engines.mini.signals import FormSignals

# Ordered: the first pattern that matches a phrase wins. The measure is a field of FormSignals.
_PHRASES = {
    "contents": r"tables? of contents",
    "bibliography": (
        r"(?:(?:lists? of |separate |dedicated )?(?:references?|works cited|sources|citations) (?:section|list|page)s?"
        r"|lists? of (?:references|sources|citations)|bibliograph(?:y|ies)|works cited|reference list)"
    ),
    "introduction": r"introduct(?:ion|ory)(?: (?:section|paragraph))?",
    "conclusion": r"conclu(?:sions?|ding)(?: (?:section|paragraph|remarks))?",
    "summary": r"(?:executive )?summary(?: section)?",
    "abstract": r"abstract(?: section)?",
    "headings": r"(?:(?:section|sub)[ -]?)?(?:sub-?)?(?:headings?|headers?)|subtitles?|labell?ed sections?|sections?",
    "title": r"title",
    "numbered": r"numbered (?:lists?|points?|items?|steps?)",
    "bullets": r"bullet(?:ed)?(?:[ -]?(?:points?|lists?|items?))?|bullets",
    "items": r"list items?|lists?",
    "tables": r"(?:markdown )?tables?",
    "links": r"hyper-?links?|(?:web )?links?|urls?",
    "citations": r"(?:in-?text )?citations?|footnotes?|cites? (?:its|their) (?:sources|claims)",
    "sources": r"sources?|references?|literature",
    "dates": r"dates?",
    "numbers": r"numbers|numerals|percentages?|numerical (?:data|values|figures)",
    "code_blocks": r"code (?:blocks?|snippets?|examples?)|fenced code",
    "bold": r"bold(?:ed)?(?: (?:text|words?|type|face))?|bolding",
    "images": r"images?|pictures?|photos?",
    "equations": r"equations?|formulas?|latex",
    "questions": r"questions?",
    "quotes": r"block ?quotes?",
    "words": r"words?|word count",
    "sentences": r"sentences?",
    "paragraphs": r"paragraphs?",
}
_MEASURE = re.compile("|".join(rf"(?P<{name}>\b(?:{pattern})\b)" for name, pattern in _PHRASES.items()))
_LENGTHS = frozenset({"words", "sentences", "paragraphs"})
_FLAGS = frozenset({"contents", "bibliography", "introduction", "conclusion", "summary", "abstract", "title"})
_SMALL = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_NUMBERS = {word: n for n, word in enumerate(_SMALL.split(), 1)} | {
    "a": 1, "an": 1, "any": 1, "some": 1, "eighteen": 18, "twenty": 20, "thirty": 30, "fifty": 50,
    "hundred": 100, "thousand": 1000, "several": 3, "multiple": 2, "many": 4, "numerous": 4, "single": 1,
}  # fmt: skip
_BOUND = re.compile(
    r"(?P<high>no (?:more|longer|greater|larger) than|not (?:more|longer|greater) than|at most|up to|a maximum of"
    r"|maximum(?: of)?|max\.?|within|(?:does|do|must|should|may|shall|will)? ?not exceed(?:ing)?|never exceeds?|≤|<="
    r"|limited to|capped at)"
    r"|(?P<low>at least|no (?:fewer|less) than|not (?:fewer|less) than|a minimum of|minimum(?: of)?|min\.?|≥|>=)"
    r"|(?P<below>fewer than|less than|shorter than|under|below|lower than|<)"
    r"|(?P<above>more than|longer than|greater than|over|above|exceed(?:s|ing)?|>)"
    r"|(?P<between>between|from)|(?P<exact>exactly|precisely)|(?P<about>about|approximately|roughly|around|circa|~)"
)
_POST = re.compile(r"or (?:(?P<low>more|longer|above|greater)|(?P<high>fewer|less|shorter|under|below))")
_NO = re.compile(
    r"(?:does|do|is|are|has|have|must|should|may) not(?: (?:use|contain|include|have|provide))?|without|lacks?|lacking"
    r"|omits?|fails? to|avoids?|missing|n't|\bno\b|\bnot\b|never"
)
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?k?|" + "|".join(sorted(map(re.escape, _NUMBERS), key=len, reverse=True)))
_FILLERS = """
the response report answer essay document text article post output it its this that and or with in of to for by as at
be is are was has have does do use uses used using contain contains containing include includes including provide
provides present presents feature features employ employs give gives cite cites citing cited show shows stay stays
keep keeps remain remains run runs written write structured organized organised organize organise divided split
separated broken formatted format formatting presented make makes made ends end begins begin starts start closes close
add adds clear clearly descriptive distinct separate different appropriate appropriately proper properly labeled
labelled well into up throughout where length long overall count size full complete inline external unique must should
will can may shall least both either plus main final level levels short also total list there supplies
supply supplied opens open whatsoever carries carry offers offer
"""
FILLERS = frozenset(_FILLERS.split())
_EXAMPLES = re.compile(r"\([^()]*\)|\b(?:such as|e\.g\.|for example|i\.e\.).*$")
_VERB = re.compile(r"\b(response|report|answer|essay|document|text|article|it) (?:lists?|links|dates|titles)\b|'s\b")
_WORD = re.compile(r"[\w'-]+")
_LISTS = re.compile(r"^(?:lists?|links?(?: to)?|dates|titles) (?=\S+ \S)")
"""A verb, with what it lists behind it: "lists ten references" asks for no list item."""
_ORDER = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*•])\s+")
_LIST_OF = re.compile(
    r"\b(?:an? )?lists? of (?=(?:at least|no fewer than|more than|" + "|".join(_SMALL.split()) + r")\b|\d)"
)
PLURAL = 1.5
"""What "includes links" asks for: two are enough, with one it is open."""
ABOUT = 0.15
"""How far "about 500 words" reaches to either side."""


@dataclass(frozen=True, slots=True)
class Bound:
    """`low <= count <= high` of one measure, a field of FormSignals ("items" are bullets and numbered ones)."""

    measure: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FormDemand:
    """What a criterion about form asks: all of the bounds, or any of them."""

    bounds: tuple[Bound, ...]
    any_of: bool = False


def form_criterion(text: str) -> FormDemand | None:
    """The demand of a criterion that is only about form, None for any other."""
    plain = _EXAMPLES.sub(" ", _ORDER.sub("", text.lower().replace("’", "'"))).strip(" .?!").removesuffix(" at all")
    tokens = _tokens(_LIST_OF.sub("", _LISTS.sub("cites ", _VERB.sub(r"\1", plain))))
    if tokens is None:
        return None
    bounds = _bounds(tokens)
    if not bounds:
        return None
    return FormDemand(tuple(bounds), any_of=len(bounds) > 1 and ("or", "") in tokens)


def judge_form(demand: FormDemand, signals: FormSignals) -> float:
    """How sure the signals are that the demand is met, in [0, 1]."""
    sure = [_meets(bound, signals) for bound in demand.bounds]
    return max(sure) if demand.any_of else math.prod(sure)


def _meets(bound: Bound, signals: FormSignals) -> float:
    count = (
        signals.bullets + signals.numbered
        if bound.measure == "items"
        else max(signals.citations, signals.sources)
        if bound.measure == "citations"
        else getattr(signals, bound.measure)
    )
    # Words are counted to 2%, the rest to about half of one, and one in ten.
    slack = 0.02 * count + 1 if bound.measure == "words" else 0.25 + 0.05 * count
    distance = min(count - bound.low + 0.5, bound.high + 0.5 - count)
    return 0.03 + 0.94 / (1 + math.exp(-max(-30.0, min(30.0, distance / slack * 1.5))))


def _tokens(text: str) -> list[tuple[str, str]] | None:
    """Kinds and values of all words, or None where one is neither a measure, a bound, a number nor a filler."""
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        if not text[position].isalnum() and text[position] not in "<>≤≥~":
            position += 1
            continue
        for kind, pattern in (
            ("post", _POST),
            ("bound", _BOUND),
            ("measure", _MEASURE),
            ("no", _NO),
            ("number", _NUMBER),
        ):
            match = pattern.match(text, position)
            end = match.end() if match else position
            if match and (end == len(text) or not (text[end - 1].isalnum() and text[end].isalnum())):
                value = match.group() if kind in {"number", "no"} else f"{match.lastgroup}"
                plural = kind == "measure" and match.group().rstrip(")").endswith("s")
                tokens.append((kind, value + "+" * plural))
                position = end
                break
        else:
            word = _WORD.match(text, position)
            if word is None or word.group() not in FILLERS:
                return None
            if word.group() in {"or", "and"}:
                tokens.append((word.group(), ""))
            position = word.end()
    return tokens


def _value(text: str) -> float:
    if text in _NUMBERS:
        return float(_NUMBERS[text])
    return float(text.replace(",", "").removesuffix("k")) * (1000 if text.endswith("k") else 1)


def _bounds(tokens: list[tuple[str, str]]) -> list[Bound]:
    """One bound per measure: the comparator and the numbers before it, or after it where it comes first."""
    found: list[Bound] = []
    kind, numbers, negated = "", list[float](), False
    waiting: str | None = None
    for token, value in [*tokens, ("end", "")]:
        if token in {"measure", "end"} and waiting is not None:
            found.append(_bound(waiting, "", [], negated))
            waiting, negated = None, False
        match token:
            case "bound":
                kind = value
            case "number":
                numbers.append(_value(value))
            case "no":
                negated = not negated
            case "post" if found:
                last = found.pop()
                start = last.low if math.isfinite(last.low) and last.low > 0 else last.high
                exact = start / (1 - ABOUT) if last.measure == "words" else start
                found.append(Bound(last.measure, *((exact, math.inf) if value == "low" else (0.0, exact))))
            case "measure" if numbers or not tokens:
                found.append(_bound(value, kind, numbers, negated))
                kind, numbers, negated = "", [], False
            case "measure":
                waiting = value
        if waiting is not None and kind and numbers:
            found.append(_bound(waiting, kind, numbers, negated))
            waiting, kind, numbers, negated = None, "", [], False
    # A number or bound left over, or one that belongs to a part ("each paragraph under 100 words"), is not understood.
    names = [bound.measure for bound in found]
    odd = any(b.measure in _FLAGS and (b.low, b.high) not in {(1.0, math.inf), (0.0, 0.0)} for b in found)
    if kind or numbers or odd or (len(names) > 1 and _LENGTHS & set(names)):
        return []
    return [bound for index, bound in enumerate(found) if bound.measure not in names[:index]]


def _bound(measure: str, kind: str, numbers: list[float], negated: bool) -> Bound:
    name, plural = measure.rstrip("+"), measure.endswith("+")
    n = numbers[0] if numbers else (1.0 if not plural or name in _FLAGS else PLURAL)
    low, high = n, math.inf
    match kind:
        case "high":
            low, high = 0.0, n
        case "below":
            low, high = 0.0, n - 1
        case "above":
            low = n + 1
        case "between":
            high = numbers[-1]
        case "exact":
            high = n
        case "about":
            low, high = n * (1 - ABOUT), n * (1 + ABOUT)
        case "" if len(numbers) == 2 and numbers[1] > n:  # "500-800 words", "two or three tables"
            high = numbers[1]
        case "" if numbers and name == "words":
            low, high = n * (1 - ABOUT), n * (1 + ABOUT)
        case "" if numbers and name in _LENGTHS:
            high = n
    if not negated:
        return Bound(name, low, high)
    if not numbers:
        return Bound(name, 0.0, 0.0)
    return Bound(name, high + 1, math.inf) if low <= 0 else Bound(name, 0.0, low - 1)
