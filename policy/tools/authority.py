"""Which sources come first when relevance is comparable (Step-DeepResearch, arXiv 2512.20491, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from policy import bundled
from policy.errors import ConfigError
from policy.tools.search import Found

__all__ = ["Authority"]


class Authority:
    """Hosts, and beginnings of paths and addresses. A listed source gains `boost`, so it passes only its equals."""

    def __init__(self, entries: Sequence[str], *, boost: float = 1.08) -> None:
        self._hosts = frozenset(entry.lower() for entry in entries if "/" not in entry)
        self._prefixes = tuple(entry for entry in entries if "/" in entry)
        self._boost = boost

    @classmethod
    def load(cls, path: Path | None) -> Authority:
        """The list in a file, or the one of the package. What stands behind a tab (kind, languages) is for readers."""
        try:
            text = bundled.prompt("authority.tsv") if path is None else path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"search.authority: {error}") from error
        return cls(
            [entry for line in text.splitlines() if (entry := line.partition("#")[0].partition("\t")[0].strip())]
        )

    def has(self, location: str) -> bool:
        """Whether a path or an address is on the list."""
        if location.startswith(self._prefixes):
            return True
        labels = (urlsplit(location).hostname or "").lower().split(".")
        return any(".".join(labels[i:]) in self._hosts for i in range(len(labels)))

    def order(self, found: Sequence[Found]) -> list[Found]:
        """The results, best first, listed ones raised by the boost."""
        return sorted(found, key=lambda one: -one.score * (self._boost if self.has(one.source.location) else 1.0))
