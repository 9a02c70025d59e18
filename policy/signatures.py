"""What pictures and sound are told by: the bytes that they begin with, whatever their name or a header says."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

__all__ = ["data_url", "picture", "sound"]

_PICTURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
)
_SOUNDS = (
    (re.compile(rb"ID3|\xff[\xe2-\xff]"), "mp3"),
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "wav"),
    (re.compile(rb"OggS"), "ogg"),
    (re.compile(rb"fLaC"), "flac"),
    (re.compile(rb"....ftyp", re.DOTALL), "m4a"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), "webm"),
)


def picture(data: bytes) -> str:
    """The media type of a picture that models and browsers show; empty of all else."""
    return _first(data, _PICTURES)


def sound(data: bytes) -> str:
    """The suffix of a recording, without its dot; empty of all else."""
    return _first(data, _SOUNDS)


def data_url(data: bytes, media_type: str) -> str:
    """The address that holds the data itself (RFC 2397)."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _first(data: bytes, kinds: Sequence[tuple[re.Pattern[bytes], str]]) -> str:
    return next((kind for pattern, kind in kinds if pattern.match(data)), "")
