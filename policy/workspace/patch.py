"""Find the one place in a text that an anchor means, and edit there. Pure; no files.

The paper's patch (arXiv 2512.20491, section 5): the model sends the changed fragment with a little context, not the
file. The steps, first that answers wins: the exact text; the same with other white space; a start and an end around
`...`; the same words, but for a few slips of spelling. Every step refuses two candidates. Words, numbers, signs and
Chinese characters must be the anchor's: a passage that is only like it says something else (`policy.workspace.words`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz import fuzz

from policy.errors import ToolError
from policy.workspace.words import Token, is_slip, tokens

__all__ = ["Place", "apply", "locate"]

_ELISION = re.compile(r"\[\.\.\.\]|\.\.\.|…")
_SPACE = re.compile(r"\s++")
_LINE_END = re.compile(r"\r\n|\r|\n")
_MOST_ELIDED = 6_000
"""Characters that `...` may stand for."""
_MOST_LINES = 40
"""Lines with something in them that it may stand for: more is a part of the report, not a passage."""
_LONGEST = 10_000
"""Characters of an anchor that is compared word by word."""
_MOST_SLIPS = 3
_MOST_STEPS = 2_000_000
"""Words compared before the anchor is called too common."""
_PROBE = 64
"""Characters that rapidfuzz looks for in a text in linear time."""
_FAINT = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """Characters `text[start:end]`, and which share of the anchor's words stands there as it was sent, 0 to 100."""

    start: int
    end: int
    score: float = 100.0


def apply(text: str, place: Place, new: str, position: Literal["replace", "before", "after"]) -> str:
    """The text with `new` in, before or after the place, with the text's own line ends.

    Insertions get a separator where neither side has one.
    """
    ending = _ending(text, place.start)
    new = _LINE_END.sub(ending, new)
    match position:
        case "replace":
            return text[: place.start] + new + text[place.end :]
        case "before":
            at_line_start = place.start == 0 or text[place.start - 1] in "\r\n"
            gap = "" if new[-1:].isspace() else ending * 2 if at_line_start else " "
            return text[: place.start] + new + gap + text[place.start :]
        case "after":
            at_line_end = text[place.end : place.end + 1] in ("", "\r", "\n")
            gap = "" if new[:1].isspace() or text[place.end - 1].isspace() else ending * 2 if at_line_end else " "
            return text[: place.end] + gap + new + text[place.end :]


def _ending(text: str, at: int) -> str:
    """How lines end where something is put."""
    found = _LINE_END.search(text, at) or _LINE_END.search(text)
    return found.group() if found else "\n"


def locate(text: str, anchor: str) -> Place:
    """The place that `anchor` means. Raises ToolError where there is none, or more than one."""
    if not anchor.strip():
        raise ToolError("The anchor is empty; copy the text to be changed from the file.")
    found = _as_sent(text, anchor)
    if found is not None:
        return found
    parts = [part.strip() for part in _ELISION.split(anchor)]
    if len(parts) == 2 and all(len(part) >= 8 for part in parts):
        return _between(text, parts[0], parts[1])
    return _by_words(text, anchor.strip())


def _as_sent(text: str, anchor: str) -> Place | None:
    return _exact(text, anchor) or _exact(text, anchor.strip()) or _spaced(text, anchor)


def _exact(text: str, anchor: str) -> Place | None:
    start = text.find(anchor)
    if start < 0:
        return None
    second = text.find(anchor, start + 1)
    if second >= 0:
        raise _ambiguous(text, start, second)
    return Place(start, start + len(anchor))


def _spaced(text: str, anchor: str) -> Place | None:
    """The anchor with any white space where it has some."""
    # Both are searched with single spaces: a pattern for it takes the length of the text times that of the anchor.
    flat, words = _SPACE.sub(" ", text), " ".join(anchor.split())
    start = flat.find(words)
    if start < 0:
        return None
    second = flat.find(words, start + 1)
    first, end, other = _unflat(text, (start, start + len(words), max(second, 0)))
    if second >= 0:
        raise _ambiguous(text, first, other)
    return Place(first, end)


def _unflat(text: str, places: tuple[int, int, int]) -> list[int]:
    """The same places in the text with all of its white space. None of them is within or behind a run of it."""
    gaps = [(run.start(), len(run.group()) - 1) for run in _SPACE.finditer(text) if len(run.group()) > 1]
    found = []
    for place in places:
        for start, more in gaps:
            if start >= place:
                break
            place += more
        found.append(place)
    return found


def _between(text: str, head: str, tail: str) -> Place:
    first = _as_sent(text, head) or _by_words(text, head)
    window = text[first.end : first.end + _MOST_ELIDED]
    at = window.find(tail)  # the nearest end after the start is meant
    if at >= 0:
        last = Place(at, at + len(tail))
    else:
        try:
            last = _by_words(window, tail)
        except ToolError as error:
            raise ToolError(
                f"The anchor's start is in line {_line(text, first.start)}, but no end like {tail[:60]!r} follows "
                f"within {_MOST_ELIDED:,} characters. Change a longer part in several patches. Nothing was changed."
            ) from error
    lines = sum(1 for line in _LINE_END.split(window[: last.end]) if line.strip())
    if lines > _MOST_LINES:
        raise ToolError(
            f"The anchor's ends are {lines} lines apart; `...` stands for {_MOST_LINES} at most. Change a longer part "
            "in several patches. Nothing was changed."
        )
    return Place(first.start, first.end + last.end, min(first.score, last.score))


