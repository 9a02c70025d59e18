"""Is this report in English? Refuses what the built-in judge can't read, and never English.

Three steps, cheapest first, over a few windows from the start to the end of the report: which script (unicodedata),
what share are English function words, and only where there are almost none what a character model says (py3langid;
Lui and Baldwin 2012, "langid.py"). Names, code, links, tables and numbers are taken out first: they belong to no
language. Deterministic; the model is loaded when the first doubtful report comes.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

MIN_LETTERS = 200
"""Below this many letters (after code and links) nothing is refused."""
WINDOW = 1_000
"""Characters of one window."""
WINDOWS = 8
MIN_PLAIN_LETTERS = 60
"""A window with fewer letters in ordinary words says nothing."""
ENGLISH_SHARE = 0.12
"""Share of English function words. English prose has 0.25 and more, other languages up to 0.05."""
ENGLISH_ODDS = 1e-3
"""P(English) under the character model. English word lists without function words stay above 5e-3."""
FOREIGN_SHARE = 0.6
"""Of the letters, in other scripts or in windows of another language."""

# Words that other languages in Latin script hardly have: "a", "as", "in", "is", "on", "so", "was" ... are left out.
_FUNCTION_WORDS = """
the of and that with by this from which are it be have has had not or they their there were would could should can may
might must shall will been being these those than then when where who what how why because between into about after
before through during while each any such other only also both but its his your our you he she him them did does if
more most some all out up
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
# English borrows whole lists from these (species, law, dishes, dance, music): prose must show its own small words.
PROSE_SHARE = 0.1
_LATIN = "et est non ut qui quae quod cum sed sunt esse atque enim hoc quis eius"
_FRENCH = """
le la les des une un est et que qui dans pour sur du pas ne il elle se sont par plus avec ce cette nous vous je on ont
été aux ou mais son sa ses
"""
_ITALIAN = "il la le che di e è un una per non del della dei sono si con nel gli ha più anche come alla da al"
PROSE_WORDS = {
    "la": frozenset(_LATIN.split()),
    "fr": frozenset(_FRENCH.split()),
    "it": frozenset(_ITALIAN.split()),
}
FENCE = re.compile(r"(```|~~~).*?(\1|\Z)", re.DOTALL)
# Only printable ASCII is eaten after a link or around a digit: Chinese has no spaces between words.
NOISE = re.compile(
    r"https?://[!-~]+|www\.[!-~]+|</?\w[^>]*>|`[^`\n]*`|\$\$?[^$\n]+\$\$?|\\[a-zA-Z]+(?:\{[^{}]*\})?"
    r"|&\w+;|[!-~]*[\d_\\/=<>{}\[\]|#@^~][!-~]*"
)
# A numbered or bulleted line that ends in a link: lists of sources are in English in reports of any language.
LISTED = re.compile(r"^[ \t]*+(?:[-*•]|\[?\^?\d++[\].:)])[^\n]*+", re.MULTILINE)
LAST_WORD = re.compile(r"(?<![!-~])[!-~]++\Z")
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
LONGEST_WORD = 30
# A character of these scripts carries about as much text as two letters.
DENSE_SCRIPTS = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL"})
# Of no language of their own: placeholders of the model, and English-based pidgins that it takes lists of names for.
NAMELESS = frozenset({"zxx", "pcm", "en", "gcf", "gcr", "ext", "fuv", "lij", "guw", "jv"})
_NAMES = """
af:Afrikaans am:Amharic ar:Arabic az:Azerbaijani be:Belarusian bg:Bulgarian bn:Bengali bs:Bosnian ca:Catalan cs:Czech
cy:Welsh da:Danish de:German el:Greek eo:Esperanto es:Spanish et:Estonian eu:Basque fa:Persian fi:Finnish fr:French
ga:Irish gl:Galician gu:Gujarati he:Hebrew hi:Hindi hr:Croatian hu:Hungarian hy:Armenian id:Indonesian is:Icelandic
it:Italian ja:Japanese ka:Georgian kk:Kazakh km:Khmer kn:Kannada ko:Korean la:Latin lo:Lao lt:Lithuanian lv:Latvian
mk:Macedonian ml:Malayalam mn:Mongolian mr:Marathi ms:Malay mt:Maltese my:Burmese ne:Nepali nl:Dutch nn:Norwegian
no:Norwegian pa:Punjabi pl:Polish ps:Pashto pt:Portuguese ro:Romanian ru:Russian si:Sinhala sk:Slovak sl:Slovene
so:Somali sq:Albanian sr:Serbian sv:Swedish sw:Swahili ta:Tamil te:Telugu th:Thai tl:Tagalog tr:Turkish uk:Ukrainian
ur:Urdu uz:Uzbek vi:Vietnamese xh:Xhosa yo:Yoruba yue:Cantonese zh:Chinese zu:Zulu
"""
NAMES = dict(pair.split(":") for pair in _NAMES.split())


class Identifier(Protocol):
    """What we use of py3langid's LanguageIdentifier."""

    def rank(self, text: str) -> list[tuple[str, float]]: ...


