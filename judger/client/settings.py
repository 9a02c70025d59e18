"""What a client needs to know of its server: plain values, so that a client can be pickled."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from judger.errors import InvalidRequest
from judger.given import expect, plain
from judger.validate import looks_like, text_fault

PREFIX = "JUDGER_"
FILES = ("token", "root_certificates", "certificate", "private_key")
TARGET = re.compile(r"(?:dns:(?:///)?|ipv[46]:)?(?P<host>\[[^\]]*\]|[^:]*)(?::\d+)?")
TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments of `judger.client.connect`. Raises InvalidRequest for a wrong one."""

    address: str
    token: str | None = field(default=None, repr=False)
    root_certificates: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    private_key: bytes | None = field(default=None, repr=False)
    tls: bool = False
    allow_insecure_token: bool = False
    timeout: float = 300.0
    patience: float = 0.0
    judge_id: str | None = None
    max_attempts: int = 4
    backoff: float = 0.5

    def __post_init__(self) -> None:
        for name in ("timeout", "patience", "backoff", "max_attempts"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        check_address(self.address)
        for name in ("tls", "allow_insecure_token"):
            expect(name, getattr(self, name), bool, "true or false")
        if self.judge_id is not None:
            expect("judge_id", self.judge_id, str, "a text")
            if fault := text_fault(self.judge_id, 1024, may_be_blank=True):
                raise InvalidRequest("judge_id", fault)
        if (self.certificate is None) != (self.private_key is None):
            raise InvalidRequest("certificate", "a client certificate and its private_key go together: give both")
        for name in ("root_certificates", "certificate", "private_key"):
            pem = getattr(self, name)
            if pem is not None and not (isinstance(pem, bytes) and b"-----BEGIN" in pem):
                raise InvalidRequest(name, "must be PEM as bytes")
        check_seconds("timeout", self.timeout)
        check_seconds("backoff", self.backoff)
        if self.patience != 0:
            check_seconds("patience", self.patience)
        expect("max_attempts", self.max_attempts, int, "an integer")
        if self.max_attempts < 1:
            raise InvalidRequest("max_attempts", f"must be at least 1, not {self.max_attempts}")
        self._check_token()

    def _check_token(self) -> None:
        if self.token is None:
            return
        expect("token", self.token, str, "a text")
        token = self.token.strip()  # what a file's last line ends with
        object.__setattr__(self, "token", token or None)
        if not token:
            return
        if not TOKEN.fullmatch(token):
            raise InvalidRequest("token", "has a character in it that no token has: a line break, a blank, an accent")
        if not (self.is_encrypted or self.allow_insecure_token or is_loopback(self.address)):
            raise InvalidRequest(
                "token",
                f"would cross the network to {self.address} in clear: use TLS (root_certificates or tls; --ca), or "
                "allow_insecure_token (--allow-insecure-token) where the network itself is trusted",
            )

    @property
    def is_encrypted(self) -> bool:
        """TLS, asked for or implied by a certificate."""
        return self.tls or self.root_certificates is not None or self.certificate is not None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Sent with every call."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()


def settings_from_env(environ: Mapping[str, str], given: Mapping[str, object]) -> Settings:
    """The settings of the JUDGER_ variables, `given` ones first. Raises InvalidRequest with the name.

    Each setting has its name in capitals. Files are named: JUDGER_TOKEN_FILE, JUDGER_ROOT_CERTIFICATES_FILE,
    JUDGER_CERTIFICATE_FILE, JUDGER_PRIVATE_KEY_FILE; the token may also stand in JUDGER_TOKEN itself.
    """
    variables = {key.removeprefix(PREFIX).lower(): value for key, value in environ.items() if key.startswith(PREFIX)}
    texts = {name: text for name, text in variables.items() if text != ""}
    values: dict[str, object] = {}
    names = {one.name: str(one.type) for one in fields(Settings)}
    known = {*names, *(f"{name}_file" for name in FILES)} - {*FILES[1:]}
    for name in texts:
        if name not in known and (meant := next((other for other in known if looks_like(name, other)), None)):
            raise InvalidRequest(f"{PREFIX}{name.upper()}", f"is not read; is {PREFIX}{meant.upper()} meant?")
    for name, kind in names.items():
        variable, text = f"{PREFIX}{name.upper()}", texts.get(name)
        if name in given or (text is None and f"{name}_file" not in texts):
            continue
        if name in FILES and f"{name}_file" in texts:
            values[name] = _content(f"{variable}_FILE", texts[f"{name}_file"], as_text=name == "token")
        elif name in FILES[1:]:
            raise InvalidRequest(variable, f"is not read; name the file in {variable}_FILE")
        elif text is not None:
            values[name] = _value(variable, text, kind)
    values |= given
    if "address" not in values:
        raise InvalidRequest(f"{PREFIX}ADDRESS", "is not set; give the judge's HOST:PORT")
    return Settings(**values)  # type: ignore[arg-type]  # each is checked there


def check_address(address: object) -> None:
    """Raises InvalidRequest for what is no address."""
    expect("address", address, str, "HOST:PORT as a text")
    assert isinstance(address, str)
    shown = ascii(address)
    if "://" in address and not address.startswith(("unix://", "dns://")):
        raise InvalidRequest("address", f"{shown} is a URL; give HOST:PORT")
    if ":" not in address:
        raise InvalidRequest("address", f"{shown} has no port; give HOST:PORT, such as 127.0.0.1:50051")
    if not address.isprintable() or " " in address:
        raise InvalidRequest("address", f"{shown} has a character in it that no address has")


def is_loopback(address: str) -> bool:
    """Whether what is sent there stays on this machine; of names only localhost, as none is looked up here."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    match = TARGET.fullmatch(address)
    host = match["host"].strip("[]").lower() if match else ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_seconds(field_name: str, value: object) -> float:
    """The duration. Raises InvalidRequest where it is no number, not positive or not finite."""
    seconds = plain(value)
    expect(field_name, seconds, (float, int), "a number of seconds")
    if not (seconds > 0 and math.isfinite(seconds)):
        raise InvalidRequest(field_name, f"must be a positive number of seconds, not {seconds}")
    return float(seconds)


def _content(variable: str, path: str, *, as_text: bool) -> str | bytes:
    try:
        raw = Path(path).read_bytes()
        return raw.decode() if as_text else raw
    except (OSError, ValueError) as error:  # ValueError: no path, or no text
        raise InvalidRequest(variable, f"{path!r} can't be read: {getattr(error, 'strerror', None) or error}") from None


def _value(variable: str, text: str, kind: str) -> object:
    """A variable's text as the type that its setting has."""
    try:
        if kind.startswith("bool"):
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
        return int(text) if kind.startswith("int") else float(text) if kind.startswith("float") else text
    except (KeyError, ValueError):
        raise InvalidRequest(variable, f"must be {_KINDS[kind]}, not {text!r}") from None


_KINDS = {"bool": "true or false", "int": "an integer", "float": "a number"}
