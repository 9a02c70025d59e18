"""The Free On-line Dictionary of Computing as a folder of Markdown (Debian's dict-foldoc; GFDL, not bundled).

One file an entry, its cross-references as links, so that the agent's index reads it like any other folder.
"""

from __future__ import annotations

import gzip
import re
import string
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FOLDER", "Entry", "NoDictionary", "read_foldoc", "write_foldoc"]

FOLDER = Path("/usr/share/dictd")
_DIGITS = {digit: value for value, digit in enumerate(string.ascii_uppercase + string.ascii_lowercase + "0123456789+/")}
_REFERENCE = re.compile(r"\{([^{}]{1,200})\}")
_TARGET = re.compile(r"^([^()]*?) ?\(([^()]*)\)$")
_FIELD = re.compile(r"^<([^<>]{1,80})>\s?")
_DATED = re.compile(r"^\(\d{4}-\d\d-\d\d\)$")


class NoDictionary(Exception):
    """The dictionary is not installed, or is no dictionary; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its headwords, the first of which is its title, and its paragraphs with {references} in them."""

    headwords: tuple[str, ...]
    field: str
    paragraphs: tuple[str, ...]


def read_foldoc(folder: Path = FOLDER) -> list[Entry]:
    """All entries in the dictionary's order. Raises NoDictionary."""
    data, index = folder / "foldoc.dict.dz", folder / "foldoc.index"
    if not data.is_file() or not index.is_file():
        raise NoDictionary(f"{data}: not there; on Debian: apt-get install dict-foldoc")
    try:
        with gzip.open(data) as file:
            text = file.read()
        lines = index.read_text(encoding="utf-8").splitlines()
        places = sorted({(_number(start), _number(size)) for _, start, size in (line.split("\t") for line in lines)})
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise NoDictionary(f"{folder}: not a dictionary of dictd: {error}") from error
    entries = (_entry(text[start : start + size].decode("utf-8", "replace")) for start, size in places)
    return [entry for entry in entries if entry is not None]


def _number(digits: str) -> int:
    """A number in dictd's base 64, the most significant digit first."""
    number = 0
    for digit in digits:
        number = number * 64 + _DIGITS[digit]
    return number


def _entry(text: str) -> Entry | None:
    head, _, body = text.partition("\n\n")
    headwords = tuple(" ".join(line.split()) for line in head.splitlines() if line.strip())
    if not headwords or headwords[0].startswith(("00-database", "Free On-line Dictionary")):
        return None
    paragraphs = [" ".join(part.split()) for part in body.split("\n\n")]
    paragraphs = [part for part in paragraphs if part and not _DATED.match(part)]
    if not paragraphs:
        return None
    field = ""
    if found := _FIELD.match(paragraphs[0]):
        field, paragraphs[0] = found.group(1), paragraphs[0][found.end() :]
    return Entry(headwords, field, tuple(part for part in paragraphs if part))


def write_foldoc(entries: list[Entry], folder: Path) -> int:
    """Write them as Markdown files; how many. What another dictionary left in the folder is taken away."""
    paths: dict[int, str] = {}
    taken: set[str] = set()
    by_word: dict[str, str] = {}
    for number, entry in enumerate(entries):
        base = re.sub(r"[^a-z0-9]+", "-", entry.headwords[0].lower()).strip("-")[:80] or "sign"
        name, again = base, 2
        while name in taken:
            name, again = f"{base}-{again}", again + 1
        taken.add(name)
        paths[number] = f"{name[0]}/{name}.md"
        for word in entry.headwords:
            by_word.setdefault(word.lower(), paths[number])
    wanted = {folder / path for path in paths.values()}
    for stale in set(folder.rglob("*.md")) - wanted:
        stale.unlink()
    for number, entry in enumerate(entries):
        path = folder / paths[number]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_markdown(entry, by_word), encoding="utf-8")
    return len(wanted)


def _markdown(entry: Entry, by_word: dict[str, str]) -> str:
    def link(found: re.Match[str]) -> str:
        words = " ".join(found.group(1).split())
        if named := _TARGET.match(words):
            words = named.group(1) or named.group(2)
        path = by_word.get(words.lower())
        return f"[{words}](/{path})" if path and "[" not in words and "]" not in words else words

    title = entry.headwords[0].replace('"', "'")
    head = f"---\ntitle: {title}\n---\n" + (f"## {entry.field}\n\n" if entry.field else "")
    also = f"Also called: {', '.join(entry.headwords[1:])}.\n\n" if len(entry.headwords) > 1 else ""
    return head + "\n\n".join(_REFERENCE.sub(link, part) for part in entry.paragraphs) + "\n\n" + also
