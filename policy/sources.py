"""The passages an episode has seen, by the key that \\cite{} uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

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
    """Every passage seen, in the order seen. A key that was shown with two texts has both: one of them may be meant."""

    def __init__(self) -> None:
        self._seen: dict[str, Source] = {}

    def add(self, source: Source) -> None:
        known = self._seen.get(source.key)
        if known is None or known.text in source.text:
            self._seen[source.key] = source
        elif source.text not in known.text:
            where = "" if source.location == known.location else f" ({source.location})"
            self._seen[source.key] = replace(known, text=f"{known.text}\n\n{source.text}{where}")

    def get(self, key: str) -> Source | None:
        return self._seen.get(key)

    def find(self, key: str) -> Source | None:
        """What a citation means: a passage, several of a document (`mill#2-5`), or all that was seen of it (`mill`)."""
        if (found := self._seen.get(key)) is not None:
            return found
        document, mark, numbers = key.partition("#")
        first, _, last = numbers.partition("-")
        if mark and not (first.isdecimal() and last.isdecimal() and len(numbers) < 20):
            return None
        parts = [
            source
            for source in self._seen.values()
            if source.key.rpartition("#")[0] == document
            and (not mark or int(first) <= _number(source.key) <= int(last))
        ]
        if not parts:
            return None
        parts.sort(key=lambda source: _number(source.key))
        return replace(parts[0], key=key, text="\n\n".join(source.text for source in parts))

    def __len__(self) -> int:
        return len(self._seen)

    def __iter__(self) -> Iterator[Source]:
        return iter(self._seen.values())

    def as_dicts(self) -> list[dict[str, str]]:
        return [asdict(source) for source in self._seen.values()]


def _number(key: str) -> int:
    number = key.rpartition("#")[2]
    return int(number) if number.isdecimal() and len(number) < 10 else 0
