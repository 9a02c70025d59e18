"""How training reaches its judge: address, token, TLS and pin, written once for `rl`, `evaluate`, `tasks` and verl."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from judger.errors import InvalidRequest
from judger.flags import Flag, add_flags, flag_name, given
from policy.errors import ConfigError

if TYPE_CHECKING:
    from judger.client import Client

__all__ = ["JudgeAccess", "add_access_flags", "wait_for"]

_GROUP = "the judge"


class JudgeAccess(BaseModel):
    """Plain values, so that it travels to other processes; files are read where a client is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    address: Annotated[str, Flag("HOST:PORT", _GROUP)]
    """A running judger serve."""
    token_file: Annotated[Path | None, Flag("FILE", _GROUP)] = None
    """The server's bearer token, in its first line."""
    allow_insecure_token: Annotated[bool, Flag(group=_GROUP)] = False
    """Send it without TLS to another machine, too."""
    ca: Annotated[Path | None, Flag("PEM", _GROUP)] = None
    """Check the server's TLS certificate by it."""
    cert: Annotated[Path | None, Flag("PEM", _GROUP)] = None
    """This client's own certificate (mutual TLS)."""
    key: Annotated[Path | None, Flag("PEM", _GROUP)] = None
    """Its private key."""
    judge_id: Annotated[str | None, Flag("ID", _GROUP)] = None
    """Refuse any other judge than this one."""
    timeout: float = Field(default=300.0, gt=0)
    """Seconds for one report."""
    patience: float = Field(default=0.0, ge=0)
    """Seconds that a judge which does not answer is asked again."""

    @classmethod
    def of(cls, args: argparse.Namespace, **more: Any) -> Self:
        """The access that flags give. Raises ConfigError that names the flag."""
        return cls.checked(address=args.addr, **given(args, _FLAGS), **more)

    @classmethod
    def asked(cls, args: argparse.Namespace) -> Self | None:
        """The access that flags give, where `--addr` need not be among them; None without it. Raises ConfigError, also
        where other flags say how to reach a server that none names."""
        if args.addr:
            return cls.of(args)
        if alone := given(args, _FLAGS):
            raise ConfigError(f"{', '.join(map(flag_name, alone))}: how to reach a server; give its --addr, too")
        return None

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Of plain values. Raises ConfigError that names each wrong one."""
        try:
            return cls(**values)
        except ValidationError as error:
            faults = (f"{flag_name('.'.join(map(str, e['loc'])))}: {e['msg']}" for e in error.errors())
            raise ConfigError("\n".join(faults)) from error

    def connect(self) -> Client:
        """A client; nothing is sent yet. Raises ConfigError that names the flag."""
        from judger.client import connect  # with gRPC, which no command needs to show its help

        texts = {"judge_id": self.judge_id, "timeout": self.timeout, "patience": self.patience}
        token = _first_line(self.token_file) if self.token_file is not None else None
        pems = {"root_certificates": self.ca, "certificate": self.cert, "private_key": self.key}
        read = {name: _content(_PEM[name], path) for name, path in pems.items() if path is not None}
        try:
            return connect(
                self.address, token=token, allow_insecure_token=self.allow_insecure_token, **read, **texts  # type: ignore[arg-type]  # each is checked there
            )  # fmt: skip
        except InvalidRequest as error:
            name = {"address": "--addr", "token": "--token-file", **_PEM}.get(error.field, flag_name(error.field))
            raise ConfigError(f"{name}: {error.reason}") from error


async def wait_for(
    client: Client, seconds: float, say: Callable[[str], None], what: str = "does not answer yet"
) -> None:
    """Returns once a judge serves: at once where it does already, else it is said that it is waited for, and is there.

    `what`: why it is waited for. Raises Unavailable after `seconds`.
    """
    from judger.errors import Unavailable

    address = client.settings.address
    try:
        await client.wait_ready(min(1.0, seconds))
        return
    except Unavailable:
        say(f"the judge at {address} {what}; waiting for it up to {seconds:g} s")
    await client.wait_ready(seconds)
    say(f"the judge at {address} answers")


_FLAGS = ("token_file", "allow_insecure_token", "ca", "cert", "key", "judge_id")
_PEM = {"root_certificates": "--ca", "certificate": "--cert", "private_key": "--key"}


def add_access_flags(parser: argparse.ArgumentParser, *, required: bool, help_: str = "") -> None:
    """`--addr` and what goes with it."""
    group = add_flags(parser, JudgeAccess, _FLAGS)[_GROUP]
    words = help_ or str(JudgeAccess.model_fields["address"].description)
    group.add_argument("--addr", required=required, metavar="HOST:PORT", help=words)


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").splitlines()[0].strip()
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise ConfigError(f"--token-file: {path} has no token in its first line: {error}") from error


def _content(flag: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{flag}: {path} can't be read: {error.strerror}") from error
