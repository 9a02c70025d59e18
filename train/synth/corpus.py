"""A corpus: documents, passages and links. A folder, FOLDOC or a toy world, read by way of the agent's index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from policy.errors import ConfigError
from policy.index.build import Indexed, build
from policy.index.links import Link
from policy.index.store import LocalIndex
from policy.sources import Source
from train.synth.definitions import definition

__all__ = ["Corpus", "IndexCorpus", "open_corpus"]


class Corpus(Protocol):
    """What the capabilities need of a corpus."""

    @property
    def name(self) -> str:
        """What rows call it."""
        ...

    def documents(self) -> Sequence[str]:
        """The keys of its documents, in their order."""
        ...

    def title(self, document: str) -> str:
        """How a document is called."""
        ...

    def passages(self, document: str) -> Sequence[Source]:
        """The passages of a document, in their order."""
        ...

    def links(self) -> Sequence[Link]:
        """The links between its documents."""
        ...


class IndexCorpus:
    """The agent's index as a corpus. What was read once is kept."""

    def __init__(self, index: LocalIndex, name: str) -> None:
        self.index, self.name = index, name
        self._titles = {key: title for key, title, _ in index.documents()}
        self._passages: dict[str, tuple[Source, ...]] = {}
        self._definitions: dict[str, str] = {}

    def documents(self) -> Sequence[str]:
        return list(self._titles)

    def title(self, document: str) -> str:
        return self._titles[document]

    def passages(self, document: str) -> Sequence[Source]:
        if document not in self._passages:
            found = self.index.read(document)
            self._passages[document] = tuple(Source(one.key, one.title, one.location, one.text) for one in found)
        return self._passages[document]

    def headings(self, document: str) -> list[str]:
        """The heading that each passage of a document stands under."""
        return [one.heading for one in self.index.read(document)]

    def links(self) -> Sequence[Link]:
        return self.index.links()

    def definition(self, document: str) -> str:
        """What its first passage says that it is, as `words.definition` reads it."""
        if document not in self._definitions:
            texts = [one.text for one in self.passages(document)[:1]]
            self._definitions[document] = definition(texts, self.title(document))
        return self._definitions[document]


def open_corpus(path: Path, work: Path, say: Callable[[str], None] = lambda _: None) -> IndexCorpus:
    """The corpus at a path: an index as it is, or a folder of documents, indexed in `work`. Raises ConfigError."""
    if path.is_file():
        return IndexCorpus(LocalIndex.open(path), path.stem)
    if not path.is_dir():
        raise ConfigError(f"{path}: no folder of documents, and no index")
    where = work / "corpus.sqlite"
    done: Indexed = build(where, path)
    for skipped, reason in done.skipped:
        say(f"skipped {skipped}: {reason}")
    say(f"{path}: {done.passages} passages ({done.added} documents read, {done.unchanged} unchanged)")
    if not done.passages:
        raise ConfigError(f"{path}: not one document in it can be read")
    return IndexCorpus(LocalIndex.open(where), path.name)
