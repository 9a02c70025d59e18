"""The digest of the source that makes an engine's verdicts: it stands in `judge_id` for every line of it.

Computed, so that nobody has to remember a number: another line of code is another judge, and no verdict that is kept
or pinned under the old one is taken for its own. That is at times too careful, and never wrong.
"""

from __future__ import annotations

import functools
import hashlib
from importlib import metadata, resources
from importlib.resources.abc import Traversable

from judger.version import __version__

__all__ = ["GENERATIVE", "SHARED", "code_digest", "versions"]

SHARED = ("verdict.py", "types.py", "engines/base.py")
"""What every verdict passes through, as paths below the package."""

GENERATIVE = ("prompt", "engines/tokens.py", "engines/explained.py")
"""Beside that, what the engines share that read a prompt."""


@functools.cache
def code_digest(*parts: str) -> str:
    """Digest of `SHARED` and of more files, or folders with all below them: 16 hex digits."""
    return digest_of(resources.files("judger"), *SHARED, *parts)


def digest_of(root: Traversable, *parts: str) -> str:
    """Digest of the Python files at these paths below a folder, by name and text, whatever their line endings.

    Raises FileNotFoundError for a part that isn't there.
    """
    hasher = hashlib.sha256()
    for part in sorted(set(parts)):
        for name, file in sources(part, root.joinpath(*part.split("/"))):
            text = file.read_text(encoding="utf-8")
            hasher.update(f"{name} {len(text)}\n{text}".encode())
    return hasher.hexdigest()[:16]


def sources(name: str, place: Traversable) -> list[tuple[str, Traversable]]:
    """(name, file) of a file itself, or of every .py file below a folder, in order of their names."""
    if not place.is_dir():
        return [(name, place)]
    found = []
    for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir() or entry.name.endswith(".py"):
            found += sources(f"{name}/{entry.name}", entry)
    return found


def versions(*libraries: str) -> str:
    """This package's version and those of the distributions that compute, for `Identity.engine_version`."""
    return " ".join([__version__, *(f"{name} {metadata.version(name)}" for name in libraries)])
