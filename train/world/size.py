"""How much there is to know in a world: what a model of a hundred million parameters reads, or one of a few hundred
thousand that has minutes to learn."""

from __future__ import annotations

from dataclasses import dataclass

from train.world import pools

__all__ = ["FULL", "SIZES", "SMALL", "Size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Everything by default."""

    names: int = len(pools.NAMES)
    """Names that things go by; two things share one at most."""
    facts: int | None = None
    """Facts of a structure, its town and the contested one among them; all of its kind without it."""
    values: int | None = None
    """Values that a fact can have; all of the pool without it."""
    numbered: bool = False
    """Documents are called by a number of two digits, not by the name of their thing: a key is few tokens."""
    plain: bool = False
    """Documents hold facts and nothing else, none compares others, and no task compares two things."""

    @property
    def most(self) -> int:
        """Structures that a world can have."""
        return min(2 * self.names, 90) if self.numbered else 2 * self.names

    def few(self, pool: tuple[str, ...]) -> tuple[str, ...]:
        """Of a pool, as many as there may be, from all over it."""
        return pool if self.values is None else pool[:: max(1, len(pool) // self.values)][: self.values]


FULL = Size()
SMALL = Size(names=40, facts=4, values=24, numbered=True, plain=True)
"""An episode is some 340 tokens of a vocabulary of 930, with one or two tokens for every name, number and key."""
SIZES = {"full": FULL, "small": SMALL}
