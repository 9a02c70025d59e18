"""What keeps a report in its place: the two lines around it, the key that makes them, and the marks of chat templates.

A fence line carries a nonce, the keyed BLAKE2 digest of the report (RFC 7693): whoever writes the report has no key
and can't know it, and the same report always gets the same one, so that prefix and verdict caches hold. The key's own
digest is part of `judge_id`. Pure but for the key's file.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import re
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from judger.errors import InvalidRequest

__all__ = ["CHAT_MARKS", "FenceKey", "break_marks", "make_user_key", "open_fence_key", "process_key"]

logger = logging.getLogger(__name__)

NONCE_BYTES = 8
LONGEST_RULE = 64
SHORTEST_KEY = 32
"""Characters of a key file."""

CHAT_MARKS = re.compile(
    r"[<\[](?:(?<=<)(?:[|｜][^\s<>|｜]{1,40}[|｜]|</?SYS>|/?(?:start_of_turn|end_of_turn|s|bos|eos|pad|unk|think"
    r"|tool_call|tool_response|system|assistant|user))>|(?<=\[)/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS"
    r"|TOOL_RESULTS)\])"  # one first character class: a text without any is passed over quickly
)
"""How the chat templates of the known model families mark turns and roles."""


@dataclass(frozen=True, slots=True)
class FenceKey:
    """A secret of any length. Two servers with the same one put the same fence around a report."""

    secret: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """16 hex digits that name the key and do not tell it."""
        return self._hash("", b"fence key")

    def line(self, report: str) -> str:
        """The report's fence line: it has no other line like it, nor a run of the rule's character as long (to 64)."""
        longest = max((len(run) for run in re.findall("=+", report)), default=0)
        rule = "=" * min(max(longest + 1, 8), LONGEST_RULE)
        nonce = self._hash(report, b"fence")
        while nonce in report:  # once in 2^64 reports; the loop makes it a certainty
            nonce = self._hash(nonce + report, b"fence")
        return f"{rule} {nonce} {rule}"

    def _hash(self, text: str, purpose: bytes) -> str:
        key = hashlib.sha256(self.secret).digest()  # BLAKE2 takes at most 64 bytes
        # Lone surrogates are let through here: refusing them is the validation's work.
        data = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=key, digest_size=NONCE_BYTES, person=purpose).hexdigest()


@functools.cache
def process_key() -> FenceKey:
    """A random key, the same for every engine of this process, gone with it."""
    return FenceKey(secrets.token_bytes(32))


def open_fence_key(path: Path | None) -> FenceKey:
    """The key in a file, which is made where it is missing; without a file this process's own. Raises InvalidRequest.

    Servers that start together on one missing file all get the key of the first.
    """
    if path is None:
        return process_key()
    try:
        return _read_or_make(path)
    except OSError as error:
        raise InvalidRequest("fence_key_file", f"{path}: {error.strerror}") from error


def make_user_key(path: Path | None) -> Path | None:
    """The file of a user's own key, made with its folders where it is missing; None where there can be none.

    Then the process's own key has to do, and a warning says what that means. Raises InvalidRequest for a file that
    holds no key.
    """
    why = "this user has no home folder"
    if path is not None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _read_or_make(path)
            return path
        except OSError as error:
            why = f"{error.filename or path}: {error.strerror}"
    logger.warning(
        "no place for a fence key (%s): the judge_id, and verdicts kept under it, hold until this process ends; "
        "give --fence-key-file",
        why,
    )
    return None


def _read_or_make(path: Path) -> FenceKey:
    """Raises OSError, or InvalidRequest for what is no key."""
    if not path.exists():
        _make(path)
    secret = path.read_bytes().strip()
    if len(secret) < SHORTEST_KEY:
        raise InvalidRequest("fence_key_file", f"{path}: a key has {SHORTEST_KEY} characters or more")
    return FenceKey(secret)


def _make(path: Path) -> None:
    """Writes a random key that only its owner can read. Whole or not at all, and never over another one."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "w", encoding="ascii") as file:
            file.write(f"{secrets.token_hex(32)}\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another server was faster: its key holds
            os.link(name, path)
    finally:
        os.unlink(name)


def break_marks(text: str) -> str:
    """The text with a space behind the first character of every chat mark: for tokenizers that are out of our hands."""
    return CHAT_MARKS.sub(lambda mark: f"{mark.group()[0]} {mark.group()[1:]}", text)
