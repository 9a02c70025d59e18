"""Find the one place in a text that an anchor means, and edit there. Pure; no files.

The paper's patch (arXiv 2512.20491, section 5): the model sends the changed fragment with a little context, not the
file. The steps, first that answers wins: the exact text; the same words with other whitespace; a start and an end
around `...`; the closest passage by edit distance. Every step refuses two candidates, and the last also refuses a
passage whose numbers differ from the anchor's: a near match with another number is another statement.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rapidfuzz import fuzz

from policy.errors import ToolError

__all__ = ["Place", "apply", "locate"]

_ELISION = re.compile(r"\[\.\.\.\]|\.\.\.|…")
_SPACE = re.compile(r"\s++")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_LONG = 600
"""Characters of an anchor beyond which its two ends are fitted one after the other."""
_PROBE = 64
"""Characters that rapidfuzz looks for in a text in linear time; what is longer costs its length squared on top."""
_MOST_PROBES = 12
_LONGEST = 10_000
"""Characters of an anchor that is fitted as a whole: it takes their number squared."""
_FAINT = 60.0
"""A piece of the anchor that is less alike than this tells nothing of where the rest stands."""


@dataclass(frozen=True, slots=True)
class Place:
    """Characters `text[start:end]`, and how alike they are to the anchor, 0 to 100."""

    start: int
    end: int
    score: float = 100.0


def apply(text: str, place: Place, new: str, position: Literal["replace", "before", "after"]) -> str:
    """The text with `new` in, before or after the place. Insertions get a separator where neither side has one."""
    match position:
        case "replace":
            return text[: place.start] + new + text[place.end :]
        case "before":
            at_line_start = place.start == 0 or text[place.start - 1] == "\n"
            gap = "" if new[-1:].isspace() else "\n\n" if at_line_start else " "
            return text[: place.start] + new + gap + text[place.start :]
        case "after":
            at_line_end = text[place.end : place.end + 1] in ("", "\n")
            gap = "" if new[:1].isspace() or text[place.end - 1].isspace() else "\n\n" if at_line_end else " "
            return text[: place.end] + gap + new + text[place.end :]


def locate(text: str, anchor: str, *, min_score: float = 86.0, margin: float = 6.0) -> Place:
    """The place that `anchor` means. Raises ToolError where there is none, or more than one."""
    if not anchor.strip():
        raise ToolError("The anchor is empty; copy the text to be changed from the file.")
    found = _exact(text, anchor) or _exact(text, anchor.strip()) or _spaced(text, anchor)
    if found is None:
        parts = [part.strip() for part in _ELISION.split(anchor)]
        if len(parts) == 2 and all(len(part) >= 8 for part in parts):
            return _between(text, parts[0], parts[1], min_score, margin)
        found = _fuzzy(text, anchor.strip(), min_score, margin)
    return found


def _exact(text: str, anchor: str) -> Place | None:
    start = text.find(anchor)
    if start < 0:
        return None
    second = text.find(anchor, start + 1)
    if second >= 0:
        raise _ambiguous(text, start, second)
    return Place(start, start + len(anchor))


def _spaced(text: str, anchor: str) -> Place | None:
    """The anchor's words with any white space between them."""
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


def _between(text: str, head: str, tail: str, min_score: float, margin: float) -> Place:
    first = locate(text, head, min_score=min_score, margin=margin)
    # The nearest end after the start is meant, so only its own paragraphs are searched, the nearest first.
    at = text.find(tail, first.end)
    if at >= 0:
        return Place(first.start, at + len(tail), first.score)
    for stop in [m.start() for m in re.finditer(r"\n\s*\n|\Z", text[first.end :])][:3]:
        try:
            last = locate(text[first.end : first.end + stop], tail, min_score=min_score, margin=margin)
        except ToolError:
            continue
        return Place(first.start, first.end + last.end, min(first.score, last.score))
    raise ToolError(f"The anchor's start is in line {_line(text, first.start)}, but no end like {tail[:60]!r} follows.")


