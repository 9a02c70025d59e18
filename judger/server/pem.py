"""PEM files as flags and settings name them, checked before gRPC sees them: it says only that something is wrong."""

from __future__ import annotations

import ssl
from pathlib import Path

from judger.errors import InvalidRequest

__all__ = ["read_certificates", "read_pair"]


def read_certificates(field: str, path: Path) -> bytes:
    """The certificates in a file. Raises InvalidRequest that names `field` where there are none to read."""
    content = _read_pem(field, path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode("ascii", "replace"))
    except ssl.SSLError as error:
        raise InvalidRequest(field, f"{path} holds no certificate that can be read ({_reason(error)})") from error
    return content


def read_pair(cert_field: str, cert: Path, key_field: str, key: Path) -> tuple[bytes, bytes]:
    """A certificate's chain and its private key. Raises InvalidRequest that names the one that is wrong, and how."""
    chain, secret = read_certificates(cert_field, cert), _read_pem(key_field, key)

    def ask() -> str:
        raise InvalidRequest(key_field, f"{key} is encrypted, and nobody is asked for a passphrase: decrypt it first")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=ask)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise InvalidRequest(key_field, f"{key} is not the private key of the certificate in {cert}") from error
        raise InvalidRequest(key_field, f"{key} holds no private key that can be read ({_reason(error)})") from error
    return chain, secret


def _read_pem(field: str, path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidRequest(field, f"{path}: {error.strerror}") from error
    if b"-----BEGIN" not in content:
        raise InvalidRequest(field, f"{path} is no PEM file")
    return content


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
