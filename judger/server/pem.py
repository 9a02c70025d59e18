"""PEM files as flags and settings name them."""

from __future__ import annotations

from pathlib import Path

from judger.errors import InvalidRequest

__all__ = ["read_pem"]


def read_pem(field: str, path: Path) -> bytes:
    """What the file holds. Raises InvalidRequest that names `field` where it can't be read or is no PEM file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidRequest(field, f"{path}: {error.strerror}") from error
    if b"-----BEGIN" not in content:
        raise InvalidRequest(field, f"{path} is no PEM file")
    return content
