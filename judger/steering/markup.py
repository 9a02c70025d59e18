"""Lines that only a prompt or a judge's reply has: fences, chat marks, the prompt's own sentences, verdicts."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

from judger import prompt
from judger.prompt.fence import CHAT_MARKS
from judger.steering.reading import Phrases, Reading, places
from judger.types import Label

__all__ = ["forgeries"]

LONGEST_LINE = 400
"""Characters of a line that can be a verdict or a role."""
ROLES = ("system", "assistant", "user", "human")
RULES = "=-#*_~+<>"
RULE_LENGTH = 5
LONGEST_TITLE = 60
"""Characters between two rules."""
HEX = re.compile(r"[0-9a-f]{8,}+")
ROLE = re.compile(
    r"^\s*(?:#{2,4} *|\[)(?:system|assistant|user|human)(?:\]|\s*:)"
    r"|[\"']role[\"']\s*:\s*[\"'](?:system|assistant|user)[\"']",
)
LABELS = "|".join(label.value for label in Label)
WORDS = "|".join([*prompt.LabelWords(), LABELS])
KEYS = ("verdict", "judgment", "judgement", "label", "判定", "判决", "结论", "urteil", "veredicto", "вердикт", "الحكم")
VERDICT = re.compile(
    rf"[\W_]*+(?:\w++ )?(?:{'|'.join(KEYS)})(?:[^\w:=：]|_)*+[:=：][\W_]*+(?:{WORDS}"
    r"|(?:fully|partially|not) (?:satisfied|met)|完全满足|完全に満た|vollständig|erfüllt|entièrement|satisfait"
    r"|totalmente|cumple|полностью|выполнено|مستوفى|بالكامل)\w*+[^\w\n]*+(?:\w++[^\w\n]*+)?",
)
"""A line that names a verdict and nothing else."""
FIELDS = (*(label.value for label in Label), "verdict", "p_full", "p_not", "p_partial", "criterion_id", "satisfied")
FIELD = re.compile(rf"\b(?:{LABELS})\b|[\"'](?:{'|'.join(FIELDS)})[\"']\s*:")
"""The names of the response's fields, and their values."""
REPLY = re.compile(r"^reason:[^\n]*\n+quote:", re.MULTILINE)
ITEM = re.compile(
    rf"\W{{0,6}}(?:criterion|item|c|#)?\s*+\d{{1,3}}\s*+[:=.)\-–—]\s*+\W{{0,3}}(?:{WORDS})(?: (?:satisfied|met))?\W*+",
)
"""`c1: fully`, a line for each criterion."""


def forgeries(reading: Reading) -> Iterator[tuple[str, str]]:
    """(name, detail) of each kind found."""
    text, lowered = reading.text, reading.lowered
    if found := list(_fences(text)):
        yield "fence_lookalike", places(text, found)
    # A mark at the very end is how a model's text ends that was cut out badly: nothing comes behind it.
    end = len(text.rstrip())
    marks = [start for start, behind in _chat_marks(text) if behind < end]
    marks += [start for start, line in _lines(reading, ROLES) if ROLE.search(line)]
    if marks:
        yield "chat_marks", places(text, marks)
    own = own_sentences().held(reading)
    if copied := [position for sentence in own if (position := lowered.find(sentence)) >= 0]:
        yield "prompt_copied", places(lowered, copied)
    verdicts = [start for start, line in _lines(reading, KEYS) if VERDICT.fullmatch(line)]
    verdicts += [start for start, line in _lines(reading, FIELDS) if FIELD.search(line)]
    if reading.may_hold("reason") and reading.may_hold("quote"):
        verdicts += [match.start() for match in REPLY.finditer(lowered)]
    items = [start for start, line in _lines(reading, tuple(prompt.LabelWords())) if ITEM.fullmatch(line)]
    if verdicts or len(items) > 1:
        yield "forged_verdict", places(lowered, verdicts + items)


def _chat_marks(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each; brackets are found faster than by the pattern."""
    for bracket in "<[":
        position = text.find(bracket)
        while position >= 0:
            if match := CHAT_MARKS.match(text, position):
                yield match.span()
            position = text.find(bracket, position + 1)


def _lines(reading: Reading, words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(where it begins, the line in lower case) for each line with one of the words, but for long ones."""
    text = reading.lowered
    for word in words:
        position = text.find(word) if reading.may_hold(word) else -1
        while position >= 0:
            start, end = text.rfind("\n", 0, position) + 1, text.find("\n", position)
            end = end if end >= 0 else len(text)
            if end - start <= LONGEST_LINE:
                yield start, text[start:end]
            position = text.find(word, end)


def _fences(text: str) -> Iterator[int]:
    """Where each line begins that is a rule, a few words and the same rule."""
    for rule in RULES:
        position = text.find(rule * RULE_LENGTH) if rule in text else -1
        while position >= 0:
            start, end = text.rfind("\n", 0, position) + 1, text.find("\n", position)
            end = end if end >= 0 else len(text)
            if _is_fence(text[start:end], rule):
                yield start
            position = text.find(rule * RULE_LENGTH, end)


def _is_fence(line: str, rule: str) -> bool:
    """Whether words stand between two such rules, and are more than a heading."""
    # By hand: a pattern for it takes the cube of the line's length where the words are missing.
    line = line.rstrip(" \t\r")
    before = line.rstrip(rule)
    unquoted = before.lstrip(" \t>")
    # A rule of > is part of what quotes the line.
    opening = before[: len(before) - len(unquoted)] if rule == ">" else unquoted[:RULE_LENGTH]
    if len(line) - len(before) < RULE_LENGTH or rule * RULE_LENGTH not in opening:
        return False
    title = unquoted.lstrip(rule).strip(" \t")
    words = title.strip(" \t" + RULES) if len(title) <= LONGEST_TITLE else ""
    return bool(words) and (rule == "=" or any(_is_nonce(run) for run in HEX.findall(words)))


def _is_nonce(run: str) -> bool:
    """Whether a run of hexadecimal digits is neither a number nor a word."""
    return not run.isdigit() and not run.isalpha()


@functools.cache
def own_sentences() -> Phrases:
    """The prompt's sentences of six words and more, in lower case and without slots."""
    text = "\n".join(prompt.template(name) for name in prompt.FILES)
    sentences = (sentence.strip(" -.") for sentence in re.split(r"(?<=[.:])\s|\n", text.lower()))
    return Phrases(sentence for sentence in sentences if len(sentence.split()) >= 6 and "{" not in sentence)
