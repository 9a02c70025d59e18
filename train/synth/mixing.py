"""How much of a text is in another language than the rest of it: by density, since one foreign word is no fault.

Script decides between Chinese and Latin letters, a character model (py3langid) between languages of one script.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from policy import citations
from policy.scripts import CJK
from train.synth import words

__all__ = ["MOST_MIXED", "foreign_share"]

MOST_MIXED = 0.06
"""Share of the letters of a text that may stand in sentences of another language."""
_CJK = re.compile(rf"[{CJK}]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]{2,}")
_TOKEN = re.compile(r"[!-~]+")
_ODD = frozenset("0123456789_\\/=<>{}[]|#@^~")
"""A run of printable ASCII with one of these is an address, a number or code, and of no language."""
_BRACKETED = re.compile(r"[(（\[「『《“\"][^()（）\[\]「」『』《》“”\"]{0,200}[)）\]」』》”\"]")
_BARE = re.compile(rf"\b[a-z]{{1,40}},? ?[{CJK}]")
_LATIN_RUN = re.compile(r"[A-Za-z][A-Za-z' -]{0,200}")
_LINKING = re.compile(
    r"\b(?:a|an|are|is|was|were|will|would|can|could|should|it|this|that|these|those|they|we|which|because|although|"
    r"however|therefore|moreover|furthermore|significantly|increasingly|increasing|generally|mainly|overall|thus)\b"
)
_NAME = re.compile(r"\b[A-Z\u00c0-\u00de][\w\u00c0-\u024f'-]*")
_LEAST_WORDS = 7
"""Of a Latin sentence before its language is asked for: names and titles are of any language."""
_SURE = 0.99


def foreign_share(text: str) -> float:
    """Share of the letters that stand in sentences of another language than most of the text, a Chinese character
    counted as two; or of the sentences that switch to another script in their midst, where that is more.

    Code, addresses and citations are left out, and lines of a list that end in an address.
    """
    prose = "".join("" if is_code else part for is_code, part in citations.outside_code(text))
    prose = citations.replaced(prose, lambda keys: "", lambda key: False)
    by_language: dict[str, float] = {}
    count = switched = 0
    for line in prose.split("\n"):
        if "http://" in line or "https://" in line:
            continue
        for sentence in words.sentences(line):
            language, weight = _language(_TOKEN.sub(_plain, sentence))
            count += 1
            switched += _is_switched(_BRACKETED.sub(" ", sentence))
            if language:
                by_language[language] = by_language.get(language, 0.0) + weight
    whole = sum(by_language.values())
    foreign = 1 - max(by_language.values()) / whole if whole else 0.0
    return max(foreign, switched / count if count else 0.0)


def _is_switched(sentence: str) -> bool:
    """Whether a word of another script stands in it bare: Chinese in English that no name stands before, or an English
    word of the kind that no term has in Chinese."""
    cjk = len(_CJK.findall(sentence))
    if 2 * cjk <= 0.4 * (2 * cjk + sum(map(len, _LATIN.findall(sentence)))):
        return bool(cjk) and _BARE.search(sentence) is not None
    return any(not run.istitle() and _LINKING.search(run) for run in _LATIN_RUN.findall(sentence))


def _plain(token: re.Match[str]) -> str:
    return " " if _ODD.intersection(token.group()) else token.group()


def _language(sentence: str) -> tuple[str, float]:
    """(language, letters) of a sentence; no language where it has too little of any."""
    cjk = len(_CJK.findall(sentence))
    latin = _LATIN.findall(sentence)
    letters = sum(map(len, latin))
    # Chinese sentences hold English names; an English one holds a Chinese word in brackets.
    if 2 * cjk > 0.4 * (2 * cjk + letters):
        return ("cjk", 2.0 * cjk) if cjk >= 4 else ("", 0.0)
    ordinary = _LATIN.findall(_NAME.sub(" ", sentence))
    if len(ordinary) < _LEAST_WORDS:
        return "", 0.0
    language, sure = _identifier().classify(" ".join(ordinary).lower())
    return (str(language) if sure >= _SURE and language in _KNOWN else "en"), float(letters)


_KNOWN = frozenset("de fr es it pt nl sv da no pl cs fi ro hu tr id vi".split())
"""Languages of Latin script that are taken from others by mistake in hardly any English sentence."""


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    found = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    found.set_languages([*sorted(_KNOWN), "en"])
    return found
