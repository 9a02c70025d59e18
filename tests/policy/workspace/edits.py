"""Generated patches, and an oracle that knows what each of them may do.

A passage of the bundled collection is taken as the anchor and changed: in what carries no meaning (white space,
quotation marks, commas, line ends, its middle), where exactly that passage has to be found or the anchor refused; or in
what does (a number, a sign, a negation, a word, a Chinese character, a clause), where it has to be refused.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from policy.errors import ToolError
from policy.workspace.patch import apply, locate

__all__ = ["Edit", "check", "generated"]

_OPPOSITES = (
    "increased decreased|rose fell|more less|first last|before after|north south|east west|with without|never ever|"
    "all some|high low|large small|old new|built burnt|sold told|men women|one two|twelve twenty|six ten|is isn't"
)
_SWAP = {a: b for pair in _OPPOSITES.split("|") for a, b in (pair.split(), pair.split()[::-1])}
_HAN = "不无增减大小上下三四东西南北前后多少有没左右"


@dataclass(frozen=True, slots=True)
class Edit:
    """A text, the passage `text[start:end]`, an anchor made of it, and whether the anchor still says the same."""

    kind: str
    text: str
    start: int
    end: int
    anchor: str
    is_same: bool


def check(edit: Edit) -> str:
    """What is wrong with what patch does; empty where nothing is."""
    try:
        place = locate(edit.text, edit.anchor)
    except ToolError:
        return ""
    if not edit.is_same:
        return f"{edit.kind}: {edit.anchor!r} was taken for {edit.text[place.start : place.end]!r}"
    got, wanted = edit.text[place.start : place.end].strip(), edit.text[edit.start : edit.end].strip()
    if got != wanted:
        return f"{edit.kind}: {edit.anchor!r} took {got!r} and not {wanted!r}"
    edited = apply(edit.text, place, "NEW\nWORDS", "replace")
    ending = "\r\n" if "\r\n" in edit.text else "\n"
    if edited != edit.text[: place.start] + f"NEW{ending}WORDS" + edit.text[place.end :]:
        return f"{edit.kind}: more than the passage has changed"
    return ""


def generated(number: int, seed: int) -> Iterator[Edit]:
    """So many edits."""
    chance = random.Random(seed)
    texts = [
        path.read_text(encoding="utf-8")
        for folder in ("skerrow", "science", "zh")
        for path in sorted(files("policy").joinpath("corpus", folder).iterdir(), key=lambda p: p.name)
        if path.name.endswith(".md")
    ]
    made = 0
    while made < number:
        text = chance.choice(texts)
        if chance.random() < 0.3:
            text = text.replace("\n", "\r\n")
        edit = _edit(text, chance)
        if edit is not None:
            made += 1
            yield edit


def _edit(text: str, chance: random.Random) -> Edit | None:
    words = list(re.finditer(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]+", text))
    length = chance.randint(6, 40)
    if len(words) <= length:
        return None
    first = chance.randrange(len(words) - length)
    start, end = words[first].start(), words[first + length - 1].end()
    passage = text[start:end]
    kind, same = chance.choice(_KINDS)
    anchor = _CHANGES[kind](passage, chance)
    if anchor is None or anchor == passage or (not same and _told(anchor) == _told(passage)):
        return None
    if not same and anchor in text:
        return None  # it says that, elsewhere
    return Edit(kind, text, start, end, anchor, same)


def _told(text: str) -> Counter[str]:
    return Counter(re.findall(r"[-−]?\.?\d[\d.,]*|\w", text))


def _number(passage: str, chance: random.Random) -> str | None:
    return _one(r"\d", passage, chance, lambda digit: str((int(digit) + chance.randint(1, 9)) % 10))


def _sign(passage: str, chance: random.Random) -> str | None:
    return _one(r"(?<![\w.,-])\d", passage, chance, lambda digit: f"-{digit}")


def _negation(passage: str, chance: random.Random) -> str | None:
    return _one(r"\b(?:was|were|is|are|has|have|can|did)\b", passage, chance, lambda word: f"{word} not")


def _opposite(passage: str, chance: random.Random) -> str | None:
    return _one(rf"\b(?:{'|'.join(_SWAP)})\b", passage, chance, lambda word: _SWAP[word])


def _left_out(passage: str, chance: random.Random) -> str | None:
    return _one(r"(?<= )(?!the |a |an )[a-z]+ (?=[a-z])", passage, chance, lambda _: "")


def _another(passage: str, chance: random.Random) -> str | None:
    return _one(
        r"\b[a-z]{4,}\b", passage, chance, lambda _: chance.choice("barley stone quickly because fourth".split())
    )


def _han(passage: str, chance: random.Random) -> str | None:
    return _one(r"[\u4e00-\u9fff]", passage, chance, lambda _: chance.choice(_HAN))


def _clause(passage: str, chance: random.Random) -> str | None:
    parts = re.split("，", passage)
    return "，".join(parts[:1] + parts[2:]) if len(parts) > 2 and len(parts[1]) > 2 else None


def _white(passage: str, chance: random.Random) -> str | None:
    return re.sub(r"\s+", lambda _: chance.choice([" ", "  ", "\n", "\r\n", " \n"]), passage)


def _marks(passage: str, chance: random.Random) -> str | None:
    return _one(r"(?<=\w)[,，'’\"“”](?=\s?\w)", passage, chance, lambda mark: chance.choice(["", ",", "”", "’"]))


def _ends(passage: str, chance: random.Random) -> str | None:
    return f"{passage[:24]} ... {passage[-24:]}" if len(passage) > 80 else None


def _one(pattern: str, passage: str, chance: random.Random, change) -> str | None:
    found = list(re.finditer(pattern, passage))
    if not found:
        return None
    match = chance.choice(found)
    return passage[: match.start()] + change(match.group()) + passage[match.end() :]


_CHANGES = {
    "number": _number,
    "sign": _sign,
    "negation": _negation,
    "opposite": _opposite,
    "left out": _left_out,
    "another word": _another,
    "character": _han,
    "clause": _clause,
    "white space": _white,
    "marks": _marks,
    "ends": _ends,
}
_SAME = ("white space", "marks", "ends")
_KINDS = [(kind, kind in _SAME) for kind in _CHANGES]
