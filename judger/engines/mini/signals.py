"""What a report looks like: lengths, headings, lists, tables, links, citations, dates, numbers. No model, no torch.

A citation may be [1], (Lee et al., 2020), \\cite{lee} or a footnote. All patterns are linear in the text; a
5,000-word report takes about ten milliseconds.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass

from judger.engines.mini.layout import BIBLIOGRAPHY, entry_key, read_layout

WORD = re.compile(r"[^\W_]+(?:['’.\-][^\W_]+)*")
SENTENCE_END = re.compile(r"(?<![.!?])[.!?]++[\"'”’)\]]*+(?=\s|$)")
VOWELS = re.compile(r"[aeiouy]+")
READING_WORDS = 1_000
"""Reading ease is taken over this many words: it is a mean, more change it little."""

URL = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]{}\"'|]+|\b10\.\d{4,9}/[^\s<>()\[\]{}\"']+")
MARKDOWN_LINK = re.compile(r"(!?)\[[^\[\]\n]{0,300}\]\(([^()\s]{1,1000})[^()\n]{0,200}\)")
LISTED = re.compile(r"^[ \t]{0,9}\[(\d{1,3})\]:?[ \t]{1,9}([^\s][^\n]*)$", re.MULTILINE)
BRACKET = re.compile(
    r"(?<![\w\]])[\[【](\d{1,3}(?:\s?[-–,;]\s?\d{1,3}){0,20})[\]】](?!\()"
    r"|(?:(?<=\])|(?<=[a-z\d%][a-z\d%])(?=\[[1-9\d, –-]{1,30}\](?:[\s.,;:)\[]|$)))"
    r"\[(\d{1,3}(?:\s?[-–,;]\s?\d{1,3}){0,20})\](?!\()"
)
"""[1], [2, 5-7], a[1] right behind a word (but not x[0] of code), [1][2]."""
FOOTNOTE = re.compile(r"\[\^([\w-]{1,30})\]|([¹²³⁴⁵⁶⁷⁸⁹][⁰¹²³⁴⁵⁶⁷⁸⁹]?)|\\footnote\{")
CITE = re.compile(
    r"\\(?:cite|citep|citet|parencite|textcite|autocite)\*?(?:\[[^\[\]]{0,80}\]){0,2}\{([^{}]{1,300})\}"
    r"|\[(@[\w:;@, -]{1,200})\]"
)
_NAME = r"[A-Z][\w'’-]{1,30}"
AUTHOR_YEAR = re.compile(
    rf"(?<![\w'’-])({_NAME})(?:\s(?:et\sal\.?|(?:and|&)\s{_NAME}))?,?\s\(?((?:1[5-9]|20)\d\d[a-z]?)(?=[;,):\]]|\s?\))"
)
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
MONTH = re.compile(_MONTH + r"$")
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
DATE = re.compile(
    r"(?=[\dJFMASOND])(?:"  # what every date begins with: most characters are passed over at once
    rf"\b{_MONTH}(?:\.?\s{_DAY}\b(?:,?\s\d{{4}})?|\.?,?\s\d{{4}}\b)"
    rf"|\b{_DAY}\s(?:of\s)?{_MONTH}\b(?:,?\s\d{{4}})?|\b\d{{4}}-\d{{2}}-\d{{2}}\b"
    r"|\b\d{1,2}[/.]\d{1,2}[/.](?:19|20)?\d\d\b|(?<![\w.,$€£/-])(?:1[5-9]|20)\d\d(?![\w%/]|[.,]\d))"
)
NUMBER = re.compile(r"(?<![\w.,])[$€£]?\d[\d,]*(?:\.\d+)?%?")
BOLD = re.compile(r"\*\*(?=\S)[^*\n]{1,300}\*\*|__(?=\S)[^_\n]{1,300}__|<(?:b|strong)>|\\textbf\{")
IMAGE = re.compile(r"!\[[^\[\]\n]{0,300}\]\(|<img\b|\\includegraphics\b|<svg\b", re.IGNORECASE)
EQUATION = re.compile(r"\$\$|\$(?=[^\s$\d])[^$\n]{1,200}\$|\\\[|\\\(|\\begin\{(?:equation|align)", re.IGNORECASE)
TABLE = re.compile(r"\\begin\{tabular|<table\b", re.IGNORECASE)
SECTIONS = {
    "bibliography": BIBLIOGRAPHY,
    "contents": re.compile(r"(?:table of )?contents$"),
    "abstract": re.compile(r"abstract$"),
    "introduction": re.compile(r"(?:introduction|overview|background)\b"),
    "conclusion": re.compile(
        r"in conclusion$|concluding\b|conclusions?\b|final (?:thoughts|remarks)|.*\bconclusions?$"
    ),
    "summary": re.compile(r"(?:executive |key )?summary\b|key (?:takeaways|findings)$|tl;?dr"),
}
"""By the heading that opens the section, plain and in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormSignals:
    """Counts of one report. From `title` to `summary`, and `bibliography`, 1 where there is one, otherwise 0."""

    words: int = 0
    sentences: int = 0
    paragraphs: int = 0
    headings: int = 0
    bullets: int = 0
    numbered: int = 0
    lists: int = 0
    tables: int = 0
    links: int = 0
    citations: int = 0
    sources: int = 0
    """Distinct ones: the most that any one style of citing shows."""
    dates: int = 0
    numbers: int = 0
    code_blocks: int = 0
    diagrams: int = 0
    bold: int = 0
    images: int = 0
    equations: int = 0
    questions: int = 0
    quotes: int = 0
    title: int = 0
    bibliography: int = 0
    contents: int = 0
    abstract: int = 0
    introduction: int = 0
    conclusion: int = 0
    summary: int = 0
    words_per_sentence: float = 0.0
    reading_ease: float = 0.0
    """Flesch 1948: about 0 (a statute) to 100 (a comic)."""

    def vector(self) -> tuple[float, ...]:
        """Features named by `VECTOR_NAMES`: log1p of every count, of its rate per 1,000 words, and the two means."""
        counts = {name: value for name, value in asdict(self).items() if isinstance(value, int)}
        rates = (math.log1p(1_000 * counts[name] / max(self.words, 100)) for name in RATED)
        means = (math.log1p(self.words_per_sentence), max(-100.0, min(120.0, self.reading_ease)) / 100)
        return (*(math.log1p(value) for value in counts.values()), *rates, *means)


