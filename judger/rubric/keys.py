"""Keys that look like ours and are not: a misspelt `wieght` would be carried along, and its criterion weigh 1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher

from judger.types import Label

CRITERION_KEYS = ("text", "weight", "role", "axis", "fatal")
CASE_KEYS = ("query", "report", "criteria", "language")
OTHER_KEYS = frozenset(
    "id label criterion points tags description explanation source meta topic domain prompt rubrics rubric reports "
    "completion".split()
)
"""What is read in some format, or carried along so often that it is no slip."""

LIKENESS = 0.8


def misspelt(values: Mapping[str, object], names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(key, the name that it looks like) for keys that nobody reads, where that name itself is missing."""
    strange = [key for key in values if isinstance(key, str) and key not in OTHER_KEYS]
    names = tuple(names)
    for name in names:
        if name not in values:
            yield from ((key, name) for key in strange if key not in names and looks_like(key, name))


def looks_like(key: str, name: str) -> bool:
    """Whether a key is a name of ours but for its case, a letter or two, or their order."""
    key = key.strip().lower()
    if abs(len(key) - len(name)) > 2:
        return False
    return key == name or SequenceMatcher(None, key, name, autojunk=False).ratio() >= LIKENESS


def misspelt_reason(name: str) -> str:
    """What is said of such a key."""
    return f"is not read; is {name} meant? (with a {name} beside it this key is carried along)"


def full_text(text: str, values: Mapping[str, object], label: Label | None = None) -> str:
    """A criterion's text with the `description` or `explanation` beside it: a title alone says little.

    Where there is no text it is the text. Beside a label an explanation may be the labeller's reason, and is not read.
    """
    more = values.get("description") or (None if label is not None else values.get("explanation"))
    if not isinstance(more, str) or not more.strip() or more.strip() == text.strip():
        return text
    if not text or text.isspace():
        return more
    end = text.rstrip()
    return f"{end}{'' if end.endswith(('.', ':', '?', '!', '。', '：')) else ':'} {more.strip()}"