@dataclass(frozen=True, slots=True)
class Sample:
    """What one window holds: letters by script (dense scripts count double) and its ordinary words in Latin script."""

    letters: int
    latin: int
    other: int
    words: tuple[str, ...]

    @property
    def is_foreign(self) -> bool:
        """Ordinary words in Latin script that are confidently not English."""
        if sum(map(len, self.words)) < MIN_PLAIN_LETTERS:
            return False
        if self._share(FUNCTION_WORDS) >= ENGLISH_SHARE:
            return False
        ranked = _identifier().rank(" ".join(self.words))
        if dict(ranked).get("en", 0.0) >= ENGLISH_ODDS:
            return False
        own = PROSE_WORDS.get(ranked[0][0])
        return own is None or self._share(own) >= PROSE_SHARE

    def _share(self, vocabulary: frozenset[str]) -> float:
        return sum(word in vocabulary for word in self.words) / len(self.words)


def unsupported_language(text: str) -> str | None:
    """Why the report can't be judged, naming the language; None for English and for what is too short to say."""
    samples = _samples(text)
    if not samples:
        return None
    if (fault := _script_fault(text, samples)) is not None:
        return fault
    total = sum(sample.latin + sample.other for sample in samples)
    foreign = [sample for sample in samples if sample.is_foreign]
    share = sum(sample.latin for sample in foreign) + sum(sample.other for sample in samples)
    if share <= FOREIGN_SHARE * total or not foreign:
        return None
    return _refusal(" ".join(word for sample in foreign for word in sample.words))


def language_fault(declared: str, text: str) -> str | None:
    """Like `unsupported_language`, where the caller may have said the language (BCP 47: "en", "en-GB", "zh-Hans").

    English is believed unless most letters are not Latin; another language is refused as declared.
    "" and "und" (undetermined) and "mul" (several) say nothing.
    """
    primary = re.split(r"[-_]", declared.strip().lower())[0]
    if primary in {"", "und", "mul"}:
        return unsupported_language(text)
    if primary not in {"en", "eng"}:
        return f"the request declares the language {NAMES.get(primary, declared)}; this judge reads English only"
    return _script_fault(text, _samples(text))


def _samples(text: str) -> list[Sample]:
    """What the windows hold, sources left out where enough stays; nothing where the text is too short to say."""
    for body in (LISTED.sub(_but_sources, text), text):
        samples = [_sample(window) for window in _windows(body)]
        if sum(sample.letters for sample in samples) >= MIN_LETTERS:
            return samples
    return []


def _but_sources(listed: re.Match[str]) -> str:
    """A line of a list, or nothing in place of a source."""
    last = LAST_WORD.search(listed.group().rstrip(" \t"))
    is_source = last is not None and any(scheme in last.group()[:-1] for scheme in ("http://", "https://"))
    return "" if is_source else listed.group()


def _script_fault(text: str, samples: list[Sample]) -> str | None:
    other = sum(sample.other for sample in samples)
    if other <= FOREIGN_SHARE * sum(sample.latin + sample.other for sample in samples):
        return None
    return _refusal(" ".join(_windows(text)))


def _refusal(sample: str) -> str:
    tag = next(tag for tag, _ in _identifier().rank(sample) if tag not in NAMELESS)
    name = NAMES.get(tag)
    found = f"seems to be in {name}" if name else "is not in English"
    return f"the report {found}; this judge reads English only"


def _windows(text: str) -> Iterator[str]:
    """The whole of a short report, otherwise windows from its start to its end at equal distances."""
    if len(text) <= WINDOW * WINDOWS:
        yield from (text[start : start + WINDOW] for start in range(0, len(text), WINDOW))
        return
    last = len(text) - WINDOW
    for index in range(WINDOWS):
        start = last * index // (WINDOWS - 1)
        yield text[start : start + WINDOW]


def _sample(window: str) -> Sample:
    # NFKC turns full-width and mathematical letters into plain ones, and a few into many, beyond what NOISE is for.
    plain = NOISE.sub(" ", FENCE.sub(" ", unicodedata.normalize("NFKC", window)[:WINDOW]))
    scripts: Counter[str] = Counter()
    for char, count in Counter(filter(str.isalpha, plain)).items():
        scripts[_script(char)] += count
    latin = scripts.pop("LATIN", 0)
    other = sum(count * (2 if script in DENSE_SCRIPTS else 1) for script, count in scripts.items())
    words = [word for word in WORD.findall(plain) if len(word) <= LONGEST_WORD and _script(word[0]) == "LATIN"]
    # Capitalised words are names and headings, or German nouns: the rest decides.
    return Sample(latin + sum(scripts.values()), latin, other, tuple(word for word in words if word.islower()))


@functools.lru_cache(maxsize=4096)
def _script(char: str) -> str:
    """The first word of the character's Unicode name, which is its script."""
    if char.isascii():
        return "LATIN"
    return unicodedata.name(char, "UNNAMED").split(" ")[0].split("-")[0]


@functools.cache
def _identifier() -> Identifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped, unused-ignore]

    identifier: Identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return identifier
