"""What a client needs to know of its server: plain values, so that a client can be pickled."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from judger.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments of `judger.client.connect`. Raises InvalidRequest for a wrong one."""

    address: str
    token: str | None = field(default=None, repr=False)
    root_certificates: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    private_key: bytes | None = field(default=None, repr=False)
    tls: bool = False
    timeout: float = 300.0
    judge_id: str | None = None
    max_attempts: int = 4
    backoff: float = 0.5

    def __post_init__(self) -> None:
        if "://" in self.address and not self.address.startswith(("unix://", "dns://")):
            raise InvalidRequest("address", f"{self.address!r} is a URL; give HOST:PORT")
        if ":" not in self.address:
            raise InvalidRequest("address", f"{self.address!r} has no port; give HOST:PORT, such as 127.0.0.1:50051")
        if (self.certificate is None) != (self.private_key is None):
            raise InvalidRequest("certificate", "a client certificate and its private_key go together: give both")
        for name in ("root_certificates", "certificate", "private_key"):
            pem = getattr(self, name)
            if pem is not None and not (isinstance(pem, bytes) and b"-----BEGIN" in pem):
                raise InvalidRequest(name, "must be PEM as bytes")
        check_seconds("timeout", self.timeout)
        check_seconds("backoff", self.backoff)
        if self.max_attempts < 1:
            raise InvalidRequest("max_attempts", f"must be at least 1, not {self.max_attempts}")

    @property
    def is_encrypted(self) -> bool:
        """TLS, asked for or implied by a certificate."""
        return self.tls or self.root_certificates is not None or self.certificate is not None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Sent with every call."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()


def check_seconds(field_name: str, value: float) -> None:
    """Raises InvalidRequest where a duration is not positive and finite."""
    if not (value > 0 and math.isfinite(value)):
        raise InvalidRequest(field_name, f"must be a positive number of seconds, not {value}")
