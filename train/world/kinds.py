"""Kinds of things and what there is to say of each: how a fact is stated, asked for and required by a rubric."""

from __future__ import annotations

from dataclasses import dataclass

from train.world import pools

__all__ = ["ATTRIBUTES", "KINDS", "STRUCTURES", "Attribute", "Kind"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing to know. `{v}` is the value, `{it}` the subject."""

    name: str
    says: str
    """A sentence that states it."""
    ask: str
    """A subordinate question, with `{it}`."""
    topic: str
    """What it is, as a noun."""
    claim: str
    """The fact in the fewest words: what a sentence that states it holds."""
    pool: tuple[str, ...] = ()
    """The values; empty where they are other entities or made of two pools."""

    def state(self, it: str, value: str) -> str:
        """The sentence, with `it` at its head."""
        text = self.says.format(it=it, v=value)
        return text[0].upper() + text[1:]


_a = Attribute

_COMMON = (
    _a("opened", "{it} was opened in {v}.", "when {it} was opened", "the year of opening", "opened in {v}",
       pools.YEARS),
    _a("designer", "{it} was designed by {v}.", "who designed {it}", "the designer", "designed by {v}"),
    _a("material", "{it} is built of {v}.", "what {it} is built of", "the material", "built of {v}", pools.MATERIALS),
    _a("town", "{it} stands in {v}.", "where {it} stands", "the location", "stands in {v}"),
    _a("cost", "{it} cost {v} crowns.", "what {it} cost", "the cost", "cost {v} crowns", pools.AMOUNTS),
    _a(
        "repaired", "{it} was repaired after the {v}.", "after what {it} was repaired", "the cause of the repair",
        "repaired after the {v}",
    ),
    _a("owner", "{it} is owned by the {v} family.", "which family owns {it}", "the owner", "owned by the {v} family",
       pools.FAMILIES),
)  # fmt: skip


def _measure(word: str) -> Attribute:
    noun = {"long": "length", "high": "height", "wide": "width"}[word]
    return _a("measure", f"{{it}} is {{v}} metres {word}.", f"how {word} {{it}} is", f"the {noun}",
              f"{{v}} metres {word}", pools.LENGTHS)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing with its attributes."""

    name: str
    attributes: tuple[Attribute, ...]
    is_structure: bool = True
    """Whether its name reads "the Kestrel bridge"; people and towns go by their name alone."""


def _structure(name: str, measure: str, special: Attribute) -> Kind:
    return Kind(name, (*_COMMON, _measure(measure), special))


STRUCTURES = (
    _structure("bridge", "long", _a("special", "{it} carries a {v}.", "what {it} carries", "the traffic",
               "carries a {v}",
               ("road", "canal", "railway", "footpath", "pipeline", "tramway"))),
    _structure("observatory", "high", _a("special", "{it} has a telescope of {v} inches.", "which telescope {it} has",
               "the size of the telescope", "telescope of {v} inches", pools.LENGTHS)),
    _structure("mill", "high", _a("special", "{it} grinds {v}.", "what {it} grinds", "the produce", "grinds {v}",
               ("wheat", "barley", "rye", "oats", "mustard", "bark", "bone", "maize"))),
    _structure("lighthouse", "high", _a("special", "{it} shows a {v} light.", "which light {it} shows",
               "the colour of the light", "shows a {v} light", ("white", "red", "green", "yellow", "blue"))),
    _structure("library", "long", _a("special", "{it} holds {v} books.", "how many books {it} holds",
               "the number of books", "holds {v} books", pools.AMOUNTS)),
    _structure("theatre", "wide", _a("special", "{it} seats {v} people.", "how many people {it} seats",
               "the number of seats", "seats {v} people", pools.AMOUNTS)),
    _structure("garden", "long", _a("special", "{it} is known for its {v}.", "what {it} is known for", "the plants",
               "known for its {v}", ("roses", "ferns", "tulips", "lilies", "orchids", "palms", "irises", "poppies"))),
    _structure("tunnel", "long", _a("special", "{it} was closed in {v}.", "when {it} was closed", "the year of closing",
               "closed in {v}", pools.YEARS)),
)  # fmt: skip
PERSON = Kind(
    "person",
    (
        _a("born", "{it} was born in {v}.", "when {it} was born", "the year of birth", "born in {v}", pools.YEARS),
        _a("studied", "{it} studied in {v}.", "where {it} studied", "the school", "studied in {v}"),
    ),
    is_structure=False,
)
TOWN = Kind(
    "town",
    (
        _a("river", "{it} lies on the river {v}.", "on which river {it} lies", "the river", "on the river {v}",
           pools.RIVERS),
        _a("people", "{it} has {v} inhabitants.", "how many inhabitants {it} has", "the inhabitants",
           "{v} inhabitants", pools.AMOUNTS),
    ),
    is_structure=False,
)  # fmt: skip
KINDS = {kind.name: kind for kind in (*STRUCTURES, PERSON, TOWN)}
ATTRIBUTES = {(kind.name, attribute.name): attribute for kind in KINDS.values() for attribute in kind.attributes}
