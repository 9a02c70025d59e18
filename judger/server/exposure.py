"""What stands before the RPCs of a server that others can reach: TLS credentials and the bearer token's check."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from judger.config import ServeConfig
from judger.errors import InvalidRequest, Unauthenticated
from judger.server.callers import CALLER, TokenFile
from judger.server.pem import read_certificates, read_pair

__all__ = ["Gate", "check_exposure", "server_credentials"]

OPEN = "/grpc.health."
"""Load balancers ask it without a token, and learn nothing but whether the server serves."""


class Gate(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Lets nobody in without a known token, but for health checks."""

    def __init__(self, tokens: TokenFile) -> None:
        self.tokens = tokens

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        if details.method.startswith(OPEN):
            return await continuation(details)
        given = [value for key, value in details.invocation_metadata or () if key == "authorization"]
        try:
            CALLER.set(self.tokens.caller(given[0] if len(given) == 1 else None))
        except Unauthenticated as error:
            return _refusal(str(error))
        return await continuation(details)


def _refusal(message: str) -> Any:
    # Of the kind that reads nothing: a refused caller's reports never get past the transport.
    async def refuse(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, message)
        yield b""

    return grpc.stream_stream_rpc_method_handler(refuse)


def server_credentials(config: ServeConfig) -> Any | None:
    """TLS from the configuration's PEM files, mutual where it names a client CA; None where there is none.

    Raises InvalidRequest.
    """
    if config.tls_cert is None or config.tls_key is None:
        return None
    chain, key = read_pair("tls_cert", config.tls_cert, "tls_key", config.tls_key)
    ca = read_certificates("tls_client_ca", config.tls_client_ca) if config.tls_client_ca else None
    return grpc.ssl_server_credentials([(key, chain)], root_certificates=ca, require_client_auth=ca is not None)


def check_exposure(config: ServeConfig, *, loopback: bool) -> None:
    """Raises InvalidRequest where others than this machine could call without being known, or in the clear."""
    if (config.tls_cert is None) != (config.tls_key is None):
        raise InvalidRequest("tls_cert", "certificate and key go together: give --tls-cert and --tls-key")
    if config.tls_client_ca is not None and config.tls_cert is None:
        raise InvalidRequest("tls_client_ca", "client certificates need TLS: give --tls-cert and --tls-key")
    if loopback or config.allow_remote:
        return
    missing = []
    if config.tokens is None and config.tls_client_ca is None:
        missing.append("callers are known (--tokens, or --tls-client-ca)")
    if config.tls_cert is None:
        missing.append("the connection is encrypted (--tls-cert and --tls-key)")
    if missing:
        raise InvalidRequest(
            "host",
            f"{config.host} is not a loopback address; it is served where {' and '.join(missing)}, "
            "or with --allow-remote as it is",
        )