def _by_words(text: str, anchor: str) -> Place:
    if len(anchor) > _LONGEST:
        raise ToolError(
            f"The anchor is not in the file as it is, and its {len(anchor):,} characters are too many for an inexact "
            "match. Send its first words, ` ... `, and its last words. Nothing was changed."
        )
    every, sent = tokens(text), tokens(anchor)
    words, wanted = [t for t in every if not t.is_idle], [t for t in sent if not t.is_idle]
    if not wanted:
        raise ToolError(f"{anchor!r} is not in the file. Read the file and copy from it. Nothing was changed.")
    found: list[tuple[int, int, int]] = []
    for candidate in _candidates(words, wanted):
        if candidate[:2] not in [one[:2] for one in found]:
            found.append(candidate)
        if len(found) == 2:
            raise _ambiguous(text, words[found[0][0]].start, words[found[1][0]].start)
    if not found:
        raise _missing(text, anchor)
    first, last, slips = found[0]
    if slips and len(anchor) < 16:
        raise ToolError(f"{anchor!r} is not in the file, and is too short for an inexact match. Copy more of it.")
    inner = {token.start: number for number, token in enumerate(every)}
    start = _edge(every, inner[words[first].start], sent, sent.index(wanted[0]), -1)
    end = _edge(every, inner[words[last].start], sent, sent.index(wanted[-1]), 1)
    if start is None or end is None:
        raise ToolError(
            f"The passage in line {_line(text, words[first].start)} begins or ends otherwise: "
            f"{text[max(0, words[first].start - 8) : words[last].end + 8][:300]!r}. Copy it as it is. "
            "Nothing was changed."
        )
    place = Place(every[start].start, every[end].end, 100.0 * (1 - slips / len(wanted)))
    for mark in "*_`":
        if text.count(mark, place.start, place.end) % 2:
            raise ToolError(f"The passage in line {_line(text, place.start)} is cut within {mark}. Copy it as it is.")
    return place


def _candidates(words: Sequence[Token], wanted: Sequence[Token]) -> Iterator[tuple[int, int, int]]:
    """(first word, last word, slips) of every passage that has the words."""
    where: dict[str, list[int]] = {token.word: [] for token in wanted}
    for number, token in enumerate(words):
        if token.word in where:
            where[token.word].append(number)
    once = Counter(token.word for token in wanted)
    most = min(_MOST_SLIPS, (len(wanted) - 1) // 3)
    # Each slip takes up to two of the anchor's words, so that of so many others one is in the passage as it is.
    rarest = sorted(range(len(wanted)), key=lambda n: (len(where[wanted[n].word]), once[wanted[n].word]))[
        : 2 * most + 1
    ]
    steps = 0
    for pivot in rarest:
        for at in where[wanted[pivot].word]:
            back = _walk(words, wanted, at - 1, pivot - 1, -1, most)
            forth = None if back is None else _walk(words, wanted, at + 1, pivot + 1, 1, most - back[1])
            steps += 1 if back is None else 2 * len(wanted)
            if steps > _MOST_STEPS:
                raise ToolError("The anchor's words are too common here to tell places apart. Add rarer words to it.")
            if back is not None and forth is not None:
                yield back[0], forth[0], back[1] + forth[1]


def _walk(
    words: Sequence[Token], wanted: Sequence[Token], at: int, number: int, way: int, most: int
) -> tuple[int, int] | None:
    """(the last word reached, slips) of going one way through passage and anchor together; None where they part."""
    slips = 0
    while 0 <= number < len(wanted):
        if not 0 <= at < len(words):
            return None
        here, sent = words[at].word, wanted[number].word
        if here != sent:
            slips += 1
            if slips > most:
                return None
            if _joined(wanted, number, way) == here:
                number += way
            elif _joined(words, at, way) == sent:
                at += way
            elif not is_slip(sent, here):
                return None
        at, number = at + way, number + way
    return at - way, slips


def _joined(row: Sequence[Token], at: int, way: int) -> str:
    """Two neighbours as one word (over night, overnight); empty where they are no words, of which one is long."""
    if not 0 <= at + way < len(row):
        return ""
    left, right = sorted((at, at + way))
    one, other = row[left].word, row[right].word
    return one + other if one.isalpha() and other.isalpha() and one.isascii() and min(len(one), len(other)) > 2 else ""


def _edge(every: Sequence[Token], at: int, sent: Sequence[Token], number: int, way: int) -> int | None:
    """Where the passage ends, with the idle words and marks that the anchor has there; None where it has others."""
    while 0 <= number + way < len(sent):
        number, at = number + way, at + way
        if not 0 <= at < len(every) or every[at].word != sent[number].word:
            return None
    return at


def _missing(text: str, anchor: str) -> ToolError:
    """What to tell of an anchor that is nowhere: the passage that is most like its beginning."""
    near = fuzz.partial_ratio_alignment(anchor[:_PROBE], text, score_cutoff=_FAINT)
    if len(anchor) < 16:
        return ToolError(f"{anchor!r} is not in the file, and is too short for an inexact match. Copy more of it.")
    if near is None or near.dest_end <= near.dest_start:
        return ToolError("The anchor is not in the file, nor anything like it. Read the file and copy from it.")
    shown = text[near.dest_start : near.dest_start + min(max(len(anchor) + 20, _PROBE), 300)]
    return ToolError(
        f"The anchor is not in the file: the closest passage, line {_line(text, near.dest_start)}, has other words, "
        f"other numbers or other signs: {shown!r}. Copy it as it is. Nothing was changed."
    )


def _ambiguous(text: str, first: int, second: int) -> ToolError:
    return ToolError(
        f"The anchor fits more than one place (lines {_line(text, first)} and {_line(text, second)}). "
        "Add words around it until it is unique. Nothing was changed."
    )


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
