"""The HTTP doors of a server: the same service, callers and certificates as gRPC's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc_health.v1 import health, health_pb2

from judger.config import ServeConfig
from judger.errors import InvalidRequest
from judger.server.callers import CALLER, TokenFile
from judger.server.rpcs import JudgerService

if TYPE_CHECKING:
    from judger.http.process import Listening

__all__ = ["check_http", "enter", "open_doors"]


def check_http(config: ServeConfig) -> None:
    """Raises InvalidRequest where the doors can't be opened, before an engine is loaded."""
    if config.http_port is None:
        return
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            "http_port", f"{error.name} is not installed: pip install 'checklist-judger[http]'"
        ) from error


def enter(tokens: TokenFile | None, authorization: str | None) -> str:
    """Makes the owner of the token the caller of this task; their name. Raises Unauthenticated."""
    if tokens is None:
        return ""
    CALLER.set(caller := tokens.caller(authorization))
    return caller.name


def open_doors(
    config: ServeConfig, service: JudgerService, tokens: TokenFile | None, checks: health.aio.HealthServicer
) -> Listening | None:
    """Listens on the configuration's HTTP port; None where it has none. Raises InvalidRequest."""
    if config.http_port is None:
        return None
    from judger.http.app import build_app
    from judger.http.calls import InProcess
    from judger.http.process import TlsFiles, listen

    async def serves() -> bool:
        answer = await checks.Check(health_pb2.HealthCheckRequest(), None)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    tls = None
    if config.tls_cert is not None and config.tls_key is not None:
        tls = TlsFiles(cert=config.tls_cert, key=config.tls_key, client_ca=config.tls_client_ca)
    judging = InProcess(service, lambda authorization: enter(tokens, authorization), serves)
    app = build_app(judging, unscored=config.unscored, reasoning=config.keep_reasoning, origin=config.origin)
    return listen(app, config.host, config.http_port, tls=tls)
