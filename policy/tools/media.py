"""`describe_image` and `transcribe`: pictures and sound, where a model for them is configured.

What a model says of a picture is a model's words, and is shown and cited as such.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Protocol
from urllib.parse import urlsplit

from policy import signatures
from policy.errors import ModelError, ToolError
from policy.index.markdown import split
from policy.model import Model
from policy.sources import Source
from policy.tools.base import Result
from policy.workspace.files import Workspace

__all__ = ["Fetcher", "Pictures", "Recordings", "Speech"]

_MOST_IMAGE_BYTES = 8 * 2**20
_REPLY_TOKENS = 4096


class Fetched(Protocol):
    """What came of an address."""

    @property
    def address(self) -> str: ...

    @property
    def data(self) -> bytes: ...


class Fetcher(Protocol):
    """Fetches the bytes at an address (`policy.web.fetch.WebReader`). Raises ToolError."""

    async def fetch(self, address: str) -> Fetched: ...


class Speech(Protocol):
    """Writes down what is said in a file of sound (`policy.models.speech`). Raises ModelError."""

    @property
    def name(self) -> str: ...

    async def transcribe(self, data: bytes, file_name: str) -> str: ...


class Pictures:
    """Pictures of the workspace and, with a fetcher, of the web, as a model sees them."""

    def __init__(self, workspace: Workspace, fetcher: Fetcher | None, vision: Model) -> None:
        self._workspace, self._fetcher, self._vision = workspace, fetcher, vision

    async def describe_image(self, target: str, question: str = "") -> Result:
        """Have a model look at a picture: what it shows, or the answer to your question. It may be wrong on details.

        Args:
            target: A PNG, JPEG, GIF or WebP file of your workspace, or its web address, where the web is available.
            question: What you want to know of it; empty asks for a description, with all text and figures in it.
        """
        data, where = await _read(target, self._workspace, self._fetcher)
        kind = signatures.picture(data)
        if not kind:
            raise ToolError(f"{target} is no PNG, JPEG, GIF or WebP picture.")
        if len(data) > _MOST_IMAGE_BYTES:
            raise ToolError(f"{target} has {len(data):,} bytes; a picture may have {_MOST_IMAGE_BYTES:,}.")
        asked = question.strip() or (
            "Describe this picture for someone who can't see it: what it shows, every text in it as it stands, and the "
            "values of charts and tables as far as they can be read."
        )
        parts = [
            {"type": "text", "text": asked},
            {"type": "image_url", "image_url": {"url": signatures.data_url(data, kind)}},
        ]
        try:
            reply = await self._vision.complete([{"role": "user", "content": parts}], (), max_tokens=_REPLY_TOKENS)
        except ModelError as error:
            raise ToolError(f"The model for pictures failed: {error}") from error
        said = reply.content.strip()
        if not said:
            raise ToolError("The model for pictures said nothing. Ask in another way.")
        head = f"{target}, as {self._vision.name} describes it"
        return _result("image", head, where, f"{asked}\0{where}", [f"({self._vision.name} on a picture:) {said}"])


class Recordings:
    """Sound of the workspace and, with a fetcher, of the web, as a model hears it."""

    def __init__(self, workspace: Workspace, fetcher: Fetcher | None, speech: Speech) -> None:
        self._workspace, self._fetcher, self._speech = workspace, fetcher, speech

    async def transcribe(self, target: str) -> Result:
        """Have a model write down what is said in a recording. It may mishear names and figures.

        Args:
            target: An MP3, WAV, OGG, FLAC, M4A or WebM file of your workspace, or its web address, where the web is
                available.
        """
        data, where = await _read(target, self._workspace, self._fetcher)
        kind = signatures.sound(data)
        if not kind:
            raise ToolError(f"{target} is no MP3, WAV, OGG, FLAC, M4A or WebM recording.")
        try:
            said = await self._speech.transcribe(data, f"recording.{kind}")
        except ModelError as error:
            raise ToolError(f"The model for sound failed: {error}") from error
        if not said.strip():
            raise ToolError(f"{self._speech.name} hears no words in {target}.")
        texts = [paragraph.text for paragraph in split("", said)]
        return _result("sound", f"{target}, as {self._speech.name} hears it", where, where, texts)


async def _read(target: str, workspace: Workspace, fetcher: Fetcher | None) -> tuple[bytes, str]:
    """The bytes, and where they come from."""
    target = target.strip()
    if not re.match(r"https?://", target, re.IGNORECASE):
        return workspace.read_bytes(target), f"workspace:{target}"
    if fetcher is None:
        raise ToolError(f"The web is not available here, {target} cannot be opened.")
    page = await fetcher.fetch(target)
    return page.data, page.address


def _result(what: str, head: str, where: str, identity: str, texts: Sequence[str]) -> Result:
    """The texts, each with a key to cite it by."""
    name = re.sub(r"[^\w]+", "-", PurePosixPath(urlsplit(where).path).stem.lower())[:40].strip("-") or what
    key = f"{what}-{name}-{hashlib.sha256(identity.encode('utf-8', 'replace')).hexdigest()[:8]}"
    sources = tuple(Source(f"{key}#{number}", head, where, text) for number, text in enumerate(texts, 1))
    return Result("\n\n".join([f"# {head}", *(f"[{s.key}] {s.text}" for s in sources)]), sources)
