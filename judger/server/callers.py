"""Who may call, and how much: bearer tokens from a file, hashed at rest and read anew when the file changes.

    [trainer]                           # a name, for people and metrics
    sha256 = "9f86d081884c7d65..."      # of the token; `judger token NAME --tokens FILE` makes one
    tokens_per_second = 50000           # optional: estimated prompt tokens; a burst of ten seconds is let through
    gateway = true                      # optional: it calls for others, and says for whom (`judger gateway --tokens`)

A token has 256 random bits, so that a plain digest of it is as good as a slow one. No comparison ends early.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from judger.engines.base import Tier
from judger.errors import InvalidRequest, Overloaded, Unauthenticated, Unavailable
from judger.schedule.admission import estimated_tokens
from judger.types import Case
from judger.wire.metadata import BEHIND

__all__ = [
    "CALLER",
    "Caller",
    "TokenFile",
    "caller_key",
    "caller_name",
    "give_back",
    "host_of",
    "new_token",
    "paying",
]

logger = logging.getLogger(__name__)

LOOPBACK = ("ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D")
MOST_OF_A_NAME = 200
CHECK_EVERY = 1.0
"""Seconds between two looks at the file's date."""
BURST = 10.0
"""Seconds of a caller's pace that may come at once."""


class Grant(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    tokens_per_second: float | None = Field(None, gt=0)
    gateway: bool = False


GRANTS = TypeAdapter(dict[str, Grant])


class Caller:
    """Somebody with a token, and what they have left of their pace."""

    def __init__(self, name: str, entry: Grant) -> None:
        self.name = name
        self.entry = entry
        self._left: float | None = None
        self._at = 0.0

    @property
    def is_paced(self) -> bool:
        """Whether there is a bound to their tokens."""
        return self.entry.tokens_per_second is not None

    def spend(self, tokens: int) -> None:
        """Takes tokens from the caller's bucket. Raises Overloaded where it is empty; a large case may overdraw it."""
        pace = self.entry.tokens_per_second
        if pace is None:
            return
        now = time.monotonic()
        left = BURST * pace if self._left is None else min(BURST * pace, self._left + (now - self._at) * pace)
        self._at, self._left = now, left
        if left <= 0:
            raise Overloaded(f"{self.name} may have {pace:,.0f} tokens a second", max(0.05, -left / pace))
        self._left = left - tokens

    def give_back(self, tokens: int) -> None:
        """Nothing had to be done for them after all."""
        if self._left is not None:
            self._left += tokens


CALLER: ContextVar[Caller | None] = ContextVar("judger_caller", default=None)


def caller_name() -> str:
    """Who calls; empty where callers have no names."""
    caller = CALLER.get()
    return caller.name if caller is not None else ""


def host_of(context: Any) -> str:
    """Where a call comes from, without its port: `ipv4:10.0.0.7`."""
    host, _, _ = context.peer().rpartition(":")
    return str(host)


def caller_key(context: Any) -> str:
    """Whose limits a call counts against: a known caller's, or its host's.

    A gateway is not counted, but those whom it calls for: one whose token says that it is one, or where callers have no
    names, one on this machine. Others could name themselves anew with each call.
    """
    caller, host = CALLER.get(), host_of(context)
    name = caller.name if caller is not None else host
    is_gateway = caller.entry.gateway if caller is not None else host.startswith(LOOPBACK)
    behind = [value for key, value in context.invocation_metadata() or () if key == BEHIND] if is_gateway else []
    return f"{name}/{behind[0][:MOST_OF_A_NAME]}" if behind else name


@contextmanager
def paying(tier: Tier, *cases: Case) -> Iterator[None]:
    """Takes what cases cost off the budget of the caller, where callers have one; a refusal within costs nothing."""
    if (caller := CALLER.get()) is not None:
        caller.spend(sum(estimated_tokens(case, tier) for case in cases))
    try:
        yield
    except (Overloaded, Unavailable):
        give_back(tier, *cases)
        raise


def give_back(tier: Tier, *cases: Case) -> None:
    """The caller need not pay for these."""
    if (caller := CALLER.get()) is not None:
        caller.give_back(sum(estimated_tokens(case, tier) for case in cases))


class TokenFile:
    """The callers of a file. Raises InvalidRequest where it can't be read at first; later the last good one holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._callers: dict[str, Caller] = {}
        self._stamp: tuple[int, int] | None = None
        self._checked = time.monotonic()
        self._load()

    @property
    def names(self) -> list[str]:
        """The callers' names."""
        return list(self._callers)

    def caller(self, authorization: str | None) -> Caller:
        """Whose token that is. Raises Unauthenticated."""
        if time.monotonic() - self._checked >= CHECK_EVERY:
            self._checked = time.monotonic()
            try:
                self._load()
            except InvalidRequest as error:
                logger.error("the tokens are those of the last good file: %s", error)
        scheme, _, token = (authorization or "").partition(" ")
        digest = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for caller in self._callers.values():
            if hmac.compare_digest(caller.entry.sha256, digest):
                found = caller
        if found is None or scheme.lower() != "bearer":
            raise Unauthenticated("a bearer token that this server knows is needed (metadata: authorization)")
        return found

    def _load(self) -> None:
        try:
            stat = os.stat(self.path)
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp == self._stamp:
                return
            self._stamp = stamp  # a bad file is complained of once, not every second
            entries = GRANTS.validate_python(tomllib.loads(self.path.read_text(encoding="utf-8")))
        except OSError as error:
            raise InvalidRequest("tokens", f"{self.path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest("tokens", f"{self.path}: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise InvalidRequest("tokens", f"{self.path}: {where}: {first['msg']}") from error
        if not entries:
            raise InvalidRequest("tokens", f"{self.path}: no token in it: nobody could call")
        old = self._callers
        # Who is unchanged keeps what they have spent.
        self._callers = {
            name: old[name] if name in old and old[name].entry == entry else Caller(name, entry)
            for name, entry in entries.items()
        }


def new_token(name: str) -> tuple[str, str]:
    """(a new token, its table for the file)."""
    token = f"jdg_{secrets.token_urlsafe(32)}"
    return token, f'["{name}"]\nsha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\n'