def _fuzzy(text: str, anchor: str, min_score: float, margin: float) -> Place:
    if len(anchor) < 16:
        raise ToolError(f"{anchor!r} is not in the file, and is too short for an inexact match. Copy more of it.")
    if len(anchor) > _LONGEST:
        raise ToolError(
            f"The anchor is not in the file as it is, and its {len(anchor):,} characters are too many for an inexact "
            "match. Send its first words, ` ... `, and its last words. Nothing was changed."
        )
    best = _closest(text, anchor)
    if not best.score:
        raise ToolError("The anchor is not in the file, nor anything like it. Read the file and copy from it.")
    if best.score < min_score:
        near = text[best.start : best.end]
        raise ToolError(
            f"The anchor is not in the file. The closest passage, line {_line(text, best.start)}, is only "
            f"{best.score:.0f}% alike: {near[:200]!r}. Read the file and copy from it. Nothing was changed."
        )
    if _NUMBER.findall(anchor) != _NUMBER.findall(text[best.start : best.end]):
        raise ToolError(
            f"The closest passage, line {_line(text, best.start)}, has other numbers: "
            f"{text[best.start : best.end][:300]!r}. Copy it as it is. Nothing was changed."
        )
    # Blanked, so that the runner-up cannot overlap it.
    rest = text[: best.start] + "\n" * (best.end - best.start) + text[best.end :]
    second = _closest(rest, anchor)
    if second.score > best.score - margin:
        raise _ambiguous(text, best.start, second.start)
    return best


def _closest(text: str, anchor: str) -> Place:
    """The passage most like the anchor; a score of 0 where nothing is like any of it."""
    found = _roughly(text, anchor)
    if found is None:
        return Place(0, 0, 0.0)
    # The window has the anchor's length; a passage with words more or less has not. Try the word edges around it.
    reach = min(16 + len(anchor) // 8, 96)  # all pairs of edges are tried: a long anchor must not take minutes
    words = [m.span() for m in re.finditer(r"\w+|[^\w\s]", text[max(0, found.start - reach) : found.end + reach])]
    offset = max(0, found.start - reach)
    starts = [s + offset for s, _ in words if abs(s + offset - found.start) <= reach]
    ends = [e + offset for _, e in words if abs(e + offset - found.end) <= reach]
    spans = [(s, e) for s in starts for e in ends if s < e]
    if not spans:
        return found
    if len(anchor) > _LONG:
        # One edge after the other: all pairs of a page-long anchor take half a minute.
        before = [s for s in starts if s < found.end] or [found.start]
        _, _, start = max((fuzz.ratio(anchor, text[s : found.end]), -s, s) for s in before)
        spans = [(start, e) for e in ends if start < e]
    score, start, end = max((fuzz.ratio(anchor, text[s:e]), s, e) for s, e in spans)
    # A text without words near has no edges to take; otherwise whole words are worth a little likeness.
    return found if found.score > score + 2 else Place(start, end, score)


def _roughly(text: str, anchor: str) -> Place | None:
    """Where the passage most like the anchor is, give or take some characters."""
    if len(anchor) <= _PROBE:
        return _aligned(text, anchor, 0, len(text))
    # Where pieces of the anchor are, and there the whole of it. Of a passage that is like it, some piece is at least
    # as much alike as the whole.
    step = max(_PROBE, (len(anchor) - _PROBE) // (_MOST_PROBES - 1))
    offsets = [*range(0, len(anchor) - _PROBE, step), len(anchor) - _PROBE]
    reach = len(anchor) // 6 + 32
    tried: list[int] = []
    best: Place | None = None
    for offset in offsets:
        piece = _aligned(text, anchor[offset : offset + _PROBE], 0, len(text))
        if piece is None or any(abs(piece.start - offset - other) < reach // 4 for other in tried):
            continue
        tried.append(piece.start - offset)
        near = piece.start - offset
        head = _aligned(text, anchor[:_PROBE], near - reach, near + _PROBE + reach)
        tail = _aligned(text, anchor[-_PROBE:], near + len(anchor) - _PROBE - reach, near + len(anchor) + reach)
        start = max(0, near) if head is None else head.start
        end = min(len(text), near + len(anchor)) if tail is None else tail.end
        score = fuzz.ratio(anchor, text[start:end]) if start < end else 0.0
        if start < end and (best is None or score > best.score):
            best = Place(start, end, score)
    return best


def _aligned(text: str, piece: str, start: int, end: int) -> Place | None:
    """The part of `text[start:end]` most like a short piece; None where none is much alike."""
    start = max(0, start)
    found = fuzz.partial_ratio_alignment(piece, text[start : max(start, end)], score_cutoff=_FAINT)
    # Of a text shorter than the piece, the text is looked for in the piece.
    if found is None or found.dest_end <= found.dest_start:
        return None
    return Place(start + found.dest_start, start + found.dest_end, found.score)


def _ambiguous(text: str, first: int, second: int) -> ToolError:
    return ToolError(
        f"The anchor fits more than one place (lines {_line(text, first)} and {_line(text, second)}). "
        "Add words around it until it is unique. Nothing was changed."
    )


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
