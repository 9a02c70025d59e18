"""The listening socket and its end: uvicorn in a loop that is somebody else's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from judger.errors import InvalidRequest
from judger.http.connections import Bounds, Connection, fitting

__all__ = ["Listening", "TlsFiles", "listen"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: the server's own, and the CA of the clients that may connect."""

    cert: Path
    key: Path
    client_ca: Path | None = None


class _Server(uvicorn.Server):
    """Without its own signal handlers: the process around it has some. And a TLS handshake has to end."""

    def __init__(self, config: uvicorn.Config, bounds: Bounds) -> None:
        super().__init__(config)
        self._bounds = bounds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, which knows no bound for a handshake but asyncio's minute."""
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                self._connection,
                sock=one,
                ssl=self.config.ssl,
                backlog=self.config.backlog,
                ssl_handshake_timeout=self._bounds.head_seconds if self.config.ssl else None,
            )
            for one in sockets or ()
        ]
        self.started = True

    def _connection(self) -> Connection:
        return Connection(config=self.config, server_state=self.server_state, app_state={}, bounds=self._bounds)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listening:
    """A server that accepts connections. `stop` it."""

    def __init__(self, server: _Server, task: asyncio.Task[None], address: str) -> None:
        self.address = address
        self._server = server
        self._task = task

    async def stop(self, seconds: float) -> None:
        """Ends it: answers that are being written get `seconds`."""
        self._server.config.timeout_graceful_shutdown = max(1, round(seconds))
        self._server.should_exit = True
        try:
            async with asyncio.timeout(seconds + 5.0):
                await asyncio.wait([self._task])
        except TimeoutError:
            self._task.cancel()
        if self._task.done() and not self._task.cancelled() and (error := self._task.exception()) is not None:
            logger.error("the http server failed: %r", error)


def listen(
    app: Starlette,
    host: str,
    port: int,
    *,
    tls: TlsFiles | None = None,
    flag: str = "http_port",
    bounds: Bounds | None = None,
) -> Listening:
    """Starts it on the running loop. Raises InvalidRequest that names `flag` where the port can't be listened on.

    Args:
        port: 0 takes a free one.
        bounds: by default as many connections as the process may have.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    shown = f"[{host}]" if ":" in host else host
    # With its protocol named: asyncio turns Nagle's algorithm off only where it knows that it is TCP, and with it each
    # answer takes 40 ms longer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        raise InvalidRequest(flag, f"{shown}:{port} can't be listened on: {error.strerror}") from error
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        ssl_certfile=tls.cert if tls else None,
        ssl_keyfile=str(tls.key) if tls else None,
        ssl_ca_certs=str(tls.client_ca) if tls and tls.client_ca else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if tls and tls.client_ca else ssl.CERT_NONE,
    )
    try:
        config.load()
    except (OSError, ValueError) as error:  # ssl's errors among them
        listening.close()
        raise InvalidRequest("tls_cert", f"can't be used: {error}") from error
    server = _Server(config, bounds or fitting(Bounds()))
    address = f"{shown}:{listening.getsockname()[1]}"
    return Listening(server, asyncio.create_task(server.serve(sockets=[listening])), address)
