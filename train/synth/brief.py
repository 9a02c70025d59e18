"""What a writer is given: facts with their passages, and what is asked. The same for every corpus and capability."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from policy.sources import Source

__all__ = ["IS", "REFERS", "Brief", "Dropped", "Fact", "digest_of"]

IS, REFERS = "is", "refers to"
"""Relations that a corpus alone gives: a definition, and a link. A writer's triples have others."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement and the passage that makes it."""

    subject: str
    relation: str
    object: str
    passage: str
    """The passage's key, such as `h-haskell#1`."""
    words: str = ""
    """How the passage calls the object, where that is not its name."""

    @property
    def text(self) -> str:
        return f"{self.subject} {self.relation} {self.object}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """One thing to be written. `answer` and its other `names` must not be in what is asked."""

    id: str
    kind: str
    facts: tuple[Fact, ...] = ()
    passages: tuple[Source, ...] = ()
    asked: str = ""
    answer: str = ""
    names: tuple[str, ...] = ()
    source: str = ""
    """The document it is about."""


class Dropped(Exception):
    """A filter takes the row out: which one, and why."""

    def __init__(self, by: str, reason: str = "") -> None:
        super().__init__(f"{by}: {reason}")
        self.by, self.reason = by, reason


def digest_of(*parts: str) -> str:
    """Sixteen hex digits that stand for these texts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]
