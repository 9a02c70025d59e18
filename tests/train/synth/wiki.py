"""A small wiki of our own: pages that define a thing and refer to others, so that nothing has to be installed."""

from __future__ import annotations

import random
from pathlib import Path

_KINDS = (
    "river ferry", "stone bridge", "hill fort", "salt works", "cider press", "bell tower", "fish market",
    "sheep fold", "toll house", "glass kiln",
)  # fmt: skip
_TRAITS = (
    "that floods every second winter", "built by monks from the north", "whose roof fell in during a storm",
    "known for its blue doors", "which pays no tax to the crown", "where swallows nest under the eaves",
    "painted red after the long war", "that no map before the survey shows",
)  # fmt: skip
_FIRST = "Ar Bel Cor Dun Eth Fal Gor Hul Ist Jor Kel Lom Mar Nev Orl Pen".split()
_LAST = "wick mere stow ley thorpe combe garth nant".split()


def write_wiki(folder: Path, *, pages: int = 60, seed: int = 0) -> None:
    """So many pages, each with a definition of its own, two paragraphs and three to six links."""
    draw = random.Random(seed)
    names = [first + last for first in _FIRST for last in _LAST]
    draw.shuffle(names)
    names = names[:pages]
    for number, name in enumerate(names):
        others = draw.sample([other for other in names if other != name], draw.randint(3, 6))
        said = (
            f"a {_KINDS[number % len(_KINDS)]} {_TRAITS[number % 8]} and {_TRAITS[(number + 1 + number // 8 % 7) % 8]}"
        )
        links = [f"[{other}]({other.lower()}.md)" for other in others]
        text = (
            f"---\ntitle: {name}\n---\n{name} is {said}. It is {number + 20} paces long.\n\n"
            f"Travellers reach it from {links[0]} and {links[1]} in a day.\n\n"
            f"Its records are kept beside those of {', '.join(links[2:])}.\n"
        )
        (folder / f"{name.lower()}.md").write_text(text, encoding="utf-8")