RATED = ("headings", "bullets", "numbered", "tables", "links", "citations", "dates", "numbers", "bold", "paragraphs")
VECTOR_NAMES: tuple[str, ...] = (
    *(name for name, value in asdict(FormSignals()).items() if isinstance(value, int)),
    *(f"{name}_rate" for name in RATED),
    "words_per_sentence",
    "reading_ease",
)


def form_signals(report: str) -> FormSignals:
    """The signals of one report. Any text has some; nothing is raised."""
    layout = read_layout(report)
    headings = set(layout.headings)
    words = WORD.findall(report)
    ends = SENTENCE_END.findall(report)
    sentences = max(len(ends), layout.paragraphs, 1 if words else 0)
    urls = {url.rstrip(".,;:").lower() for url in URL.findall(report)}
    urls |= {target.lower() for bang, target in MARKDOWN_LINK.findall(report) if not bang}
    styles = _citations(report)
    return FormSignals(
        words=len(words),
        sentences=sentences,
        paragraphs=layout.paragraphs,
        headings=len(layout.headings),
        bullets=layout.bullets,
        numbered=layout.numbered,
        lists=layout.lists,
        tables=layout.tables + len(TABLE.findall(report)),
        links=len(urls),
        citations=sum(map(len, styles)),
        sources=max(layout.entries, len(urls), *(len(set(style)) for style in styles)),
        dates=len(DATE.findall(report)),
        numbers=len(NUMBER.findall(report)),
        code_blocks=layout.code_blocks,
        diagrams=layout.diagrams,
        bold=len(BOLD.findall(report)),
        images=len(IMAGE.findall(report)),
        equations=len(EQUATION.findall(report)),
        questions=sum("?" in end for end in ends),
        quotes=layout.quotes,
        title=int(layout.has_title),
        **{name: int(any(map(pattern.match, headings))) for name, pattern in SECTIONS.items()},
        words_per_sentence=len(words) / max(sentences, 1),
        reading_ease=_reading_ease(words[:READING_WORDS], len(words) / max(sentences, 1)),
    )


def _citations(report: str) -> tuple[list[str], ...]:
    """What is cited, by style: [n], author and year, footnotes, citation keys."""
    same = _listed_twice(report)
    brackets = [same.get(n, n) for a, b in BRACKET.findall(report) for n in bracketed(a or b)]
    authors = [f"{name} {year}" for name, year in AUTHOR_YEAR.findall(report) if not MONTH.match(name)]
    notes = [a or b or f"note {i}" for i, (a, b) in enumerate(FOOTNOTE.findall(report))]
    keys = [key.strip() for a, b in CITE.findall(report) for key in re.split(r"[,;]", a or b) if key.strip()]
    return brackets, authors, notes, keys


def _listed_twice(report: str) -> dict[str, str]:
    """The numbers of entries that a list has under another number already: of each, that number."""
    first: dict[str, str] = {}
    found = {}
    for number, text in LISTED.findall(report):
        before = first.setdefault(entry_key(text), number)
        if before != number:
            found[number] = before
    return found


def bracketed(text: str) -> list[str]:
    """ "1, 3-5" as ["1", "3", "4", "5"]."""
    numbers: list[str] = []
    for part in re.split(r"[,;]", text):
        ends = [int(n) for n in re.findall(r"\d+", part)]
        numbers += map(str, range(ends[0], min(ends[-1], ends[0] + 50) + 1))
    return numbers


def _reading_ease(words: list[str], words_per_sentence: float) -> float:
    if not words:
        return 0.0
    syllables = sum(max(1, len(VOWELS.findall(word.lower())) - word.lower().endswith("e")) for word in words)
    return 206.835 - 1.015 * words_per_sentence - 84.6 * syllables / len(words)
