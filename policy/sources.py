"""The passages an episode has seen, by the key that \\cite{} uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

__all__ = ["Source", "Sources"]


@dataclass(frozen=True, slots=True)
class Source:
    """One citable passage."""

    key: str
    """Document and paragraph, such as `tidal-mill#3`."""
    title: str
    location: str
    """The path or address of the document."""
    text: str


class Sources:
    """Every passage seen, in the order seen; the first text of a key wins."""

    def __init__(self) -> None:
        self._seen: dict[str, Source] = {}

    def add(self, source: Source) -> None:
        self._seen.setdefault(source.key, source)

    def get(self, key: str) -> Source | None:
        return self._seen.get(key)

    def __len__(self) -> int:
        return len(self._seen)

    def __iter__(self) -> Iterator[Source]:
        return iter(self._seen.values())

    def as_dicts(self) -> list[dict[str, str]]:
        return [asdict(source) for source in self._seen.values()]
