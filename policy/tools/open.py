"""`open`: whole documents, or parts of them, by key or address, several at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Protocol

from policy.errors import ToolError
from policy.index.store import LocalIndex, Passage
from policy.sources import Source, Sources
from policy.tools.base import Result
from policy.tools.pick import Picker, ranked

__all__ = ["OpenTool", "Reader"]

_RANGE = re.compile(r"^(.*?)#(\d{1,9})(?:-(\d{1,9}))?$")


class Reader(Protocol):
    """Fetches the page at an address as passages. Raises ToolError."""

    async def read(self, address: str) -> Sequence[Passage]: ...


class OpenTool:
    """Documents of the index and, with a reader, pages of the web."""

    def __init__(
        self,
        index: LocalIndex | None,
        reader: Reader | None = None,
        *,
        picker: Picker | None = None,
        max_targets: int = 6,
        max_chars: int = 12_000,
    ) -> None:
        self._index = index
        self._reader = reader
        self._picker = picker
        self._max_targets = max_targets
        self._max_chars = max_chars
        self.sources = Sources()
        """What the episode has seen: there a key that a search of the web has shown has its address."""

    async def open(self, targets: list[str], goal: str = "") -> Result:
        """Read documents. Each paragraph is shown with the key to cite it by.

        Args:
            targets: Up to six keys from `search`, such as "tidal-mill" for a whole document, "tidal-mill#3" for one
                paragraph, "tidal-mill#3-9" for several; or web addresses, where the web is available.
            goal: What you want to know; of a long document the paragraphs that have most to do with it are shown.
        """
        wanted = list(dict.fromkeys(target.strip() for target in targets if target.strip()))
        if not wanted:
            raise ToolError("There is nothing to open. Name at least one key or address.")
        if len(wanted) > self._max_targets:
            raise ToolError(f"{len(wanted)} targets are too many at once; open at most {self._max_targets}.")
        answers = await asyncio.gather(*(self._one(target) for target in wanted))
        if all(isinstance(answer, ToolError) for answer in answers):
            raise ToolError("\n".join(str(answer) for answer in answers))
        parts: list[str] = []
        sources: list[Source] = []
        room = self._max_chars // len(wanted)
        picked = await asyncio.gather(*(self._picked(answer, goal.strip(), room) for answer in answers))
        for target, answer, (chosen, line) in zip(wanted, answers, picked, strict=True):
            if isinstance(answer, ToolError):
                parts.append(f"# {target}\n{answer}")
                continue
            text, shown = _show(answer, chosen, line, room, _document(target))
            parts.append(text)
            sources.extend(Source(p.key, p.title, p.location, p.text) for p in shown)
        return Result("\n\n".join(parts), tuple(sources))

    async def _picked(
        self, passages: Sequence[Passage] | ToolError, goal: str, room: int
    ) -> tuple[Sequence[Passage], str]:
        """What of a document is shown for a goal, and the line that says so."""
        if isinstance(passages, ToolError):
            return (), ""
        if not goal or sum(len(p.text) for p in passages) <= room // 2:
            return passages, ""
        total, note = len(passages), ""
        if self._picker is not None:
            try:
                if chosen := await self._picker.pick(goal, passages):
                    return chosen, f"The {len(chosen)} of its {total} paragraphs that a model found for the goal:"
                note = "A model found nothing for the goal in it. "
            except ToolError as error:
                note = f"(The model that reads for goals did not help: {error}.) "
        chosen = await ranked(passages, goal, room // 2)
        return chosen, f"{note}The {len(chosen)} of its {total} paragraphs that have most to do with the goal:"

    async def _one(self, target: str) -> Sequence[Passage] | ToolError:
        found, document = _RANGE.match(target), _document(target)
        try:
            passages = await self._all(document)
        except ToolError as error:
            return error
        if found is None:
            return passages
        first = int(found.group(2))
        last = int(found.group(3) or first)
        if (first, last) == (0, 0):
            return passages  # a search has shown a snippet of it, which is none of its paragraphs
        chosen = [p for p in passages if first <= int(p.key.rpartition("#")[2]) <= last]
        return chosen or ToolError(f"{document} has {len(passages)} paragraphs; {first} to {last} are none of them.")

    async def _all(self, document: str) -> Sequence[Passage]:
        if re.match(r"https?://", document, re.IGNORECASE):
            if self._reader is None:
                raise ToolError(f"The web is not available here, {document} cannot be opened. Use keys from `search`.")
            return await self._reader.read(document)
        passages = self._index.read(document) if self._index is not None else []
        shown = None if passages else self.sources.find(document)
        if shown is not None and shown.location.startswith(("http://", "https://")):
            if self._reader is None:
                raise ToolError(f"The web is not available: of {document} there is only what the search has shown.")
            return await self._reader.read(shown.location)
        if not passages:
            raise ToolError(f"There is no document {document!r}. Use a key that `search` has shown.")
        return passages


def _document(target: str) -> str:
    """The key or address without the paragraphs asked for."""
    found = _RANGE.match(target)
    return found.group(1) if found else target


def _show(
    passages: Sequence[Passage], shown: Sequence[Passage], line: str, room: int, document: str
) -> tuple[str, Sequence[Passage]]:
    """Those of the passages that are shown as text, as many as there is room for, and which these are."""
    lines = [f"# {passages[0].title} ({passages[0].location})", *([line] if line else [])]
    heading = ""
    for count, passage in enumerate(shown):
        if count and room < len(passage.text):
            number, end = passage.key.rpartition("#")[2], shown[-1].key.rpartition("#")[2]
            lines.append(f'{len(shown) - count} more paragraphs: open "{document}#{number}-{end}".')
            return "\n\n".join(lines), shown[:count]
        if passage.heading != heading:
            heading = passage.heading
            lines.append(f"## {heading}")
        lines.append(f"[{passage.key}] {passage.text}")
        room -= len(passage.text)
    return "\n\n".join(lines), shown
