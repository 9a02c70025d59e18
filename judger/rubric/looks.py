"""What a file is that is not what its name says: one line in place of a fault for every line."""

from __future__ import annotations

import json

MAGIC = {
    b"PAR1": "a Parquet file: name it .parquet",
    b"PK\x03\x04": "a zip archive: unpack it",
    b"%PDF": "a PDF",
    b"SQLite": "an SQLite database",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: unpack it, or use gzip",
    b"BZh": "compressed with bzip2: unpack it, or use gzip",
    b"\xfd7zXZ": "compressed with xz: unpack it, or use gzip",
}
#: The most that is read again to see whether it is one document.
MOST = 16 * 2**20


def by_magic(first: bytes) -> str | None:
    """What the first bytes of a file say that it is, where that is nothing we read."""
    return next((f"looks like {words}" for magic, words in MAGIC.items() if first.startswith(magic)), None)


def is_document(text: str) -> bool:
    """Whether a text is one JSON document of several lines."""
    try:
        return "\n" in text and isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False
