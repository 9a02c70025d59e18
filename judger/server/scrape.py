"""Prometheus metrics over HTTP, under the rules of the main port: its TLS, its client certificates, its tokens."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from judger.config import ServeConfig
from judger.errors import InvalidRequest, Unauthenticated
from judger.observe.metrics import Metrics
from judger.server.callers import TokenFile

__all__ = ["serving_metrics"]

logger = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds that a scraper may take for its handshake and its request."""

App = Callable[[dict[str, Any], Callable[..., Any]], Any]


@contextmanager
def serving_metrics(config: ServeConfig, metrics: Metrics, tokens: TokenFile | None) -> Iterator[int | None]:
    """Serves them while the block runs, and gives the port; None where none is set. Raises InvalidRequest."""
    if config.metrics_port is None:
        yield None
        return
    app: App = make_wsgi_app(metrics.registry)
    try:
        httpd = _server(config, app if tokens is None else _known_only(app, tokens))
    except OSError as error:
        raise InvalidRequest("metrics_port", f"{config.host}:{config.metrics_port}: {error.strerror}") from error
    thread = threading.Thread(target=httpd.serve_forever, name="judger-metrics", daemon=True)
    thread.start()
    try:
        yield httpd.server_port
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(PATIENCE)


def _known_only(app: App, tokens: TokenFile) -> App:
    """The app for those who show a known token."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        try:
            tokens.caller(environ.get("HTTP_AUTHORIZATION"))
        except Unauthenticated as error:
            start_response("401 Unauthorized", [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain")])
            return [f"{error}\n".encode()]
        return app(environ, start_response)

    return guarded


class _Silent(WSGIRequestHandler):
    """Has no log of its own, and waits for nobody for ever."""

    timeout = PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each scrape, in which the handshake is done, too: a slow one holds up neither others nor the end."""

    daemon_threads = True
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(PATIENCE)
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)
            with contextlib.suppress(OSError):
                secured.shutdown(socket.SHUT_WR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("a scrape from %s failed", client_address, exc_info=True)


class _Server6(_Server):
    """The same for IPv6."""

    address_family = socket.AF_INET6


def _server(config: ServeConfig, app: App) -> _Server:
    kind: type[_Server] = _Server6 if ":" in config.host else _Server
    httpd: _Server = make_server(config.host, config.metrics_port or 0, app, kind, _Silent)
    if config.tls_cert is not None and config.tls_key is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            tls.load_cert_chain(config.tls_cert, config.tls_key)
            if config.tls_client_ca is not None:
                tls.load_verify_locations(config.tls_client_ca)
                tls.verify_mode = ssl.CERT_REQUIRED
        except (ssl.SSLError, OSError) as error:
            httpd.server_close()
            raise InvalidRequest("tls_cert", f"{config.tls_cert}, {config.tls_key}: {error}") from error
        httpd.tls = tls
    return httpd
